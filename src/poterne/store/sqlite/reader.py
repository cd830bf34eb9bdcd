"""Short indexed reads on the event loop's thread, from one connection.

Each statement is run to its end before anything else happens, so that no read transaction stays open: it would keep the
write-ahead log from being emptied.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import apsw

from poterne.store.errors import UnavailableError
from poterne.store.sqlite.connection import Row, is_broken, unavailable


class Reader:
    """One connection that reads. Opened at first use, and again after an error that broke it."""

    __slots__ = ("_closed", "_connect", "_connection", "_data_version", "_version")

    def __init__(self, connect: Callable[[], apsw.Connection]) -> None:
        self._connect = connect
        self._connection: apsw.Connection | None = None
        self._closed = False
        self._data_version = -1
        self._version = 0

    def all(self, sql: str, args: tuple[Any, ...] = ()) -> list[Row]:
        """All rows. Raises UnavailableError."""
        try:
            return (self._connection or self._opened()).execute(sql, args).fetchall()
        except apsw.Error as error:
            raise self._failed(error) from error
        except (OverflowError, UnicodeError) as error:  # no such number or text can be in the database
            raise unavailable(error) from error

    def one(self, sql: str, args: tuple[Any, ...] = ()) -> Row | None:
        """The first row of a statement that gives at most one. Raises UnavailableError."""
        rows = self.all(sql, args)
        return rows[0] if rows else None

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[None]:
        """Reads inside see one state of the database. Not across an await."""
        self.all("BEGIN")
        try:
            yield
        finally:
            if self._connection is not None and self._connection.in_transaction:
                self.all("COMMIT")

    def version(self) -> int:
        """A number that grows when anyone, this process included, committed: what caches hang on."""
        found: int = self.all("PRAGMA data_version")[0][0]
        if found != self._data_version:
            self._data_version = found
            self._version += 1
        return self._version

    def close(self) -> None:
        self._closed = True
        self._drop()

    def _opened(self) -> apsw.Connection:
        if self._closed:
            raise UnavailableError("the store is closed")
        self._connection = self._connect()
        self._version += 1
        self._data_version = -1
        return self._connection

    def _failed(self, error: apsw.Error) -> UnavailableError:
        if is_broken(error):
            self._drop()
        return unavailable(error)

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(apsw.Error):  # the last one to close checkpoints: on a disk that may be broken
                connection.close(force=True)
