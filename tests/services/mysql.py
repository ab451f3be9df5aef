"""MariaDB from apt, with its own client: the tests need no Python driver."""

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
            # Relative to the data: a socket's path is limited to 107 bytes.
            "--socket=mariadb.sock",
            "--pid-file=mariadb.pid",
            "--skip-name-resolve",
            "--character-set-server=utf8mb4",
            "--collation-server=utf8mb4_unicode_ci",
            *TRADED_FOR_SPEED,
        ]

    def install(self) -> None:
        program = find_program("mariadb-install-db", "mariadb-server")
        options = ["--no-defaults", f"--datadir={self.data}", "--skip-test-db"]
        # Any user of this machine may connect as root, without a password.
        options.append("--auth-root-authentication-method=normal")
        run([program, *options], cwd=self.home, **as_user(self.user))

    def set_up(self) -> None:
        # Django's test runner makes databases with names like test_*.
        self.query(
            f"CREATE USER {self.role}@'{HOST}' IDENTIFIED BY '{self.password}';"
            f"GRANT ALL ON `test\\_%`.* TO {self.role}@'{HOST}';"
        )

    def ready(self) -> bool:
        try:
            return self.query("SELECT 1") == [("1",)]
        except RuntimeError:
            return False

    def create_database(self) -> str:
        """Return the URL of a new database; its user may also make test_* databases."""
        name = f"db{next(self._numbers)}"
        user = f"{self.role}@'{HOST}'"
        self.query(f"CREATE DATABASE {name}; GRANT ALL ON {name}.* TO {user}")
        return f"mysql://{self.role}:{self.password}@{HOST}:{self.port}/{name}"

    def query(self, sql: str, database: str = "mysql") -> list[tuple[str, ...]]:
        """Run statements as root and return their rows, every value as text."""
        client = find_program("mariadb", "mariadb-client")
        options = ["--no-defaults", "--batch", "--skip-column-names", "--user=root"]
        options += ["--protocol=tcp", f"--host={HOST}", f"--port={self.port}"]
        output = run([client, *options, f"--execute={sql}", database])
        return [tuple(line.split("\t")) for line in output.splitlines()]
