"""The id that ties together the response, the log lines and the error report of one request."""

import os
import re
from collections.abc import Mapping
from contextvars import ContextVar
from random import Random
from typing import Any

# No Django import here: the logs need it before the settings are there.
_request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
# Of its own: were the shared one seeded by somebody, ids would repeat. A worker must not go on where its master was.
_numbers = Random()  # noqa: S311 - no secret
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_numbers.seed)
_WELL_FORMED = re.compile(r"[A-Za-z0-9._-]{1,128}")


def current_request_id() -> str | None:
    """The id of the request that is being served, None outside one."""
    return _request_id.get()


def proposed_id(meta: Mapping[str, Any]) -> str:
    """What came as X-Request-ID. From META, because Django makes ``request.headers`` of all headers of a request."""
    proposed: str = meta.get("HTTP_X_REQUEST_ID", "")
    return proposed


def choose_request_id(proposed: str) -> str:
    """The proposed id where it is well formed, a new one elsewhere."""
    # No system call, in which another thread would take over.
    return proposed if _WELL_FORMED.fullmatch(proposed) else f"{_numbers.getrandbits(128):032x}"


def begin_request(proposed: str) -> str:
    """Choose an id, which holds until the request's context ends."""
    request_id = choose_request_id(proposed)
    _request_id.set(request_id)
    return request_id


# %if cookiecutter.task_queue != "none"
def resume_request(request_id: str | None) -> None:
    """Take up the id of the request that enqueued a task, None where no request did."""
    _request_id.set(request_id)


# %endif
def end_request(**kwargs: object) -> None:
    """A receiver of ``request_finished``: a thread that serves again must not log under the old id."""
    _request_id.set(None)
