"""PgBouncer in front of PostgreSQL, in transaction mode."""

from pathlib import Path

from tests.services.postgresql import PostgreSQL
from tests.services.process import HOST, find_program, unprivileged_user
from tests.services.service import Server

CONFIGURATION = """
[databases]
* = host={host} port={server_port}
[pgbouncer]
listen_addr = {host}
listen_port = {port}
unix_socket_dir =
pool_mode = transaction
default_pool_size = {size}
auth_type = scram-sha-256
auth_file = {users}
ignore_startup_parameters = {ignored}
"""


class PgBouncer(Server):
    """A pooler of transactions; it drops the start-up parameters that it `ignores`."""

    size = 5  # connections to the server, which more clients have to share

    def __init__(self, folder: Path, server: PostgreSQL, ignores: str = "") -> None:
        super().__init__(folder)
        self.server = server
        self.ignores = ignores

    def command(self) -> list[str | Path]:
        program = find_program("pgbouncer", "pgbouncer")
        users = self.folder / "users.txt"
        users.write_text(f'"{self.server.role}" "{self.server.password}"\n')
        configuration = self.folder / "pgbouncer.ini"
        configuration.write_text(
            CONFIGURATION.format(
                host=HOST,
                port=self.port,
                server_port=self.server.port,
                size=self.size,
                users=users,
                ignored=self.ignores,
            )
        )
        # It refuses to run as root, but reads its files before it gives that up.
        user = unprivileged_user("postgres")
        return [program, *([f"--user={user}"] if user else []), configuration]

    def url(self, url: str) -> str:
        """Return the URL of a database of the server, through the pooler."""
        return url.replace(f":{self.server.port}/", f":{self.port}/")
