"""How a browser gets an upload: a plain image on a page, anything else as a download.

https://docs.djangoproject.com/en/stable/topics/security/#user-uploaded-content
"""

import mimetypes
from typing import Any

IMAGES = {"image/avif", "image/gif", "image/jpeg", "image/png", "image/webp"}


def describe(name: str) -> dict[str, Any]:
    """Return what the store is told of a file, by its name alone.

    What the sender calls its type may be text/html, with a script.
    """
    kind, encoding = mimetypes.guess_type(name)
    if encoding or not kind:
        kind = "application/octet-stream"
    disposition = "inline" if kind in IMAGES else "attachment"
    # %if cookiecutter.media_storage == "s3"
    return {"ContentType": kind, "ContentDisposition": disposition}
    # %else
    return {
        "content_type": kind,
        "content_disposition": disposition,
        "content_encoding": None,
    }
    # %endif
