"""Replace secrets of known forms in texts that leave the process."""

import re

from django.http import HttpRequest

# %if cookiecutter.database == "sqlite"
# Credentials in a URL, and what follows "Bearer" or a name such as api_key=
# %else
# Credentials in a URL, what follows "Bearer" or a name such as api_key=, and the values
# that the database quotes from a row.
# %endif
SECRETS = re.compile(
    r"(?<=://)[^/\s@]+(?=@)"
    r"|((?i:bearer |(?:key|token|secret|password)[\"']?[=:] ?[\"']?))[^\s\"'&,;]+"
    # %if cookiecutter.database == "postgresql"
    r"|(?<=DETAIL: ) (?:Failing row contains \([\s\S]*?\)\.(?=\n|\Z)|.*)"
    # %elif cookiecutter.database == "mysql"
    r"|(?<=Duplicate entry ').*(?=' for key)"
    # %endif
)
SECRET_PARAMETERS = ("key", "token", "uidb64")


def mask(text: str) -> str:
    return SECRETS.sub(r"\1***", text)


def mask_path(request: HttpRequest) -> str:
    """Return the path without the values of secret parameters of its route."""
    path, match = request.path, request.resolver_match
    for name in SECRET_PARAMETERS:
        if match and (value := match.kwargs.get(name)):
            path = path.replace(str(value), "***")
    return path
