"""Under WSGI a body arrives whole, or is refused; a thread forgets its request."""

from io import BytesIO

import pytest
from config.wsgi import application
from core.logs import request_id
from django.test import RequestFactory

FORM = "application/x-www-form-urlencoded"


class Reset(BytesIO):
    """A socket tells of a reset once, and then of an end."""

    def read(self, size=-1):
        if not self.closed:
            self.close()
            raise ConnectionResetError
        return b""


@pytest.mark.parametrize(
    ("received", "status"),
    [
        pytest.param(BytesIO(b"username=a"), 403, id="whole"),
        pytest.param(BytesIO(b"user"), 400, id="the client has closed"),
        pytest.param(Reset(), 400, id="the client is gone"),
    ],
)
def test_a_body_is_read_whole_or_refused(received, status):
    environ = RequestFactory().post("/admin/login/").environ
    environ |= {"CONTENT_TYPE": FORM, "CONTENT_LENGTH": "10", "wsgi.input": received}
    # With the cookie, the form is read for its token, which is missing.
    environ |= {"HTTP_COOKIE": "csrftoken=" + "a" * 32}
    started = []
    application(environ, lambda line, headers: started.append(int(line.split()[0])))
    assert started == [status]


def test_the_id_ends_with_the_request(client):
    assert client.get("/").headers["X-Request-ID"]
    assert request_id.get() is None
