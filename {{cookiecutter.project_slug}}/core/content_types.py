"""A Content-Type that Django cannot read, which would otherwise be an error before any of the project's code runs."""

from django.utils.http import parse_header_parameters

UNKNOWN = "application/octet-stream"


def readable(content_type: str) -> str:
    """The same, or what RFC 9110 (section 8.3) lets a recipient assume: bytes of which it knows nothing."""
    try:
        parse_header_parameters(content_type)
    except (LookupError, ValueError):
        return UNKNOWN
    return content_type
