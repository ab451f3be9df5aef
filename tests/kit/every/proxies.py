"""core/proxies.py: which proxies are trusted, and which of their headers."""

import pytest
from core import proxies as module
from core.proxies import is_trusted

PROXY, STRANGER = "10.0.0.1", "203.0.113.9"


@pytest.fixture(autouse=True)
def proxies(settings):
    is_trusted.cache_clear()
    settings.FORWARDED_ALLOW_IPS = ["10.0.0.0/8", "fc00::/7"]
    settings.TRUSTED_PROXIES = 1
    yield
    is_trusted.cache_clear()


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "address"),
    [
        pytest.param(PROXY, "198.51.100.7", "198.51.100.7", id="one proxy"),
        pytest.param("fc00::1", "2001:db8::7", "2001:db8::7", id="IPv6"),
        pytest.param(PROXY, "1.2.3.4, 198.51.100.7", "198.51.100.7", id="forged"),
        pytest.param(PROXY, "198.51.100.7, nonsense", "", id="nonsense"),
        pytest.param(PROXY, "198.51.100.7:51234", "198.51.100.7", id="a port"),
        pytest.param(PROXY, "[2001:db8::7]:443", "2001:db8::7", id="IPv6 and a port"),
        pytest.param(PROXY, '"[2001:db8::7]"', "2001:db8::7", id="quoted"),
        pytest.param(PROXY, "10.0.0.3", "10.0.0.3", id="a client nearby"),
        pytest.param("", "198.51.100.7", "198.51.100.7", id="a Unix socket"),
        pytest.param(STRANGER, "198.51.100.7", STRANGER, id="no proxy of ours"),
        pytest.param("::ffff:10.0.0.1", "198.51.100.7", "198.51.100.7", id="mapped"),
        pytest.param("unknown", "198.51.100.7", "unknown", id="no address"),
        pytest.param(PROXY, None, PROXY, id="no header"),
    ],
)
def test_a_trusted_proxy_names_the_client(client, peer, forwarded_for, address):
    headers = {"x-forwarded-for": forwarded_for} if forwarded_for else {}
    response = client.get("/", headers=headers, REMOTE_ADDR=peer)
    assert response.wsgi_request.META["REMOTE_ADDR"] == address


@pytest.mark.parametrize(
    ("peer", "is_ours"),
    [
        *[(peer, True) for peer in ("127.0.0.1", "10.9.9.9", "172.31.0.1", "::1")],
        *[(peer, True) for peer in ("192.168.0.1", "169.254.1.1", "100.127.0.1")],
        *[(peer, True) for peer in ("fd00::1", "fe80::1", "")],
        *[(peer, False) for peer in (STRANGER, "172.32.0.1", "100.128.0.1")],
    ],
)
def test_proxies_of_private_networks_are_trusted_by_default(
    load_production, settings, peer, is_ours
):
    settings.FORWARDED_ALLOW_IPS = load_production().FORWARDED_ALLOW_IPS
    assert is_trusted(peer) == is_ours


@pytest.mark.parametrize(
    ("proxies", "address"),
    [(0, PROXY), (1, "198.51.100.7"), (2, "192.0.2.1"), (3, PROXY)],
)
def test_the_client_is_counted_from_the_right(client, settings, proxies, address):
    settings.TRUSTED_PROXIES = proxies
    headers = {"x-forwarded-for": "192.0.2.1, 198.51.100.7"}
    response = client.get("/", headers=headers, REMOTE_ADDR=PROXY)
    assert response.wsgi_request.META["REMOTE_ADDR"] == address


def test_forwarded_headers_of_strangers_are_removed(client):
    names = ("proto", "host", "port", "prefix")
    headers = {f"x-forwarded-{name}": "evil" for name in names} | {"forwarded": "evil"}
    response = client.get("/", headers=headers, REMOTE_ADDR=STRANGER)
    meta = response.wsgi_request.META
    assert [name for name in meta if "FORWARDED" in name] == []
    believed = client.get("/", headers=headers, REMOTE_ADDR=PROXY)
    assert believed.wsgi_request.META["HTTP_X_FORWARDED_PORT"] == "evil"


def test_what_is_ignored_is_told_once_a_minute(client, settings, caplog):
    module.logger.filters[0].next.clear()
    for _ in range(3):
        ask(client, STRANGER, "198.51.100.7")
        ask(client, PROXY, "nonsense")
        settings.TRUSTED_PROXIES = 2
        ask(client, PROXY, "198.51.100.7")
        settings.TRUSTED_PROXIES = 1
    told = [r.getMessage() for r in caplog.records if r.name == "core.proxies"]
    assert [(PROXY in text, STRANGER in text) for text in told] == [
        (False, True),
        (True, False),
        (True, False),
    ]
    assert "FORWARDED_ALLOW_IPS" in told[0]
    assert all("TRUSTED_PROXIES" in text for text in told[1:])


def ask(client, peer, forwarded_for):
    headers = {"x-forwarded-for": forwarded_for}
    client.get("/", headers=headers, REMOTE_ADDR=peer)
