"""A connection is looked at before it is used, without asking the server."""

import socket
from contextlib import nullcontext
from types import SimpleNamespace

import psycopg
import pytest

from apps.operations.pool import check_connection
from apps.operations.postgresql.base import DatabaseWrapper


class Connection(SimpleNamespace):
    autocommit = True
    closed = False

    def cursor(self) -> nullcontext["Connection"]:
        return nullcontext(self)

    def execute(self, query: str) -> None:
        raise psycopg.OperationalError("the server has closed the connection")


class Pool:
    drained = False

    def drain(self) -> None:
        self.drained = True


def is_usable(connection: Connection, *, after_an_error: bool = False) -> bool:
    """What Django asks of a connection that a thread has kept."""
    wrapper = DatabaseWrapper({})
    wrapper.connection = connection
    wrapper.errors_occurred = after_an_error
    return wrapper.is_usable()


def test_a_silent_connection_can_be_used() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        check_connection(Connection(fileno=ours.fileno))
        assert is_usable(Connection(fileno=ours.fileno))


def test_after_an_error_the_server_is_asked() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert not is_usable(Connection(fileno=ours.fileno), after_an_error=True)


def test_a_connection_that_was_closed_cannot_be_used() -> None:
    assert not is_usable(Connection(closed=True))
    assert not DatabaseWrapper({}).is_usable()


@pytest.mark.parametrize("last_words", [b"", b"terminating connection"])
def test_a_connection_that_the_server_has_ended_cannot(last_words: bytes) -> None:
    ours, theirs = socket.socketpair()
    pool = Pool()
    with ours, theirs:
        theirs.sendall(last_words)
        theirs.close()
        with pytest.raises(psycopg.OperationalError):
            check_connection(Connection(fileno=ours.fileno, _pool=pool))
        assert not is_usable(Connection(fileno=ours.fileno))
    assert pool.drained
