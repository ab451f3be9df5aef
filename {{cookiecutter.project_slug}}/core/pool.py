"""Whether a connection can still be used."""

import select
from typing import Any

import psycopg
from psycopg_pool import ConnectionPool


def is_silent(connection: Any) -> bool:
    """Whether nothing waits in the socket of a ``psycopg.Connection``.

    The last words of a server that has ended it, or the end itself, would wait there; where nothing waits the server
    need not be asked, which would take as long as a small query. One that vanished without a word is noticed by neither.
    """
    if connection.closed:
        return False
    socket = select.poll()
    socket.register(connection.fileno(), select.POLLIN)
    return not socket.poll(0)


def check_connection(connection: Any) -> None:
    """Raise ``psycopg.OperationalError`` where the server has ended a connection of the pool."""
    if is_silent(connection):
        return
    try:
        ConnectionPool.check_connection(connection)
    except psycopg.OperationalError:
        # The others have mostly ended with it, and who is given two such in a row waits for too long.
        connection._pool.drain()
        raise
