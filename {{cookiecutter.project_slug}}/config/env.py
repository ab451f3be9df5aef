"""Reads the environment through django-environ and tells everything that is wrong with it in one report.

https://django-environ.readthedocs.io/ describes the readers (``env.str``, ``env.int``, ``env.list``…). Three things
differ here: ``NAME_FILE`` may name a file that holds the value of ``NAME``, a value is always taken literally, and a
problem is collected instead of raised until ``env.stop_on_problems()`` is called at the end of the settings.
"""

import os
import re
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import environ

TRUE = {"true", "on", "yes", "y", "1"}
FALSE = {"false", "off", "no", "n", "0"}
PLACEHOLDER = re.compile(
    r"\b(change|replace)[-_ ]?me\b|\bplaceholder\b|django-insecure|<[^>]*>|\bx{4,}\b|:password@"
    r"|\byour[-_](bucket|database|domain|host|key|password|secret|user)",
    re.IGNORECASE,
)

DATABASE_SCHEMES = {
    # %if cookiecutter.database == "postgresql"
    "postgresql": "postgresql",
    "postgres": "postgresql",
    "postgresql+psycopg": "postgresql",
    # %endif
    # %if cookiecutter.database == "mysql"
    "mysql": "mysql",
    "mariadb": "mysql",
    # %endif
    "sqlite": "sqlite",
}
# %if cookiecutter.api != "none"
# As a browser writes it: without a path, and in lower case.
ORIGIN = re.compile(r"https?://(?:[a-z0-9-]+(?:\.[a-z0-9-]+)*|\[[0-9a-f:]+\])(?::[0-9]{1,5})?")
# %endif
EVERYWHERE = {"*": ["0.0.0.0/0", "::/0"]}

# Scheme to the default port and the options of Django's SMTP back end.
MAIL_SCHEMES: dict[str, tuple[int, dict[str, bool]]] = {
    "smtp": (25, {}),
    "smtp+tls": (587, {"use_tls": True}),
    "smtp+ssl": (465, {"use_ssl": True}),
}
MAIL_TIMEOUT_S = 10


class Env(environ.Env):
    """The environment of this process, with its problems by variable name."""

    def __init__(self) -> None:
        super().__init__()
        self.problems: dict[str, str] = {}

    def get_value(
        self, var: str, cast: Any = None, default: Any = environ.Env.NOTSET, parse_default: bool = False
    ) -> Any:
        """The value of a variable; what cannot be read becomes a problem and an empty value of the same type.

        A variable without a default is required: it must be there, and hold neither nothing nor a placeholder. Where
        there is a default, an empty value counts as unset.
        """
        required = default is self.NOTSET
        if cast is None and not required and default is not None:
            cast = type(default)
        try:
            text = self.read(var)
            if text is not None:
                if required and PLACEHOLDER.search(text):
                    raise ValueError("still holds a placeholder")
                return self.parse_value(text, cast)
            if required:
                raise ValueError("is missing")
        except ValueError as problem:
            self.require(var, False, str(problem))
        return self.empty_value(cast) if required else default

    @staticmethod
    def read(name: str) -> str | None:
        """The text of NAME, or of the file that NAME_FILE names, without surrounding white space.

        Raises ValueError, without the value, where both are set or the file cannot be read.
        """
        text = os.environ.get(name, "").strip()
        file = os.environ.get(f"{name}_FILE", "").strip()
        if text and file:
            raise ValueError(f"is set, and {name}_FILE too: keep one of them")
        if file:
            try:
                text = Path(file).read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError):
                raise ValueError(f"cannot be read from the file that {name}_FILE names") from None
        return text or None

    @classmethod
    def parse_value(cls, value: str, cast: Any) -> Any:
        """The text as the type that is asked for; raises ValueError, without the value, where it is malformed."""
        if cast is bool:
            if value.lower() not in TRUE | FALSE:
                raise ValueError("must be true or false")
            return value.lower() in TRUE
        if cast in (int, float):
            try:
                return cast(value)
            except ValueError:
                raise ValueError(f"must be a {'whole number' if cast is int else 'number'}") from None
        if cast is list:
            return [item.strip() for item in value.split(",") if item.strip()]
        try:
            return super().parse_value(value, cast)
        except (AttributeError, LookupError, TypeError, ValueError):
            raise ValueError("is malformed") from None

    @staticmethod
    def empty_value(cast: Any) -> Any:
        return cast() if cast in (bool, int, float, list, dict, tuple) else ""

    def require(self, name: str, condition: object, otherwise: str) -> None:
        """Note a problem with a variable unless the condition holds; the first problem of a variable stays."""
        if not condition:
            self.problems.setdefault(name, otherwise)

    def db_url(
        self, var: str = "DATABASE_URL", default: Any = environ.Env.NOTSET, engine: Any = None
    ) -> dict[str, Any]:
        """A DATABASES entry from a URL with one of DATABASE_SCHEMES; an empty one where there is no usable URL."""
        text = self.str(var, default=default)
        if not text:
            return {}
        scheme, _, rest = text.partition("://")
        try:
            url = f"{DATABASE_SCHEMES[scheme.lower()]}://{rest}"
            is_file = url.startswith("sqlite:")
            if is_file and not rest.startswith(("/", ":memory:")):
                raise ValueError
            entry: dict[str, Any] = self.db_url_config(url, engine=engine)
            # What follows an unescaped #, / or ? of a password ends up in the fragment or the name.
            if not is_file and (urlsplit(url).fragment or not re.fullmatch(r"[^@/#]+", entry["NAME"])):
                raise ValueError
        except KeyError:
            self.require(var, False, f"must begin with one of {', '.join(f'{name}://' for name in DATABASE_SCHEMES)}")
        except ValueError:
            self.require(
                var, False, "must read scheme://user:password@host:port/name, special characters percent-encoded"
            )
        else:
            return entry
        return {}

    def address(self, var: str, schemes: tuple[str, ...], default: Any = environ.Env.NOTSET) -> str:
        """A URL with a host and one of the schemes, as text."""
        text: str = self.str(var, default=default)
        try:
            url = urlsplit(text)
            well_formed = url.scheme in schemes and url.hostname and (url.port is None or url.port > 0)
        except ValueError:
            well_formed = False
        self.require(
            var, not text or well_formed, f"must be a URL that begins with {' or '.join(f'{s}://' for s in schemes)}"
        )
        return text

    # %if cookiecutter.cache == "memcached"
    def servers(self, var: str, scheme: str, default: Any = environ.Env.NOTSET) -> list[str]:
        """The servers, as ``host`` or ``host:port``, of a URL that may name several: ``scheme://one:port,two``."""
        text: str = self.str(var, default=default)
        begin, _, rest = text.partition("://")
        servers = [server.strip() for server in rest.rstrip("/").split(",")]
        well_formed = all(re.fullmatch(r"([\w.-]+|\[[\da-fA-F:.]+\])(:[1-9]\d{0,4})?", server) for server in servers)
        self.require(
            var,
            not text or (begin == scheme and well_formed),
            f"must be {scheme}:// and host:port of each server, separated by commas",
        )
        return servers if text else []

    # %endif
    def mailer(self, var: str, default: str) -> dict[str, Any]:
        """A MAILERS entry from a URL: ``smtp://``, ``smtp+tls://`` (STARTTLS) or ``smtp+ssl://`` (implicit TLS)."""
        text = self.address(var, tuple(MAIL_SCHEMES), default)
        if var in self.problems:
            return {}
        url = urlsplit(text)
        port, encryption = MAIL_SCHEMES[url.scheme]
        options: dict[str, Any] = {
            "host": url.hostname,
            "port": url.port or port,
            "timeout": MAIL_TIMEOUT_S,
            **encryption,
        }
        if url.username:
            options |= {"username": unquote(url.username), "password": unquote(url.password or "")}
        return {"BACKEND": "django.core.mail.backends.smtp.EmailBackend", "OPTIONS": options}

    def count(self, var: str, default: int, minimum: int = 0) -> int:
        """A whole number that is not below the minimum."""
        number: int = self.int(var, default=default)
        self.require(var, number >= minimum, f"must be a whole number, {minimum} or more")
        return number

    def networks(self, var: str, default: list[str]) -> list[str]:
        """Addresses and networks in CIDR notation; ``*`` stands for every address."""
        entries = [entry for item in self.list(var, default=default) for entry in EVERYWHERE.get(item, [item])]
        try:
            return [str(ip_network(entry, strict=False)) for entry in entries]
        except ValueError:
            self.require(var, False, "must be addresses or networks such as 10.0.0.0/8, separated by commas")
            return []

    # %if cookiecutter.api != "none"
    def origins(self, var: str, default: list[str]) -> list[str]:
        """Origins of web pages: scheme, host and perhaps a port (RFC 6454)."""
        origins: list[str] = self.list(var, default=default)
        self.require(
            var,
            all(ORIGIN.fullmatch(origin) for origin in origins),
            "must be origins such as https://app.example.com, separated by commas",
        )
        return origins

    # %endif
    def stop_on_problems(self) -> None:
        """End the process with status 1 and a list of every problem, if there is any. No value is ever shown."""
        if self.problems:
            raise SystemExit(
                "\n".join(
                    [
                        "The environment is not usable; nothing was started:",
                        *(f"  - {name} {problem}" for name, problem in sorted(self.problems.items())),
                        "Each NAME can also come from a file: set NAME_FILE to its path. .env.example lists them all.",
                    ]
                )
            )


env = Env()
