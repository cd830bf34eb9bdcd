"""What cannot be seen through the interface: rows that go with an account, and bounds of what is remembered."""

from collections.abc import AsyncIterator
from pathlib import Path

import apsw
import pytest

from poterne.store.sqlite import recipients_checked, routing
from poterne.store.sqlite.connection import DATABASE_NAME
from poterne.store.sqlite.engine import SqliteStore, open_store
from poterne.store.sqlite.transaction import Tx
from poterne.values.ids import AccountId
from poterne.values.retention import Rule, What
from poterne.values.secret import Secret
from poterne.values.sender import SenderScope
from poterne.values.sending import SendingLimits
from tests.support.stores import AT, Clock, World, event

SCOPE = SenderScope(("shop@example.org",), ("*",))


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    store = open_store(tmp_path, clock=Clock())
    made = World(store, tmp_path, Clock())
    await made.settle()
    yield made
    await store.close()


def engine(world: World) -> SqliteStore:
    assert isinstance(world.store, SqliteStore)
    return world.store


def write(world: World, sql: str) -> None:
    with apsw.Connection(str(world.folder / DATABASE_NAME)) as connection:
        connection.execute(sql).fetchall()


def column(world: World, sql: str) -> list[object]:
    connection = apsw.Connection(str(world.folder / DATABASE_NAME))
    try:
        return [value for (value,) in connection.execute(sql).fetchall()]
    finally:
        connection.close()


async def use(world: World, account_id: AccountId, address: str, sender: str) -> None:
    """All that an account may have rows of."""
    await world.store.set_limits(account_id, SendingLimits(1, 2, 3, 4), event())
    await world.store.set_forwards(account_id, ["x@one.example", "y@one.example"], False, event())
    await world.store.add_alias(f"{sender}-list@example.org", [address], event())
    await world.store.add_sender(sender, account_id, SCOPE, Secret("x"), 0, event())
    await world.store.keyword_bits(account_id, ["one", "two"])
    for what in (What.TRASH, What.FETCHED):
        await world.store.set_retention_rule(Rule(what, 9, account_id=account_id), event())
    await world.store.import_source(account_id, "files")
    write(
        world,
        f"INSERT INTO mailbox_right VALUES ({account_id}, 1, 0, 'example.org', 3), ({account_id}, 2, 0, 'example.org', 3)",
    )
    write(
        world,
        f"INSERT INTO annotation VALUES ({account_id}, 1, 0, '/shared/a', 1, x''), ({account_id}, 1, 0, '/shared/b', 1, x'')",
    )
    write(world, f"INSERT INTO correspondent VALUES ({account_id}, 1, 0), ({account_id}, 2, 0)")
    for origin in (f"account:{address}", f"sender:{sender}"):
        write(world, f"INSERT INTO sending_usage VALUES ('{origin}', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)")
        write(world, f"INSERT INTO sending_repeat VALUES ('{origin}', 1, 0, 0, 0), ('{origin}', 2, 0, 0, 0)")


TABLES = {
    "account": 1,
    "account_counter": 1,
    "account_forward": 2,
    "alias_target": 1,
    "annotation": 2,
    "correspondent": 2,
    "import_source": 1,
    "keyword": 2,
    "mailbox": 3,
    "mailbox_right": 2,
    "retention_rule": 2,
    "sender": 1,
    "subscription": 3,
}


async def test_removed_account_leaves_no_rows(world: World) -> None:
    bob = await world.account("bob@example.org")
    await use(world, world.alice, "alice@example.org", "shop")
    await use(world, bob, "bob@example.org", "cron")
    for table, rows in TABLES.items():
        assert column(world, f"SELECT account_id FROM {table} WHERE account_id = {bob}") == [bob] * rows, table
    await world.store.remove_account(bob, event())
    for table, rows in TABLES.items():
        assert column(world, f"SELECT account_id FROM {table}") == [world.alice] * rows, table
    for table, rows in (("sending_usage", 1), ("sending_repeat", 2)):
        found = column(world, f"SELECT origin FROM {table} ORDER BY origin")
        assert found == ["account:alice@example.org"] * rows + ["sender:shop"] * rows
    assert column(world, "SELECT local_part FROM alias") == ["shop-list"]
    assert await world.store.check() == []


async def test_no_table_of_accounts_is_forgotten(world: World) -> None:
    """A table with an account in it that is not named above is either purged later, or missing in `remove_account`."""
    later = {"expunged", "flag_change", "message", "quarantine", "removed_account", "thread_reference"}
    later |= {"fetched", "imported", "kept_message"}
    against_it = {"legal_hold"}
    of_nobody_else = {"event", "incident", "queue_message"}  # what happened, and what waits, is not undone
    found = column(
        world,
        "SELECT m.name FROM sqlite_master m JOIN pragma_table_info(m.name) c ON c.name = 'account_id' WHERE m.type = 'table'",
    )
    assert set(found) == set(TABLES) | later | against_it | of_nobody_else


async def test_check_tells_of_rows_of_nobody(world: World) -> None:
    write(world, f"INSERT INTO account_forward VALUES ({world.alice + 7}, 'x@one.example')")
    (finding,) = await world.store.check()
    assert not finding.fatal
    assert finding.what == "account 8: forward to x@one.example is of an account that does not exist"


async def test_check_tells_of_rights_of_nobody(world: World) -> None:
    write(world, f"INSERT INTO mailbox_right VALUES ({world.alice}, 1, {world.alice + 7}, '', 3)")
    write(world, f"INSERT INTO mailbox_right VALUES ({world.alice}, 99, 0, 'example.org', 3)")
    nobody, nowhere = await world.store.check()
    assert not nobody.fatal
    assert nobody.what == "account 8: right in mailbox 1 of account 1 is of an account that does not exist"
    assert nowhere.what == "account 1: right of account 0 in mailbox 99, which is not there"


async def test_check_tells_of_annotations_of_nothing(world: World) -> None:
    write(world, f"INSERT INTO annotation VALUES ({world.alice}, 77, 9, '/private/x', 1, x'')")
    assert [finding.what for finding in await world.store.check()] == [
        "account 9: annotation in mailbox 77 of account 1 is of an account that does not exist",
        "account 1: annotation /private/x of mailbox 77, which is not there",
    ]


async def test_routes_of_long_lists_are_remembered_within_bounds(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routing, "_MOST_NAMES", 1_000)
    await world.store.add_alias("list@example.org", [], event(), forwards=[f"m{n}@one.example" for n in range(300)])
    routes = routing.Routes(engine(world)._reader)
    for number in range(50):
        assert len(routes.route(f"list+{number}", "example.org").forwards) == 300
        assert 1 <= len(routes._known) <= 3
    before = routes.route("list", "example.org")
    assert routes.route("list", "example.org") is before
    routes.route("nobody", "example.org")
    assert ("nobody", "example.org") not in routes._known


async def test_answers_of_internal_servers_are_bounded(world: World) -> None:
    store = engine(world)

    def note(tx: Tx, number: int, known: bool) -> None:
        recipients_checked.note(tx, f"u{number}@inside.example", known, AT + number, most=100, spare=10)

    async def numbers() -> list[int]:
        found = column(world, "SELECT address FROM recipient_check ORDER BY checked_at")
        return [int(str(address).partition("@")[0][1:]) for address in found]

    for number in range(100):
        await store._writer.submit_soon(note, number, known=number < 50)
    assert await numbers() == list(range(100))
    await store._writer.submit_soon(note, 99, known=False)  # nothing new
    assert len(await numbers()) == 100
    for number in range(100, 500):  # guesses push out guesses only
        await store._writer.submit_soon(note, number, known=False)
        assert len(await numbers()) <= 100
    found = await numbers()
    assert found[:50] == list(range(50))
    assert found[50:] == list(range(500 - len(found[50:]), 500))
    for number in range(500, 700):  # the oldest of those that are known go only for others that are known
        await store._writer.submit_soon(note, number, known=True)
    found = await numbers()
    assert 89 <= len(found) <= 100
    assert found == list(range(700 - len(found), 700))
    write(world, "DELETE FROM recipient_check")  # derived: may be emptied at any time
    for number in range(30):
        await store._writer.submit_soon(note, number, known=True)
    assert len(await numbers()) > 10
    assert column(world, "SELECT value FROM meta WHERE key = 'recipient_checks'") == [len(await numbers())]
