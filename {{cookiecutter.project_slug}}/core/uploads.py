"""How a browser gets an upload: a plain image on a page, anything else as a download.

https://docs.djangoproject.com/en/stable/topics/security/#user-uploaded-content
"""

import mimetypes

IMAGES = {"image/avif", "image/gif", "image/jpeg", "image/png", "image/webp"}


def describe(name: str) -> tuple[str, str]:
    """Return Content-Type and Content-Disposition, by the name of the file alone.

    What the sender calls its type may be text/html, with a script.
    """
    kind, encoding = mimetypes.guess_type(name)
    if encoding or not kind:
        return "application/octet-stream", "attachment"
    return kind, "inline" if kind in IMAGES else "attachment"
