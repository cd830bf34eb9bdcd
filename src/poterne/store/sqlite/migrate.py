"""Bringing the database to this version's schema, or refusing to touch it."""

import hashlib
import re
from dataclasses import dataclass
from importlib import resources
from typing import Final

import apsw

from poterne.store.errors import UnavailableError

_LEDGER = """
CREATE TABLE IF NOT EXISTS migration (
    number INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    checksum TEXT NOT NULL,
    applied_at INTEGER NOT NULL
) STRICT
"""


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered SQL file."""

    number: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def _read() -> list[Migration]:
    found = [
        Migration(int(match[1]), match[2], file.read_text(encoding="utf-8"))
        for file in resources.files("poterne.store.schema").iterdir()
        if (match := re.fullmatch(r"(\d{4})_(\w+)\.sql", file.name))
    ]
    return sorted(found, key=lambda migration: migration.number)


_SHIPPED: Final = _read()
"""Read when the code is loaded: later, as the server's user, the files of the installation may be out of reach."""


def shipped() -> list[Migration]:
    """The migrations of this version, by number."""
    return list(_SHIPPED)


def migrate(connection: apsw.Connection, now: int, migrations: list[Migration] | None = None) -> int:
    """Apply what is missing, each in one transaction; gives how many. The caller holds the writers' lock.

    Raises UnavailableError, and changes nothing, when the database is newer than this version or its history differs.
    """
    wanted = shipped() if migrations is None else migrations
    known = applied(connection)
    _require_same_history(known, {migration.number: migration for migration in wanted})
    missing = [migration for migration in wanted if migration.number not in known]
    for migration in missing:
        with connection:
            connection.execute(_LEDGER).fetchall()
            connection.execute(migration.sql).fetchall()
            connection.execute(
                "INSERT INTO migration VALUES (?, ?, ?, ?)", (migration.number, migration.name, migration.checksum, now)
            ).fetchall()
    return len(missing)


def require_known_history(connection: apsw.Connection, migrations: list[Migration] | None = None) -> None:
    """Returns if this version can open the database, now or after migrating it; else raises UnavailableError."""
    wanted = shipped() if migrations is None else migrations
    _require_same_history(applied(connection), {migration.number: migration for migration in wanted})


def is_current(connection: apsw.Connection) -> bool:
    """Nothing is missing, so that opening the store changes nothing in it."""
    return {migration.number for migration in shipped()} <= applied(connection).keys()


def applied(connection: apsw.Connection) -> dict[int, tuple[str, str]]:
    """Number → (name, checksum) of what this database has; empty for a new one."""
    if not connection.table_exists("main", "migration"):
        return {}
    rows = connection.execute("SELECT number, name, checksum FROM migration").fetchall()
    return {int(str(number)): (str(name), str(checksum)) for number, name, checksum in rows}


def _require_same_history(known: dict[int, tuple[str, str]], wanted: dict[int, Migration]) -> None:
    for number, (name, checksum) in sorted(known.items()):
        ours = wanted.get(number)
        if ours is None:
            raise UnavailableError(
                f"the database has migration {number:04} ({name}), which this version does not know: it was made by a "
                "newer version; start that version again, or restore a backup made before the upgrade"
            )
        if ours.checksum != checksum:
            raise UnavailableError(
                f"migration {number:04} ({name}) is not the one this database was made with: the installed files were "
                "changed; install the released package again"
            )
