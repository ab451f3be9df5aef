"""Whether a connection of the pool can still be used."""

import select
from typing import Any

import psycopg
from psycopg_pool import ConnectionPool


def check_connection(connection: Any) -> None:
    """Raise ``psycopg.OperationalError`` where the server has ended the connection.

    Its last words, or the end itself, wait in the socket then; where nothing waits the server need not be asked, which
    would take as long as a small query. A server that vanished without a word is noticed by neither.
    """
    socket = select.poll()
    socket.register(connection.fileno(), select.POLLIN)
    if not socket.poll(0):
        return
    try:
        ConnectionPool.check_connection(connection)
    except psycopg.OperationalError:
        # The others have mostly ended with it, and who is given two such in a row waits for too long.
        connection._pool.drain()
        raise
