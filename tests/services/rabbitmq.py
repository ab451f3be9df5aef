"""RabbitMQ with its own node, beside the node that the package may run."""

import shutil
from functools import cached_property
from pathlib import Path

from tests.services.certificate import Certificate
from tests.services.process import HOST, Process, accepts, find_program, free_port
from tests.services.service import DatabaseServer


class RabbitMQ(DatabaseServer):
    """RabbitMQ over AMQP; with a certificate it only speaks TLS. Queues are kept."""

    users = ("rabbitmq",)
    names: Process | None = None

    def __init__(self, folder: Path, certificate: Certificate | None = None) -> None:
        super().__init__(folder)
        self.certificate = certificate

    @property
    def url(self) -> str:
        scheme = "amqps" if self.certificate else "amqp"
        return f"{scheme}://project:{self.password}@{HOST}:{self.port}//"

    def command(self) -> list[str | Path]:
        find_program("rabbitmq-server", "rabbitmq-server")
        # The program in /usr/sbin writes to the logs of the package's own node.
        program = "/usr/lib/rabbitmq/bin/rabbitmq-server"
        settings = (f"{name}={value}" for name, value in self._settings().items())
        return ["env", f"--chdir={self.home}", *settings, program]

    def start(self) -> None:
        if not self.names:
            # Erlang's name server. A node without one starts one that outlives it.
            program = find_program("epmd", "rabbitmq-server")
            command = [program, "-address", HOST, "-port", str(self._names_port)]
            self.names = Process(command, self.folder, user=self.user)
            self.names.wait_for(lambda: accepts(self._names_port), 10, "epmd answers")
        super().start()

    def _remove_home(self) -> None:
        if self.names:
            self.names.stop()
            self.names = None
        super()._remove_home()

    def install(self) -> None:
        self.data.mkdir()
        self.data.chmod(0o777)  # the server's user writes to it
        (self.home / "plugins").write_text("[].\n")
        lines = ["default_user = project", f"default_pass = {self.password}"]
        if self.certificate:
            lines += [
                "listeners.tcp = none",
                f"listeners.ssl.1 = {HOST}:{self.port}",
                "ssl_options.verify = verify_none",
            ]
            files = {"certfile": self.certificate.file, "keyfile": self.certificate.key}
            for option, file in files.items():
                copy = shutil.copy(file, self.home)
                Path(copy).chmod(0o644)  # the server's user reads it
                lines.append(f"ssl_options.{option} = {copy}")
        else:
            lines.append(f"listeners.tcp.1 = {HOST}:{self.port}")
        (self.home / "rabbitmq.conf").write_text("\n".join(lines) + "\n")

    def set_up(self) -> None:
        """Do nothing: the configuration makes the user."""

    @cached_property
    def _names_port(self) -> int:
        return free_port()

    @cached_property
    def _nodes_port(self) -> int:
        return free_port()

    def _settings(self) -> dict[str, object]:
        loopback = "-kernel inet_dist_use_interface {127,0,0,1}"
        return {
            "HOME": self.home,  # for the cookie that nodes authenticate with
            "ERL_EPMD_ADDRESS": HOST,
            "ERL_EPMD_PORT": self._names_port,
            "RABBITMQ_CONFIG_FILE": self.home / "rabbitmq",
            "RABBITMQ_DIST_PORT": self._nodes_port,
            "RABBITMQ_ENABLED_PLUGINS_FILE": self.home / "plugins",
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_MNESIA_BASE": self.data,
            "RABBITMQ_NODENAME": f"tests-{self.port}@localhost",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": loopback,
        }
