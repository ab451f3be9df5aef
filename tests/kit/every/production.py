"""config/settings/production.py: variables and the values that they refuse."""

import pytest


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("DJANGO_SECRET_KEY", "short"),
        ("DJANGO_SECRET_KEY", "a" * 50),
        ("DJANGO_SECRET_KEY", "django-insecure-" + "abcdefgh" * 8),
        ("DJANGO_ALLOWED_HOSTS", "*"),
        ("DJANGO_ALLOWED_HOSTS", "www.shop.test, *"),
        ("DJANGO_ALLOWED_HOSTS", "https://www.shop.test"),
        ("DJANGO_ALLOWED_HOSTS", ","),
        ("DJANGO_CSRF_TRUSTED_ORIGINS", "www.shop.test"),
        ("DJANGO_CSP_REPORT_URI", "csp.test"),
        ("DJANGO_LOG_LEVEL", "LOUD"),
        ("DJANGO_STATIC_HOST", "cdn.test"),
        ("EMAIL_URL", "mail.test"),
        ("SENTRY_DSN", "https://sentry.test/1"),
        ("SENTRY_TRACES_SAMPLE_RATE", "2"),
        ("DJANGO_SECURE_HSTS_SECONDS", "-1"),
        ("DATABASE_URL", "oracle://shop:secret@127.0.0.1/shop"),
        ("DATABASE_REPLICA_URL", "oracle://shop:secret@127.0.0.1/shop"),
        ("CACHE_URL", "http://127.0.0.1:6379"),
        ("GRACEFUL_TIMEOUT", "-1"),
        ("PORT", "65536"),
        ("WEB_CONCURRENCY", "0"),
    ],
)
def test_invalid_values_are_refused(load_production, variable, value):
    assert problems(load_production, **{variable: value}) == [variable]


def problems(load_production, **changed):
    """Return the variables that the report names."""
    with pytest.raises(SystemExit) as stop:
        load_production(**changed)
    lines = str(stop.value).splitlines()
    return [line.split()[1] for line in lines if line.startswith("  - ")]


def test_a_session_ends_within_a_day(load_production):
    settings = load_production()
    assert settings.SESSION_COOKIE_AGE <= 24 * 60 * 60


def test_https_can_be_raised_step_by_step(load_production):
    names = ("SECONDS", "PRELOAD")
    values = ("31536000", "false")
    pairs = zip(names, values, strict=True)
    changed = {f"DJANGO_SECURE_HSTS_{name}": value for name, value in pairs}
    settings = load_production(**changed)
    assert settings.SECURE_HSTS_SECONDS == 31_536_000
    assert settings.SECURE_HSTS_PRELOAD is False
    assert settings.SECURE_HSTS_INCLUDE_SUBDOMAINS is True


def test_forms_are_accepted_from_the_allowed_hosts(load_production):
    settings = load_production(DJANGO_ALLOWED_HOSTS="www.shop.test, .shop.org")
    assert settings.ALLOWED_HOSTS == ["www.shop.test", ".shop.org"]
    origins = ["https://www.shop.test", "https://*.shop.org"]
    assert origins == settings.CSRF_TRUSTED_ORIGINS


def test_a_cdn_may_serve_what_pages_load(load_production):
    settings = load_production(DJANGO_STATIC_HOST="https://cdn.test/")
    assert settings.STATIC_URL == "https://cdn.test/static/"
    for directive in ("script-src", "style-src", "img-src", "font-src"):
        assert "https://cdn.test" in settings.SECURE_CSP[directive]
    assert "https://cdn.test" not in settings.SECURE_CSP["connect-src"]


def test_the_content_security_policy_can_be_watched_first(load_production):
    uri = "https://csp.test/report"
    enforced = load_production(DJANGO_CSP_REPORT_URI=uri).SECURE_CSP
    assert enforced["report-uri"] == [uri]
    watched = load_production(DJANGO_CSP_REPORT_URI=uri, DJANGO_CSP_REPORT_ONLY="true")
    assert watched.SECURE_CSP == {}
    assert enforced == watched.SECURE_CSP_REPORT_ONLY


def test_errors_are_mailed_to_the_admins(load_production):
    settings = load_production(DJANGO_ADMINS="ada@shop.test, bob@shop.test")
    assert settings.ADMINS == ["ada@shop.test", "bob@shop.test"]
    assert settings.LOGGING["loggers"]["django.request"]["handlers"] == ["mail_admins"]
    assert "mail_admins" not in load_production().LOGGING["handlers"]


def test_the_release_is_in_each_line_and_in_sentry(load_production):
    settings = load_production(RELEASE="4f2a")
    assert settings.LOGGING["formatters"]["json"]["static_fields"]["release"] == "4f2a"
    assert settings.SENTRY_RELEASE == "4f2a"
    assert load_production(RELEASE="4f2a", SENTRY_RELEASE="1").SENTRY_RELEASE == "1"


def test_uploads_may_be_shown_and_run_no_script(load_production):
    settings = load_production()
    for directive in ("img-src", "media-src"):
        assert settings.MEDIA_SOURCE in settings.SECURE_CSP[directive]
    assert settings.MEDIA_SOURCE not in settings.SECURE_CSP["script-src"]


def test_no_request_is_a_transaction(load_production):
    """ATOMIC_REQUESTS makes async views fail and holds a connection for long."""
    for database in load_production().DATABASES.values():
        assert not database.get("ATOMIC_REQUESTS")
