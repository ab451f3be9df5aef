"""A connection of the pool is looked at before it is used, without asking the server."""

import socket
from types import SimpleNamespace

import psycopg
import pytest

from apps.operations.pool import check_connection


class Connection(SimpleNamespace):
    autocommit = True

    def execute(self, query: str) -> None:
        raise psycopg.OperationalError("the server has closed the connection")


class Pool:
    drained = False

    def drain(self) -> None:
        self.drained = True


def test_a_silent_connection_can_be_used() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        check_connection(Connection(fileno=ours.fileno))


@pytest.mark.parametrize("last_words", [b"", b"terminating connection"])
def test_a_connection_that_the_server_has_ended_cannot(last_words: bytes) -> None:
    ours, theirs = socket.socketpair()
    pool = Pool()
    with ours, theirs:
        theirs.sendall(last_words)
        theirs.close()
        with pytest.raises(psycopg.OperationalError):
            check_connection(Connection(fileno=ours.fileno, _pool=pool))
    assert pool.drained
