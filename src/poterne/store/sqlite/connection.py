"""Opening a connection: the SQLite version that is refused, the pragmas, and errors by meaning."""

from pathlib import Path
from typing import Any, Final, Protocol

import apsw

from poterne.store.errors import UnavailableError

Row = tuple[Any, ...]
"""A row as SQLite gives it. The schema is STRICT, so a column always has its declared type."""

DATABASE_NAME: Final = "poterne.db"
OLDEST_SQLITE: Final = (3, 51, 3)
PAGE_SIZE_BYTES: Final = 4096
BUSY_MS: Final = 5_000
"""How long a writer waits for a lock of SQLite's own (a checkpoint that cuts the log)."""
CHECKPOINT_PAGES: Final = 8_000

_BROKEN = (apsw.IOError, apsw.CorruptError, apsw.NotADBError, apsw.CantOpenError, apsw.NoMemError, apsw.ReadOnlyError)


class Rows(Protocol):
    """What a read needs: a writing transaction and a reader's snapshot both have it."""

    def all(self, sql: str, args: tuple[Any, ...] = ()) -> list[Row]: ...
    def one(self, sql: str, args: tuple[Any, ...] = ()) -> Row | None: ...


class PlainRows:
    """`Rows` over a connection as it is: inside a transaction one snapshot, else one for each statement."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    def all(self, sql: str, args: tuple[Any, ...] = ()) -> list[Row]:
        return self._connection.execute(sql, args).fetchall()

    def one(self, sql: str, args: tuple[Any, ...] = ()) -> Row | None:
        rows = self.all(sql, args)
        return rows[0] if rows else None


def require_sound_sqlite(version: str | None = None) -> None:
    """Refuses an SQLite with the WAL-reset defect: two connections that write and checkpoint at once damage the file.

    Affected are 3.7.0 to 3.51.2.
    """
    found = tuple(int(part) for part in (version or apsw.sqlite_lib_version()).split(".")[:3])
    if found < OLDEST_SQLITE:
        raise UnavailableError(
            f"SQLite {'.'.join(map(str, found))} can damage a database that several processes write; "
            f"{'.'.join(map(str, OLDEST_SQLITE))} or newer is needed: install the apsw package of the lock file, "
            "which carries its own SQLite"
        )


def is_broken(error: BaseException) -> bool:
    """Whether the connection should be opened anew before it is used again."""
    return isinstance(error, _BROKEN)


def unavailable(error: BaseException) -> UnavailableError:
    """The same failure by meaning. The text is for the log."""
    if isinstance(error, (apsw.CorruptError, apsw.NotADBError)):
        return UnavailableError(f"the database is damaged ({error}); stop the instance and restore a backup")
    return UnavailableError(f"{type(error).__name__}: {error}")


def connect(
    folder: Path,
    *,
    vfs: str | None = None,
    busy_ms: int,
    cache_kib: int,
    checkpoint_pages: int = CHECKPOINT_PAGES,
    read_only: bool = False,
) -> apsw.Connection:
    """A connection to the folder's database, which is created if it is missing.

    `synchronous=FULL` makes each commit durable before it is acknowledged. `checkpoint_pages` is only the fallback:
    the steward checkpoints regularly.
    """
    flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
    try:
        connection = apsw.Connection(str(folder / DATABASE_NAME), flags=flags, vfs=vfs, statementcachesize=200)
    except apsw.Error as error:
        raise unavailable(error) from error
    try:
        connection.set_busy_timeout(busy_ms)
        # Plans do not depend on the values bound: else each statement with ORDER BY is compiled again at each use, 10 µs.
        connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
        for pragma in (
            f"page_size={PAGE_SIZE_BYTES}",
            "journal_mode=WAL",
            "synchronous=FULL",
            f"wal_autocheckpoint={checkpoint_pages}",
            f"cache_size=-{cache_kib}",
            "mmap_size=0",  # no faster here, and an I/O error would be a signal that kills the process
            "temp_store=MEMORY",
            "trusted_schema=OFF",
            f"query_only={int(read_only)}",
        ):
            connection.execute(f"PRAGMA {pragma}").fetchall()
    except apsw.Error as error:
        connection.close()
        raise unavailable(error) from error
    return connection
