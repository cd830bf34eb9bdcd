"""Opening: versions, migrations, locks, restore."""

import asyncio
from pathlib import Path

import apsw
import pytest

from poterne.store.errors import ConflictError, NotFoundError, UnavailableError
from poterne.store.interface import Store
from poterne.store.sqlite import migrate
from poterne.store.sqlite.backup import restore
from poterne.store.sqlite.connection import DATABASE_NAME, require_sound_sqlite
from poterne.store.sqlite.engine import open_store
from poterne.store.sqlite.layout import WRITERS_LOCK
from poterne.store.sqlite.lock import FileLock
from tests.support.stores import ALL, INBOX, Clock, World


@pytest.mark.parametrize("version", ["3.7.0", "3.40.1", "3.51.2"])
def test_sqlite_that_damages_databases_is_refused(version: str) -> None:
    with pytest.raises(UnavailableError, match="lock file"):
        require_sound_sqlite(version)


@pytest.mark.parametrize("version", ["3.51.3", "3.54.1", "4.0.0"])
def test_sound_sqlite(version: str) -> None:
    require_sound_sqlite(version)


def database(folder: Path) -> apsw.Connection:
    return apsw.Connection(str(folder / DATABASE_NAME))


def make(folder: Path) -> None:
    store: Store = open_store(folder)
    asyncio.run(store.close())


def test_database_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    make(tmp_path)
    with database(tmp_path) as connection:
        connection.execute("INSERT INTO migration VALUES (9999, 'future', 'x', 0)")
    connection.close()
    with pytest.raises(UnavailableError, match=r"newer version.*restore a backup"):
        open_store(tmp_path)


def test_changed_migration_is_refused(tmp_path: Path) -> None:
    make(tmp_path)
    with database(tmp_path) as connection:
        connection.execute("UPDATE migration SET checksum = 'x' WHERE number = 1")
    connection.close()
    with pytest.raises(UnavailableError, match=r"0001.*install the released package"):
        open_store(tmp_path)


def test_migrations_are_applied_once_and_whole(tmp_path: Path) -> None:
    connection = database(tmp_path)
    first = migrate.Migration(1, "first", "CREATE TABLE a (b); INSERT INTO a VALUES (1)")
    second = migrate.Migration(2, "second", "UPDATE a SET b = b + 1; ALTER TABLE a ADD COLUMN c")
    assert migrate.migrate(connection, 5, [first]) == 1
    assert migrate.migrate(connection, 6, [first, second]) == 1
    assert migrate.migrate(connection, 7, [first, second]) == 0
    assert connection.execute("SELECT * FROM a").fetchall() == [(2, None)]
    broken = migrate.Migration(3, "third", "UPDATE a SET b = 100; nonsense")
    with pytest.raises(apsw.Error):
        migrate.migrate(connection, 8, [first, second, broken])
    assert connection.execute("SELECT b FROM a").fetchall() == [(2,)]
    assert sorted(migrate.applied(connection)) == [1, 2]
    connection.close()


def test_shipped_migrations_are_numbered_without_gaps() -> None:
    assert [migration.number for migration in migrate.shipped()] == list(range(1, len(migrate.shipped()) + 1))


def test_folder_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UnavailableError):
        open_store(tmp_path / "file" / "data")
    (tmp_path / "data" / DATABASE_NAME).mkdir(parents=True)
    with pytest.raises(UnavailableError, match=DATABASE_NAME):
        open_store(tmp_path / "data")


def test_opening_waits_for_the_lock_but_not_for_ever(tmp_path: Path) -> None:
    make(tmp_path)
    lock = FileLock(tmp_path / WRITERS_LOCK)
    assert lock.acquire()
    with pytest.raises(UnavailableError, match=WRITERS_LOCK):
        open_store(tmp_path, wait_limit_s=0.1)
    lock.close()
    make(tmp_path)


def test_several_event_loops_one_after_the_other(tmp_path: Path) -> None:
    """As the command line does it."""
    store = open_store(tmp_path)
    world = World(store, tmp_path, Clock())
    asyncio.run(world.settle())
    asyncio.run(world.deliver())
    assert asyncio.run(world.uids()) == [1]
    asyncio.run(store.close())


async def filled(folder: Path) -> World:
    world = World(open_store(folder), folder, Clock())
    await world.settle()
    for number in range(20):
        await world.deliver(b"message %d" % number)
    return world


async def test_restore(tmp_path: Path) -> None:
    world = await filled(tmp_path / "data")
    await world.store.backup(str(tmp_path / "copy"))
    before = await world.store.mailboxes(world.alice)
    await world.store.remove(world.alice, INBOX, ALL)
    await world.store.close()
    assert restore(tmp_path / "copy", tmp_path / "again") == []
    store = open_store(tmp_path / "again")
    assert await store.mailboxes(world.alice) == before
    bodies = [store.blobs.read(wide.blob) for wide in store.contents(world.alice, INBOX, ALL)]
    assert bodies == [b"message %d" % number for number in range(20)]
    assert await store.check() == []
    await store.close()


async def test_restore_refuses(tmp_path: Path) -> None:
    world = await filled(tmp_path / "data")
    await world.store.backup(str(tmp_path / "copy"))
    with pytest.raises(ConflictError, match="in use"):
        restore(tmp_path / "copy", tmp_path / "data")
    await world.store.close()
    with pytest.raises(ConflictError, match="move it away"):
        restore(tmp_path / "copy", tmp_path / "data")
    with pytest.raises(NotFoundError):
        restore(tmp_path / "data", tmp_path / "again")
    (tmp_path / "copy" / DATABASE_NAME).write_bytes(b"x" * 10_000)
    with pytest.raises(UnavailableError):
        restore(tmp_path / "copy", tmp_path / "again")
    assert not (tmp_path / "again" / DATABASE_NAME).exists()


async def test_restore_tells_of_a_damaged_message(tmp_path: Path) -> None:
    world = await filled(tmp_path / "data")
    await world.store.backup(str(tmp_path / "copy"))
    await world.store.close()
    (segment,) = (tmp_path / "copy" / "messages").glob("*.seg")
    data = bytearray(segment.read_bytes())
    data[data.index(b"message 3")] ^= 1
    segment.write_bytes(data)
    (finding,) = restore(tmp_path / "copy", tmp_path / "again")
    assert finding.fatal
