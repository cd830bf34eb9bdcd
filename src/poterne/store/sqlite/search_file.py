"""`search.db`: the index of texts, beside the store's database and apart from it. It may be removed at any time.

    indexed   up to which content of an account all are in the index, and what that content is (`mark`)
    block     contents `first` … `last` of an account, numbers of the account; blocks of an account do not overlap
    posting   which documents of a block have a gram, see `search_grams`

All keys start with the account. A block and how far the account is indexed change in one transaction, so that a crash at any
moment leaves an index that is true, only older. Commits are not synced: after a power loss a few of the last may be missing, and
are made again. A file that is damaged, of another version or not there is no index; `Opened` notices when another process has
put a new one in its place.
"""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, final

import apsw

from poterne.store.sqlite.connection import Row

SEARCH_NAME: Final = "search.db"
SEARCH_LOCK: Final = "search.lock"
"""Held by who writes the index."""
_FORM: Final = 1
"""To be raised whenever the folding of text or the cutting of words changes."""
VERSION: Final = _FORM * 10_000 + sys.version_info.major * 100 + sys.version_info.minor
"""Another one, and the index is made anew. Which letters fold to which, and what a charset means, comes with Python."""
_BUSY_MS: Final = 2_000
_CACHE_KIB: Final = 2_048
_LOG_BYTES: Final = 16 * 1024 * 1024
_SCHEMA: Final = f"""
CREATE TABLE indexed (
    account_id INTEGER PRIMARY KEY,
    upto INTEGER NOT NULL,
    mark_id INTEGER NOT NULL,
    mark INTEGER NOT NULL
) STRICT;
CREATE TABLE block (
    account_id INTEGER NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    documents INTEGER NOT NULL,
    written_at INTEGER NOT NULL,
    PRIMARY KEY (account_id, first)
) WITHOUT ROWID, STRICT;
CREATE TABLE posting (
    account_id INTEGER NOT NULL,
    first INTEGER NOT NULL,
    gram INTEGER NOT NULL,
    documents BLOB NOT NULL,
    PRIMARY KEY (account_id, first, gram)
) WITHOUT ROWID, STRICT;
PRAGMA user_version = {VERSION};
"""


@final
class Opened:
    """The file as one process has it open, to read or to write. Raises apsw.Error and OSError."""

    def __init__(self, folder: Path, *, write: bool = False) -> None:
        self._path: Final = folder / SEARCH_NAME
        self._write: Final = write
        self._connection: apsw.Connection | None = None
        self._file = (0, 0)

    def connection(self) -> apsw.Connection | None:
        """None: there is no index, or one of another version. A writer makes what is missing."""
        try:
            stat = self._path.stat()
            found = (stat.st_dev, stat.st_ino)
        except FileNotFoundError:
            found = (0, 0)
        if self._connection is not None and found == self._file:
            return self._connection
        self.close()
        if found == (0, 0) and not self._write:
            return None
        return self._open()

    def _open(self) -> apsw.Connection | None:
        if self._write:  # SQLite gives its log files the mode of the database
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        stat = self._path.stat()  # before it is opened: if it is replaced meanwhile, the next look will see it
        connection = apsw.Connection(str(self._path), flags=apsw.SQLITE_OPEN_READWRITE, statementcachesize=20)
        try:
            connection.set_busy_timeout(_BUSY_MS if self._write else 100)
            for pragma in (
                "journal_mode=WAL",
                "synchronous=NORMAL",
                "wal_autocheckpoint=0" if self._write else "query_only=1",
                f"cache_size=-{_CACHE_KIB}",
                f"journal_size_limit={_LOG_BYTES}",
                "temp_store=MEMORY",
                "trusted_schema=OFF",
            ):
                connection.execute(f"PRAGMA {pragma}").fetchall()
            version = connection.execute("PRAGMA user_version").fetchall()[0][0]
            if version != VERSION and not (self._write and _made_anew(connection)):
                connection.close()
                return None
        except BaseException:
            connection.close(force=True)
            raise
        self._connection = connection
        self._file = (stat.st_dev, stat.st_ino)
        return connection

    def all(self, sql: str, args: tuple[Any, ...] = ()) -> list[Row]:
        """All rows; none where there is no index."""
        connection = self.connection()
        return [] if connection is None else connection.execute(sql, args).fetchall()

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[apsw.Connection | None]:
        """Reads inside see one state. None: there is no index."""
        connection = self.connection()
        if connection is None:
            yield None
            return
        connection.execute("BEGIN")
        try:
            yield connection
        finally:
            with contextlib.suppress(apsw.Error):
                connection.execute("ROLLBACK")

    @contextlib.contextmanager
    def change(self) -> Iterator[apsw.Connection]:
        """One change: undone when it is left by an exception."""
        connection = self.connection()
        if connection is None:
            raise apsw.CantOpenError("no index, and none can be made")
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
        except BaseException:
            with contextlib.suppress(apsw.Error):
                connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")

    def remove(self) -> None:
        """The file goes; readers that have it open read on until they look again."""
        self.close()
        for ending in ("", "-wal", "-shm"):
            self._path.with_name(SEARCH_NAME + ending).unlink(missing_ok=True)

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(apsw.Error):
                connection.close(force=True)


def _made_anew(connection: apsw.Connection) -> bool:
    connection.execute("BEGIN IMMEDIATE")
    for table in ("indexed", "block", "posting"):
        connection.execute(f"DROP TABLE IF EXISTS {table}")
    connection.execute(_SCHEMA)
    connection.execute("COMMIT")
    return True
