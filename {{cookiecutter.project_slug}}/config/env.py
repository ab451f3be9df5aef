"""Read the environment through django-environ; report all problems at once.

Three things differ from https://django-environ.readthedocs.io/: ``NAME_FILE`` may name
a file that holds the value of ``NAME``, a value is taken literally, and a problem is
collected until the settings call ``env.stop_on_problems()``.
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
    r"\b(change|replace)[-_ ]?me\b|\bplaceholder\b|django-insecure|<[^>]*>|\bx{4,}\b"
    r"|:password@|\byour[-_](bucket|database|domain|host|key|password|secret|user)",
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
DATABASE_FORM = "special characters of user and password percent-encoded"
# Scheme to the default port and the options of Django's SMTP back end.
MAIL_SCHEMES: dict[str, tuple[int, dict[str, Any]]] = {
    "smtp": (25, {}),
    "smtp+tls": (587, {"use_tls": True}),
    "smtp+ssl": (465, {"use_ssl": True}),
}
KUBERNETES = (
    "Kubernetes sets it to this form for a Service of that name: rename the Service, "
    "or set enableServiceLinks: false in the pod"
)
PREFACE = "The environment is not usable; nothing was started:"
CLOSING = "NAME_FILE may name a file that holds NAME; .env.example lists them all."
NOTSET: Any = environ.Env.NOTSET


class Env(environ.Env):
    """The environment of this process, with its problems by variable name."""

    def __init__(self) -> None:
        super().__init__()
        self.problems: dict[str, str] = {}
        self.names: set[str] = set()  # that were read

    def get_value(
        self, var: str, cast: Any = None, default: Any = NOTSET, **options: Any
    ) -> Any:
        """Return the value of a variable; every reader of django-environ calls this.

        A variable without a default is required: it must not be empty or hold a
        placeholder. After a problem return the default, or an empty value of the type.
        """
        self.names |= {var, f"{var}_FILE"}
        required = default is NOTSET
        cast = cast if required or default is None else cast or type(default)
        try:
            if text := read(var):
                if required and PLACEHOLDER.search(text):
                    raise ValueError("still holds a placeholder")
                return parse(text, cast)
            if required:
                raise ValueError("is missing")
        except ValueError as problem:
            self.require(var, False, str(problem))
        return default if not required else [] if cast is list else ""

    def require(self, name: str, condition: object, otherwise: str) -> None:
        """Note a problem unless the condition holds; keep a variable's first one."""
        if not condition:
            self.problems.setdefault(name, otherwise)

    def db_url(self, var: str, default: Any = NOTSET) -> dict[str, Any]:
        """Return the DATABASES entry of a URL; an empty one if the URL is malformed."""
        text = self.str(var, default=default)
        scheme, _, rest = text.partition("://")
        try:
            url = f"{DATABASE_SCHEMES[scheme.lower()]}://{rest}"
            entry: dict[str, Any] = self.db_url_config(url)
            # An unescaped #, / or ? in the password leaves a malformed name.
            name = r"/.*|:memory:" if url.startswith("sqlite:") else r"[^@/#]+"
            if not urlsplit(url).fragment and re.fullmatch(name, str(entry["NAME"])):
                return entry
        except (KeyError, ValueError):
            pass
        schemes = " or ".join(f"{name}://" for name in DATABASE_SCHEMES)
        self.require(var, not text, f"must begin with {schemes}; {DATABASE_FORM}")
        return {}

    def address(self, var: str, *schemes: str, default: Any = NOTSET) -> str:
        """Return a URL with a host and one of the schemes, as text."""
        text: str = self.str(var, default=default)
        try:
            url = urlsplit(text)
            is_url = url.scheme in schemes and url.hostname and url.port != 0
        except ValueError:
            is_url = False
        begin = " or ".join(f"{scheme}://" for scheme in schemes)
        self.require(var, not text or is_url, f"must be a URL that begins with {begin}")
        return text

    # %if cookiecutter.cache == "memcached"
    def servers(self, var: str, default: Any = NOTSET) -> list[str]:
        """Return the servers that ``memcached://host:port,host:port`` names."""
        text: str = self.str(var, default=default)
        servers = text.removeprefix("memcached://").rstrip("/").split(",")
        host = re.compile(r" *([\w.-]+|\[[\da-fA-F:.]+\])(:[1-9]\d{0,4})? *")
        is_list = all(host.fullmatch(server) for server in servers)
        self.require(
            var,
            not text or (text.startswith("memcached://") and is_list),
            "must be memcached:// and host:port of each server, separated by commas",
        )
        return [server.strip() for server in servers] if text else []

    # %endif
    def mailer(self, var: str, default: str) -> dict[str, Any]:
        """Return a MAILERS entry for a URL with one of MAIL_SCHEMES."""
        text = self.address(var, *MAIL_SCHEMES, default=default)
        if var in self.problems:
            return {}
        url = urlsplit(text)
        port, encryption = MAIL_SCHEMES[url.scheme]
        options = {"host": url.hostname, "port": url.port or port, **encryption}
        if url.username:
            options["username"] = unquote(url.username)
            options["password"] = unquote(url.password or "")
        return {
            "BACKEND": "django.core.mail.backends.smtp.EmailBackend",
            "OPTIONS": {"timeout": 10, **options},
        }

    def count(
        self, var: str, default: int, minimum: int = 0, maximum: int = 2**31
    ) -> int:
        """Return a whole number within the limits, both included."""
        number: int = self.int(var, default=default)
        limits = f"must be a whole number from {minimum} to {maximum}"
        self.require(var, minimum <= number <= maximum, limits)
        return number

    def networks(self, var: str, default: list[str]) -> list[str]:
        """Return addresses and networks in CIDR notation; ``*`` is every address."""
        listed: list[str] = self.list(var, default=default)
        try:
            entries = ["0.0.0.0/0", "::/0"] if "*" in listed else listed
            return [str(ip_network(entry, strict=False)) for entry in entries]
        except ValueError:
            self.require(var, False, "must be addresses or networks such as 10.0.0.0/8")
        return []

    def stop_on_problems(self) -> None:
        """End the process with status 1 and every problem by name, without values."""
        lines = [f"  - {name} {self.problems[name]}" for name in sorted(self.problems)]
        if lines:
            raise SystemExit("\n".join([PREFACE, *lines, CLOSING]))


def read(name: str) -> str:
    """Return the value of NAME, or the text of the file in NAME_FILE, stripped.

    Raise ValueError, without the value, if both are set or the file is unreadable.
    """
    text = os.environ.get(name, "").strip()
    file = os.environ.get(f"{name}_FILE", "").strip()
    if text and file:
        raise ValueError(f"is set, and {name}_FILE too: keep one of them")
    try:
        return Path(file).read_text(encoding="utf-8").strip() if file else text
    except (OSError, UnicodeDecodeError):
        raise ValueError(f"cannot be read from the file of {name}_FILE") from None


def parse(text: str, cast: Any) -> Any:
    """Return the text as a type; raise ValueError, without the value, if malformed."""
    if cast is bool:
        if text.lower() not in TRUE | FALSE:
            raise ValueError("must be true or false")
        return text.lower() in TRUE
    if cast is list:
        return [item.strip() for item in text.split(",") if item.strip()]
    try:
        return environ.Env.parse_value(text, cast)
    except (AttributeError, LookupError, TypeError, ValueError):
        kind = {int: "a whole number", float: "a number"}.get(cast)
        problem = f"must be {kind}" if kind else "is malformed"
        hint = f"; {KUBERNETES}" if text.startswith("tcp://") else ""
        raise ValueError(problem + hint) from None


env = Env()
