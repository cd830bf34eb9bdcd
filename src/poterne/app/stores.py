"""Opening an instance's store, for every process and for the command line."""

import importlib.readers  # noqa: F401  (importlib.resources needs it later, when privileges may be gone)
from pathlib import Path

from poterne.config.settings import Settings
from poterne.store.interface import Finding, Store
from poterne.store.sqlite.backup import restore
from poterne.store.sqlite.connection import BUSY_MS, connect
from poterne.store.sqlite.engine import open_store
from poterne.store.sqlite.migrate import is_current
from poterne.store.sqlite.transaction import Limits


def open_instance_store(data: Path, settings: Settings) -> Store:
    """The store in an instance's data folder, created or migrated where needed. Raises StoreError."""
    return open_store(
        data,
        limits=Limits(undelete_s=settings.retention.undelete_days * 86_400, annotations=settings.imap.metadata_entries),
        segment_bytes=settings.store.segment_bytes,
        grace_s=settings.store.grace_s,
    )


def needs_no_migration(data: Path) -> bool:
    """Is the store there and of this version's schema, so that opening it changes nothing? Raises StoreError."""
    connection = connect(data, busy_ms=BUSY_MS, cache_kib=256, read_only=True)
    try:
        return is_current(connection)
    finally:
        connection.close()


def restore_instance_store(backup: Path, data: Path) -> list[Finding]:
    """Make the store of a new instance from a backup and check it; [] is sound. Raises StoreError."""
    return restore(backup, data)
