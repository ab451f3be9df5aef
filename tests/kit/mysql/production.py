"""Production's connections to MySQL and MariaDB: strict mode, limits, the replica."""

READ_ONLY = (
    " /*!50720 , transaction_read_only = ON */ /*M!100101 , tx_read_only = ON */"
)


def test_connections_are_strict_and_have_limits(load_production):
    changed = {"DATABASE_CONN_MAX_AGE": "9", "DATABASE_STATEMENT_TIMEOUT": "4"}
    database = load_production(**changed).DATABASES["default"]
    assert (database["CONN_MAX_AGE"], database["CONN_HEALTH_CHECKS"]) == (9, True)
    assert database["OPTIONS"]["charset"] == "utf8mb4"
    command = database["OPTIONS"]["init_command"]
    assert "STRICT_TRANS_TABLES" in command
    assert "max_execution_time = 4000 " in command
    assert "max_statement_time = 4 " in command
    assert "read_only" not in command


def test_a_replica_is_read_only(load_production):
    url = "mariadb://u:p@replica.test/shop"
    replica = load_production(DATABASE_REPLICA_URL=url).DATABASES["replica"]
    assert replica["HOST"] == "replica.test"
    assert replica["OPTIONS"]["init_command"].endswith(READ_ONLY)


def test_a_url_does_not_lift_a_read_only_session(load_production):
    url = "mysql://u:p@h.test/shop?init_command=SET+transaction_read_only=OFF"
    settings = load_production(DJANGO_READ_ONLY="true", DATABASE_URL=url)
    options = settings.DATABASES["default"]["OPTIONS"]
    assert options["init_command"].endswith(READ_ONLY)
