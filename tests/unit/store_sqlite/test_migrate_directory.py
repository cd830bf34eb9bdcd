"""A directory of before outbound mail: everything is kept, and what is new has its defaults."""

import asyncio
from pathlib import Path

import apsw
import pytest

from poterne.store.sqlite import migrate
from poterne.store.sqlite.connection import DATABASE_NAME
from poterne.store.sqlite.engine import open_store
from poterne.values.directory import Account, Alias, Domain, Forward, Posting, Route, RouteKind
from poterne.values.ids import AccountId
from poterne.values.sender import SenderScope
from tests.support.stores import AT, Clock, event

OLD = """
INSERT INTO domain VALUES ('example.org', 5), ('b.example', 6);
INSERT INTO account (domain, local_part, name, language, verifier, disabled, created_at) VALUES
    ('example.org', 'alice', 'Alice', 'fr', x'616c', 0, 7), ('b.example', 'bob+x', '', 'en', x'626f', 1, 8);
INSERT INTO account_counter (account_id, quota_bytes, used_bytes, last_uid_validity) VALUES (1, 100, 0, 9), (2, 0, 0, 9);
INSERT INTO keyword VALUES (1, 0, '$Label', '$label');
INSERT INTO alias VALUES ('example.org', 'info', 10), ('b.example', 'all', 11);
INSERT INTO alias_target VALUES ('example.org', 'info', 1), ('b.example', 'all', 1), ('b.example', 'all', 2);
UPDATE meta SET value = 41 WHERE key = 'directory_serial';
"""
ALICE, BOB = AccountId(1), AccountId(2)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With a database as the version before left it."""
    connection = apsw.Connection(str(tmp_path / DATABASE_NAME))
    assert migrate.migrate(connection, AT, migrate.shipped()[:2]) == 2
    connection.execute(OLD)
    connection.close()
    return tmp_path


async def test_directory_is_kept(folder: Path) -> None:
    store = open_store(folder, clock=Clock())
    assert await store.domains() == [Domain("b.example", 6), Domain("example.org", 5)]
    alice = Account(ALICE, "alice@example.org", "Alice", "fr", False, 100, 0, 7, ("$Label",))
    bob = Account(BOB, "bob+x@b.example", "", "en", True, 0, 0, 8)
    assert await store.accounts() == [bob, alice]
    assert (alice.limits, alice.forwards, alice.keeps) == (None, (), True)
    assert (await store.credential("alice@example.org")).verifier.reveal() == b"al"
    info, everybody = (
        Alias("info@example.org", ("alice@example.org",), 10),
        Alias("all@b.example", ("bob+x@b.example", "alice@example.org"), 11),
    )
    assert await store.aliases() == [everybody, info]
    assert (info.forwards, info.posting, info.posters) == ((), Posting.ANYONE, ())
    assert await store.route("all", "b.example") == Route(RouteKind.ACCOUNTS, (ALICE, BOB), limited=(ALICE,))
    assert await store.route("postmaster", "b.example") == Route(RouteKind.ACCOUNTS, (BOB,))
    assert await store.senders() == []
    assert await store.check() == []
    await store.close()


async def test_what_is_new_can_be_used(folder: Path) -> None:
    store = open_store(folder, clock=Clock())
    assert (await store.route("alice", "example.org")).forwards == ()  # remembered
    await store.set_forwards(ALICE, ["a@one.example"], True, event())
    assert await store.route("alice", "example.org") == Route(
        RouteKind.ACCOUNTS, (ALICE,), (Forward("a@one.example", "alice@example.org", ALICE),), limited=(ALICE,)
    )
    made = await store.add_sender("shop", ALICE, SenderScope(("a@example.org",), ("*",)), None, 0, event())
    assert await store.senders() == [made]
    await store.close()


def test_opened_again_nothing_is_left_to_do(folder: Path) -> None:
    for _ in range(2):
        asyncio.run(open_store(folder, clock=Clock()).close())
    connection = apsw.Connection(str(folder / DATABASE_NAME))
    assert sorted(migrate.applied(connection)) == [each.number for each in migrate.shipped()]
    serial = connection.execute("SELECT value FROM meta WHERE key = 'directory_serial'").fetchall()
    assert serial == [(41,)]
    connection.close()
