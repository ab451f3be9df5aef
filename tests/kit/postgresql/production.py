"""Production's connections to PostgreSQL: limits, the pool, the replica."""

import pytest

REPLICA = "postgresql://u:p@replica.test/shop"


def test_connections_have_limits(load_production):
    options = load_production().DATABASES["default"]["OPTIONS"]
    assert "statement_timeout=30000" in options["options"]
    assert "read_only" not in options["options"]


def test_with_a_pool_threads_keep_no_connection(load_production):
    database = load_production(DATABASE_POOL_MAX_SIZE="7").DATABASES["default"]
    assert database["OPTIONS"]["pool"]["max_size"] == 7
    assert (database["CONN_MAX_AGE"], database["CONN_HEALTH_CHECKS"]) == (0, True)


def test_without_a_pool_a_thread_keeps_its_connection(load_production):
    changed = {"DATABASE_POOL_MAX_SIZE": "0", "DATABASE_CONN_MAX_AGE": "9"}
    database = load_production(**changed).DATABASES["default"]
    assert (database["OPTIONS"]["pool"], database["CONN_MAX_AGE"]) == (False, 9)


def test_a_replica_is_read_only(load_production):
    settings = load_production(DATABASE_REPLICA_URL=REPLICA)
    replica = settings.DATABASES["replica"]
    assert replica["HOST"] == "replica.test"
    assert "default_transaction_read_only=on" in replica["OPTIONS"]["options"]
    assert settings.DATABASE_ROUTERS == ["config.routers.ReplicaRouter"]


def test_a_url_does_not_lift_a_read_only_session(load_production):
    url = "postgresql://u:p@h.test/shop?options=-cdefault_transaction_read_only%3Doff"
    settings = load_production(DJANGO_READ_ONLY="true", DATABASE_URL=url)
    options = settings.DATABASES["default"]["OPTIONS"]["options"]
    assert options.startswith("-cdefault_transaction_read_only=off ")
    assert options.endswith(" -c default_transaction_read_only=on")  # the last one wins


def test_behind_pgbouncer_nothing_belongs_to_a_session(load_production):
    changed = {"DATABASE_POOL_MAX_SIZE": "7", "DATABASE_REPLICA_URL": REPLICA}
    settings = load_production(DATABASE_PGBOUNCER="true", **changed)
    for database in settings.DATABASES.values():
        options = database["OPTIONS"]
        assert (options["options"], options["pool"]) == ("", False)
        assert "prepare_threshold" not in options  # Django's own default is none
        assert database["DISABLE_SERVER_SIDE_CURSORS"]


def test_pgbouncer_and_a_limit_of_the_session_are_refused_together(load_production):
    changed = {"DATABASE_STATEMENT_TIMEOUT": "30", "DATABASE_PGBOUNCER": "true"}
    with pytest.raises(SystemExit, match="ALTER ROLE … SET statement_timeout"):
        load_production(**changed)
