"""Backup of a running store, and restore of a stopped one."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

import apsw

from poterne.store.blobs.backup import copy_segments, pinned
from poterne.store.blobs.files import REAL
from poterne.store.blobs.folder import SegmentFolder
from poterne.store.errors import ConflictError, NotFoundError, UnavailableError
from poterne.store.interface import Finding
from poterne.store.sqlite.check import check, snapshot
from poterne.store.sqlite.connection import DATABASE_NAME, connect, unavailable
from poterne.store.sqlite.layout import BLOB_FOLDER, INSTANCE_LOCK
from poterne.store.sqlite.lock import FileLock
from poterne.store.sqlite.migrate import require_known_history

Progress = Callable[[int, int], None]

MANIFEST: Final = "backup.json"
_FORMAT: Final = 1
_STEP_PAGES: Final = 2_000
_UNFINISHED: Final = ".unfinished"


def backup(
    connection: apsw.Connection, blobs: SegmentFolder, folder: Path, now: int, progress: Progress | None = None
) -> None:
    """A consistent copy in `folder`, which is new, empty, or an earlier backup (then only what is new is copied).

    The database's snapshot comes first and then all segments that exist, so that each row's bytes are there; compaction
    waits meanwhile. An interrupted backup leaves the earlier one of the same folder as it was.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if any(folder.iterdir()) and not (folder / MANIFEST).exists() and not (folder / (MANIFEST + _UNFINISHED)).exists():
        raise ConflictError(f"{folder} has files that are no backup; name an empty folder")
    (folder / (MANIFEST + _UNFINISHED)).touch()
    copy = folder / (DATABASE_NAME + _UNFINISHED)
    with pinned(blobs), snapshot(connection):
        _copy_database(connection, copy, progress)
        copied = copy_segments(blobs, str(folder / BLOB_FOLDER), progress=progress)
    copy.replace(folder / DATABASE_NAME)
    manifest = folder / (MANIFEST + _UNFINISHED)
    manifest.write_text(json.dumps({"format": _FORMAT, "made_at": now, "copied_bytes": copied}) + "\n")
    _sync(manifest)
    manifest.replace(folder / MANIFEST)
    _sync(folder)


def restore(folder: Path | str, target: Path | str, progress: Progress | None = None) -> list[Finding]:
    """Put a backup into the data folder of a stopped instance that has no database, and check it there completely.

    Gives the findings of the check ([]: sound). Raises NotFoundError if `folder` is no backup, ConflictError if the
    target is in use or not empty, UnavailableError if the disk refuses or the backup's database is damaged.
    """
    folder, target = Path(folder), Path(target)
    if not (folder / MANIFEST).exists() or not (folder / DATABASE_NAME).exists():
        raise NotFoundError(f"{folder} is not a finished backup")
    if json.loads((folder / MANIFEST).read_text())["format"] != _FORMAT:
        raise UnavailableError(f"{folder} was made by a newer version; restore it with that one")
    lock = FileLock(target / INSTANCE_LOCK)
    try:
        target.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not lock.acquire(wait=False):
            raise ConflictError(f"{target} is in use; stop the instance first")
        if (target / DATABASE_NAME).exists():
            raise ConflictError(f"{target} has a database; move it away first")
        return _restore(folder, target, progress)
    except OSError as error:
        raise UnavailableError(f"restore: {error}") from error
    except apsw.Error as error:
        raise unavailable(error) from error
    finally:
        lock.close()


def _restore(folder: Path, target: Path, progress: Progress | None) -> list[Finding]:
    copy = target / (DATABASE_NAME + _UNFINISHED)
    shutil.copyfile(folder / DATABASE_NAME, copy)
    copy.chmod(0o600)
    copied = apsw.Connection(str(copy), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        _require_sound(copied)
        require_known_history(copied)
    finally:
        copied.close(force=True)
    segments = str(target / BLOB_FOLDER)
    copy_segments(SegmentFolder(str(folder / BLOB_FOLDER), REAL), segments, progress=progress)
    _sync(copy)
    copy.replace(target / DATABASE_NAME)
    _sync(target)
    connection = connect(target, busy_ms=5_000, cache_kib=16_384)
    try:
        return check(connection, SegmentFolder(segments, REAL), progress)
    finally:
        connection.close(force=True)


def _copy_database(source: apsw.Connection, path: Path, progress: Progress | None) -> None:
    """Page by page from the snapshot that `source` holds, so that writers do not make it begin again."""
    path.unlink(missing_ok=True)
    copy = apsw.Connection(str(path))
    try:
        with copy.backup("main", source, "main") as pages:
            while not pages.done:
                pages.step(_STEP_PAGES)
                if progress is not None:
                    progress(pages.page_count - pages.remaining, pages.page_count)
        copy.execute("PRAGMA journal_mode=DELETE").fetchall()  # one file, no log beside it
        _require_sound(copy)
    finally:
        copy.close(force=True)
    path.chmod(0o600)
    _sync(path)


def _require_sound(connection: apsw.Connection) -> None:
    found = connection.execute("PRAGMA quick_check(1)").fetchall()
    if found != [("ok",)]:
        raise UnavailableError(f"the database is damaged: {found[0][0]}; run the check, restore an older backup")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
