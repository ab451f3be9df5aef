"""RabbitMQ with a node of its own: the package's own one, if it runs, is left alone."""

import shutil
from functools import cached_property
from pathlib import Path

from tests.services.certificate import Certificate
from tests.services.process import HOST, Process, accepts, find_program, free_port
from tests.services.service import DatabaseServer


class RabbitMQ(DatabaseServer):
    """RabbitMQ over AMQP, over TLS alone where it gets a certificate; its queues are kept over a restart."""

    users = ("rabbitmq",)
    names: Process | None = None

    def __init__(self, folder: Path, certificate: Certificate | None = None) -> None:
        super().__init__(folder)
        self.certificate = certificate

    @property
    def url(self) -> str:
        return f"{'amqps' if self.certificate else 'amqp'}://project:{self.password}@{HOST}:{self.port}//"

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
            epmd = [
                find_program("epmd", "rabbitmq-server"),
                "-address",
                HOST,
                "-port",
                str(self._names_port),
            ]
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
        lines = ["default_user = project", f"default_pass = {self.password}"]
        if self.certificate:
            lines += [
                "listeners.tcp = none",
                f"listeners.ssl.1 = {HOST}:{self.port}",
                "ssl_options.verify = verify_none",
            ]
            for option, file in (
                ("certfile", self.certificate.file),
                ("keyfile", self.certificate.key),
            ):
                copy = shutil.copy(file, self.home)
                Path(copy).chmod(0o644)  # made by this user, read by the other
                lines.append(f"ssl_options.{option} = {copy}")
        else:
            lines.append(f"listeners.tcp.1 = {HOST}:{self.port}")
        (self.home / "rabbitmq.conf").write_text("\n".join(lines) + "\n")

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
