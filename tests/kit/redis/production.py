"""config/settings/production.py: the URL of the cache, which a platform may name."""

import pytest

GIVEN, PLATFORM = "redis://cache.test:6379/0", "redis://:s3cret@platform.test:6380"


def test_redis_url_is_taken_where_only_that_is_set(load_production):
    for changed, location in [
        ({"CACHE_URL": "", "REDIS_URL": PLATFORM}, PLATFORM),
        ({"CACHE_URL": GIVEN, "REDIS_URL": PLATFORM}, GIVEN),
        ({"CACHE_URL": GIVEN, "REDIS_URL": "not looked at"}, GIVEN),
    ]:
        caches = load_production(**changed).CACHES
        assert caches["default"]["LOCATION"] == location


def test_redis_url_may_come_from_a_file(load_production, tmp_path):
    (tmp_path / "url").write_text(f"{PLATFORM}\n")
    file = {"CACHE_URL": "", "REDIS_URL_FILE": str(tmp_path / "url")}
    assert load_production(**file).CACHES["default"]["LOCATION"] == PLATFORM


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({}, "CACHE_URL is missing"),
        ({"REDIS_URL": "tcp://:s3cret@platform.test"}, "REDIS_URL must be a URL that"),
        ({"REDIS_URL": "redis://change-me"}, "REDIS_URL still holds a placeholder"),
        (
            {"CACHE_URL": "tcp://:s3cret@cache.test", "REDIS_URL": PLATFORM},
            "CACHE_URL must be a URL that",
        ),
        (
            {"CACHE_URL_FILE": "/nowhere", "REDIS_URL": PLATFORM},
            "CACHE_URL cannot be read from the file of CACHE_URL_FILE",
        ),
    ],
)
def test_the_variable_that_is_wrong_is_named(load_production, changed, problem):
    with pytest.raises(SystemExit) as stop:
        load_production(**{"CACHE_URL": ""} | changed)
    [line] = [line for line in str(stop.value).splitlines() if line.startswith("  -")]
    assert line.startswith(f"  - {problem}")
    assert "s3cret" not in line
