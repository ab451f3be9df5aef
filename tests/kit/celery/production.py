"""config/settings/production.py: a broker of its own."""

import pytest


@pytest.mark.parametrize("variable", ["CACHE_URL", "REDIS_URL"])
def test_the_database_of_the_cache_is_no_broker(load_production, variable):
    url = "redis://:s3cret@redis.test:6379/0"
    changed = {"CACHE_URL": "", variable: url, "CELERY_BROKER_URL": url}
    with pytest.raises(SystemExit) as stop:
        load_production(**changed)
    problem = f"  - CELERY_BROKER_URL must not be the database of {variable}"
    assert str(stop.value).splitlines()[1:-1] == [problem]
