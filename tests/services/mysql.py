"""MariaDB from apt, spoken to with its own client: the tests need no Python driver for it."""

from pathlib import Path

from tests.services.process import HOST, as_user, find_program, run
from tests.services.service import DatabaseServer

TRADED_FOR_SPEED = [
    "--innodb-flush-log-at-trx-commit=0",
    "--innodb-doublewrite=0",
    "--innodb-buffer-pool-size=32M",
]


class MariaDB(DatabaseServer):
    """MariaDB over TCP, in utf8mb4."""

    users = ("mysql",)
    role = "project"

    def command(self) -> list[str | Path]:
        return [
            find_program("mariadbd", "mariadb-server"),
            "--no-defaults",
            f"--datadir={self.data}",
            f"--bind-address={HOST}",
            f"--port={self.port}",
            "--socket=mariadb.sock",  # relative to the data: a socket's path may have 107 bytes, pytest's have more
            "--pid-file=mariadb.pid",
            "--skip-name-resolve",
            "--character-set-server=utf8mb4",
            "--collation-server=utf8mb4_unicode_ci",
            *TRADED_FOR_SPEED,
        ]

    def install(self) -> None:
        program = find_program("mariadb-install-db", "mariadb-server")
        options = ["--no-defaults", f"--datadir={self.data}", "--skip-test-db"]
        options += [
            "--auth-root-authentication-method=normal"
        ]  # root by (no) password, for whoever runs the tests
        run([program, *options], cwd=self.home, **as_user(self.user))

    def set_up(self) -> None:
        self.query(
            f"CREATE USER {self.role}@'{HOST}' IDENTIFIED BY '{self.password}';"
            f"GRANT ALL ON `test\\_%`.* TO {self.role}@'{HOST}';"  # where Django's test runner makes its databases
        )

    def ready(self) -> bool:
        try:
            return self.query("SELECT 1") == [("1",)]
        except RuntimeError:
            return False

    def create_database(self) -> str:
        """Return the URL of a new, empty database; its user may do all in it and in databases named test_*."""
        name = f"db{next(self._numbers)}"
        self.query(
            f"CREATE DATABASE {name}; GRANT ALL ON {name}.* TO {self.role}@'{HOST}'"
        )
        return f"mysql://{self.role}:{self.password}@{HOST}:{self.port}/{name}"

    def query(self, sql: str, database: str = "mysql") -> list[tuple[str, ...]]:
        """Run statements as root and return their rows, every value as text."""
        client = find_program("mariadb", "mariadb-client")
        options = [
            "--no-defaults",
            "--protocol=tcp",
            f"--host={HOST}",
            f"--port={self.port}",
            "--user=root",
        ]
        output = run(
            [
                client,
                *options,
                "--batch",
                "--skip-column-names",
                f"--execute={sql}",
                database,
            ]
        )
        return [tuple(line.split("\t")) for line in output.splitlines()]
