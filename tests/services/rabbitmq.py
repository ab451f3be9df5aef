"""RabbitMQ with a node of its own: the package's own one, if it runs, is left alone."""

from functools import cached_property
from pathlib import Path

from tests.services.process import HOST, Process, accepts, find_program, free_port
from tests.services.service import DatabaseServer


class RabbitMQ(DatabaseServer):
    """RabbitMQ over AMQP; its queues are kept over a restart."""

    users = ("rabbitmq",)
    names: Process | None = None

    @property
    def url(self) -> str:
        return f"amqp://project:{self.password}@{HOST}:{self.port}//"

    def command(self) -> list[str | Path]:
        find_program("rabbitmq-server", "rabbitmq-server")
        # The one in /usr/sbin writes to the logs of the package's own node.
        program = "/usr/lib/rabbitmq/bin/rabbitmq-server"
        return [
            "env",
            f"--chdir={self.home}",
            *(f"{name}={value}" for name, value in self._settings().items()),
            program,
        ]

    def start(self) -> None:
        if not self.names:
            # Erlang's name server: a node that finds none starts one that outlives it.
            epmd = [find_program("epmd", "rabbitmq-server"), "-address", HOST, "-port", str(self._names_port)]
            self.names = Process(epmd, self.folder, user=self.user)
            self.names.wait_for(lambda: accepts(self._names_port), 10, "epmd answers")
        super().start()

    def _remove_home(self) -> None:
        if self.names:
            self.names.stop()
            self.names = None
        super()._remove_home()

    def install(self) -> None:
        self.data.mkdir()
        self.data.chmod(0o777)  # made by this user, filled by the other
        (self.home / "plugins").write_text("[].\n")
        (self.home / "rabbitmq.conf").write_text(
            f"listeners.tcp.1 = {HOST}:{self.port}\ndefault_user = project\ndefault_pass = {self.password}\n"
        )

    def set_up(self) -> None:
        """Nothing: the configuration makes the user."""

    @cached_property
    def _names_port(self) -> int:
        return free_port()

    @cached_property
    def _nodes_port(self) -> int:
        return free_port()

    def _settings(self) -> dict[str, object]:
        return {
            "HOME": self.home,  # for the cookie by which nodes know each other
            "ERL_EPMD_ADDRESS": HOST,
            "ERL_EPMD_PORT": self._names_port,
            "RABBITMQ_CONFIG_FILE": self.home / "rabbitmq",
            "RABBITMQ_DIST_PORT": self._nodes_port,
            "RABBITMQ_ENABLED_PLUGINS_FILE": self.home / "plugins",
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_MNESIA_BASE": self.data,
            "RABBITMQ_NODENAME": f"tests-{self.port}@localhost",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        }
