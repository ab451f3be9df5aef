"""Uploads go to a private bucket under names that are never used twice, and pages may show them."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import google.auth
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from django.core.files.storage.handler import StorageHandler
from google.oauth2.credentials import Credentials

if TYPE_CHECKING:
    from conftest import LoadModule


@pytest.fixture
def storage(load_module: "LoadModule", production_environ: dict[str, str]) -> Any:
    return StorageHandler(load_module("config.settings.production", production_environ).STORAGES)["default"]


@pytest.fixture
def key_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The key of a service account, where Google's libraries look for it."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    account = {
        "type": "service_account",
        "project_id": "shop",
        "client_email": "shop@shop.iam.gserviceaccount.test",
        "token_uri": "http://127.0.0.1:9/token",
        "private_key": key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
    }
    path = tmp_path / "account.json"
    path.write_text(json.dumps(account))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
    return path


@pytest.mark.usefixtures("key_file")
def test_urls_are_signed_with_the_key_of_the_account(storage: Any) -> None:
    url = storage.url("a.png")
    assert url.startswith("https://storage.googleapis.com/media/a.png?")
    assert "X-Goog-Signature=" in url
    assert "X-Goog-Expires=3600" in url


def test_urls_are_signed_by_google_for_an_identity_without_a_key(storage: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(google.auth, "default", lambda scopes: (Credentials("token"), "shop"))  # type: ignore[no-untyped-call]
    assert storage.client is storage.client
    assert storage.client.project == "shop"
    assert storage.iam_sign_blob is True


def test_pages_may_show_what_is_in_the_bucket(load_module: "LoadModule", production_environ: dict[str, str]) -> None:
    policy = load_module("config.settings.production", production_environ).SECURE_CSP
    for directive in ("img-src", "media-src"):
        assert policy[directive][-1] == "https://storage.googleapis.com/media/"
    assert "https://storage.googleapis.com/media/" not in policy["script-src"]


def test_the_bucket_decides_who_may_read(storage: Any) -> None:
    assert (storage.default_acl, storage.querystring_auth, storage.file_overwrite) == (None, True, False)
