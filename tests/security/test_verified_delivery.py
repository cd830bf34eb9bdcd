"""Mail that is not for the inbox must not come there by a detour: over the queue, over a list, over a mailbox that is full."""

import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from poterne.admin import people
from poterne.store.errors import NotFoundError, OverQuotaError
from poterne.store.interface import Store
from poterne.values.ids import TraceId
from poterne.values.mailbox import UidRange
from poterne.values.quarantine import Quarantined
from tests.support.checked import FORGER, LIST, arrive, checking, letter, signed
from tests.support.outside import queued
from tests.support.server import DOMAIN, Instance, wait_for
from tests.support.stores import Clock, World, sqlite
from tests.support.verifying import suspicious

ACTING = people.Acting("test", int(time.time()), TraceId("test"))
LISTED = ("List-Id: Users <users.lists.test>",)
FRIEND = f"alice@{DOMAIN}"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    with checking(tmp_path_factory.mktemp("detours"), lists=["users.lists.test"]) as server:
        server.with_store(_people)
        yield server
        assert not server.events("bug")


async def _people(store: Store) -> None:
    await people.add_account(store, f"full@{DOMAIN}", ACTING, password=None)
    await people.add_alias(store, f"team@{DOMAIN}", [FRIEND, f"full@{DOMAIN}"], ACTING)


def room(server: Instance, quota_bytes: int) -> None:
    async def set_(store: Store) -> None:
        full = await store.account(f"full@{DOMAIN}")
        await store.set_account(full.id, ACTING.event("account.changed"), quota_bytes=quota_bytes)

    server.with_store(set_)


def letters(server: Instance, user: str, word: str, name: str = "INBOX") -> list[bytes]:
    """What is in a mailbox and has this word in it."""

    async def read(store: Store) -> list[bytes]:
        account = await store.account(f"{user}@{DOMAIN}")
        try:
            mailbox = await store.mailbox(account.id, name)
        except NotFoundError:
            return []
        rows = store.contents(account.id, mailbox.id, (UidRange(1, None),))
        return [store.blobs.read(row.blob) for row in rows]

    found: list[bytes] = server.with_store(read)
    return [one for one in found if word.encode() in one]


def quarantined(server: Instance, subject: str) -> list[Quarantined]:
    async def find(store: Store) -> list[Quarantined]:
        return [one for one in await store.quarantined() if one.subject == subject]

    found: list[Quarantined] = server.with_store(find)
    return found


def emptied(server: Instance) -> None:
    """Room for all, and the queue has run."""
    wait_for(lambda: all(one.attempts for one in queued(server)))
    room(server, 0)
    if queued(server):
        server.poterne("queue", "retry", "--to", f"full@{DOMAIN}")
    wait_for(lambda: not queued(server))


@pytest.fixture
def full(server: Instance) -> Iterator[Instance]:
    room(server, 10)
    yield server
    room(server, 0)


def test_junk_for_a_full_member_of_a_list_is_never_in_the_inbox(full: Instance) -> None:
    """It waits in the queue, which knows inboxes only."""
    answer = arrive(full, letter("ann@plain.test", "junk-full"), "ann@plain.test", peer=FORGER, to=[f"team@{DOMAIN}"])
    assert answer.startswith("250")
    assert len(letters(full, "alice", "junk-full", "Junk")) == 1
    emptied(full)
    assert letters(full, "full", "junk-full") == []
    assert len(letters(full, "full", "junk-full", "Junk")) + len(quarantined(full, "junk-full")) == 1


def test_a_forgery_for_a_full_member_of_a_list_is_never_in_the_inbox(full: Instance) -> None:
    forged = signed(letter("ceo@strict.test", "forged-full", *LISTED), "lists.test")
    assert arrive(full, forged, "b@lists.test", peer=LIST, to=[f"team@{DOMAIN}", f"bob@{DOMAIN}"]).startswith("250")
    emptied(full)
    assert letters(full, "full", "forged-full") == []
    assert len(quarantined(full, "forged-full")) == 3


def test_what_a_full_member_gets_later_is_the_inbox_when_it_is_proven(full: Instance) -> None:
    message = signed(letter("ann@strict.test", "proven-full"), "strict.test")
    assert arrive(full, message, "ann@strict.test", to=[f"team@{DOMAIN}"]).startswith("250")
    emptied(full)
    assert len(letters(full, "full", "proven-full")) == 1


async def test_a_quarantine_is_no_way_to_fill_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No quota counts what is in it, and a forger needs no more than a domain of its own to have mail put there."""
    monkeypatch.setattr("poterne.store.sqlite.quarantine.KEPT_BYTES_MOST", 10_000)
    clock = Clock()
    world = World(sqlite(tmp_path, clock), tmp_path, clock)
    await world.settle()
    bob = await world.account("bob@example.org")
    for _ in range(2):
        kept = [await suspicious(world.store, world.alice, b"X: y\r\n\r\n" + b"x" * 4_900)]
        await world.store.deliver([], [], [], quarantined=kept)
    over = await suspicious(world.store, world.alice, b"X: y\r\n\r\n" + b"x" * 400)
    with pytest.raises(OverQuotaError):
        await world.store.deliver([], [], [], quarantined=[over])
    assert len(await world.store.quarantined()) == 2
    await world.store.deliver([], [], [], quarantined=[replace(over, account_id=bob)])
    await world.store.close()


def test_nobody_reads_by_which_forwarder_another_has_the_same_mail(server: Instance) -> None:
    """One message, one text on top of it: what holds for one of its recipients only is not said there."""
    server.with_store(lambda store: people.set_forwarders(store, FRIEND, ["lists.test"], ACTING))
    try:
        message = letter("ann@strict.test", "two-ways")
        both = [FRIEND, f"bob@{DOMAIN}"]
        assert arrive(server, message, "b@lists.test", peer=LIST, to=both).startswith("250")
        first, second = quarantined(server, "two-ways")
        assert {first.reason, second.reason} == {"dmarc-reject+forwarder", "dmarc-reject"}
        (text,) = {server.with_store(_octets(one)) for one in (first, second)}
        reason = text[text.index(b"X-Poterne-Reason") :]
        assert b"X-Poterne-Verdict: quarantine" in text
        assert reason.startswith(b"X-Poterne-Reason: dmarc-reject;")
        assert b"forward" not in reason
        assert b"lists.test" not in reason
    finally:
        server.with_store(lambda store: people.set_forwarders(store, FRIEND, [], ACTING))


def _octets(one: Quarantined) -> Callable[[Store], Awaitable[bytes]]:
    async def read(store: Store) -> bytes:
        return store.blobs.read(one.content.blob)

    return read
