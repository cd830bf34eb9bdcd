"""The index as a file: what it covers, what changes it, and everything that may happen to it."""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import apsw
import pytest

from poterne.store.errors import UnavailableError
from poterne.store.interface import Delivery
from poterne.store.interface_search import SearchWriter
from poterne.store.sqlite.connection import DATABASE_NAME, Row
from poterne.store.sqlite.engine import SqliteStore, open_store
from poterne.store.sqlite.search_file import SEARCH_NAME
from poterne.store.sqlite.search_writer import SLOT
from poterne.values.ids import MailboxId, Uid
from poterne.values.mailbox import ContentRow
from poterne.values.search import Words
from tests.support.stores import AT, INBOX, Clock, World, content, event, only


class Indexed(World):
    """A world with an index; the words of a message are those of its octets."""

    store: SqliteStore

    def read(self, row: ContentRow, words: Words) -> Iterator[None]:
        octets = self.store.blobs.read(row.blob)
        header, _, body = octets.partition(b"\r\n\r\n")
        words.header.update(header.lower().split())
        words.body.update(body.lower().split())
        words.incomplete = b"unreadable" in body
        if b"damaged" in body:
            raise UnavailableError("damaged")
        yield

    def index(self, least: int = 1, *, writer: SearchWriter | None = None) -> int:
        its = writer or self.store.search_writer()
        assert its.begin()
        try:
            done = sum(its.index(self.read, least))
            its.save()
        finally:
            its.end()
            if writer is None:
                its.close()
        return done

    def tidy(self) -> None:
        writer = self.store.search_writer()
        writer.begin()
        for _ in writer.tidy(1000):
            pass
        writer.end()
        writer.close()

    async def held(self, text: str, mailbox: MailboxId = INBOX, *, header: bool = False) -> list[Uid] | None:
        row = await self.store.mailbox_by_id(self.alice, mailbox)
        return self.store.may_hold(row, text.encode(), header=header, body=not header)

    async def many(self, count: int, *, word: str = "word") -> None:
        texts = [b"Subject: s\r\n\r\n%b%d. common\r\n" % (word.encode(), number) for number in range(count)]
        new = [await content(self.store, text) for text in texts]
        await self.store.deliver([Delivery(self.alice, None, one, 0, AT, 0) for one in new], [], [])

    def sql(self, text: str) -> list[Row]:
        return self.change(SEARCH_NAME, text)

    def change(self, name: str, *texts: str) -> list[Row]:
        connection = apsw.Connection(str(self.folder / name))  # not another copy of SQLite, which would end our locks
        found: list[Row] = []
        for text in texts:
            found = connection.execute(text).fetchall()
        connection.close()
        return found


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[Indexed]:
    clock = Clock()
    made = Indexed(open_store(tmp_path / "data", clock=clock, grace_s=100), tmp_path / "data", clock)
    await made.settle()
    yield made
    assert await made.store.check() == []
    await made.store.close()


async def test_without_an_index_all_may_hold_it(world: Indexed) -> None:
    await world.many(2)
    assert await world.held("word1") is None
    assert not (world.folder / SEARCH_NAME).exists()


async def test_what_is_indexed_narrows_and_what_is_new_may_hold_anything(world: Indexed) -> None:
    await world.many(5)
    assert world.index() == 5
    assert await world.held("ord3.") == [4]
    assert await world.held("common") == [1, 2, 3, 4, 5]
    assert await world.held("absent") == []
    await world.many(1, word="later")
    assert await world.held("ord3.") == [4, 6]
    assert world.index() == 1
    assert await world.held("ord3.") == [4]
    assert await world.held("later0") == [6]
    assert await world.held("on") is None


async def test_header_and_body_are_kept_apart(world: Indexed) -> None:
    await world.deliver(b"Subject: heading\r\n\r\ntext\r\n")
    world.index()
    assert (await world.held("heading"), await world.held("heading", header=True)) == ([], [1])
    assert (await world.held("text"), await world.held("text", header=True)) == ([1], [])
    row = await world.store.mailbox_by_id(world.alice, INBOX)
    assert world.store.may_hold(row, b"heading", header=True, body=True) == [1]
    # Half of it in the header and half in the body is not it.
    assert world.store.may_hold(row, b"heading text", header=True, body=True) == []


async def test_few_new_messages_wait(world: Indexed) -> None:
    await world.many(31)
    writer = world.store.search_writer()
    assert writer.waiting() == {world.alice: 31}
    assert world.index(32) == 0
    await world.many(1)
    assert world.index(32) == 32
    assert writer.waiting() == {}
    writer.close()


async def test_copies_and_moved_messages_share_what_is_indexed(world: Indexed) -> None:
    await world.many(3)
    world.index()
    work = (await world.named("Work")).id
    assert await world.held("word0", work) == []
    await world.store.copy(world.alice, INBOX, only(3, 1), work, 0)
    await world.store.move(world.alice, INBOX, only(2), work, 0)
    assert await world.held("word2.", work) == [2]
    assert await world.held("word1.", work) == [3]
    assert await world.held("word1.") == []
    assert world.store.search_writer().waiting() == {}


async def test_small_blocks_are_joined_and_a_full_slot_is_one(world: Indexed) -> None:
    most = 0
    for number in range(0, SLOT + 64, 32):
        deliveries = 32
        await world.many(deliveries, word=f"batch{number}x")
        assert world.index(32) == 32
        most = max(most, len(world.sql("SELECT 1 FROM block")))
    assert most <= 8
    assert world.sql("SELECT first, last, documents FROM block ORDER BY first") == [
        (1, SLOT, SLOT),
        (SLOT + 1, SLOT + 64, 64),
    ]
    assert await world.held("batch0x7.") == [8]
    assert await world.held("batch992x31.") == [1024]
    assert await world.held("batch1024x0.") == [1025]
    found = await world.held("common")
    assert found is not None
    assert len(found) == SLOT + 64


async def test_accounts_are_apart_and_go_with_all_they_have(world: Indexed) -> None:
    other = await world.account("bob@example.org")
    await world.many(3)
    alice, world.alice = world.alice, other
    await world.deliver(b"S: x\r\n\r\nword1. of bob\r\n")
    world.index()
    assert await world.held("word1.") == [1]
    world.alice = alice
    assert await world.held("word1.") == [2]
    assert await world.held("bob") == []
    await world.store.remove_account(other, event())
    world.index()
    assert {row[0] for row in world.sql("SELECT account_id FROM posting UNION SELECT account_id FROM block")} == {alice}
    assert await world.held("word1.") == [2]


async def test_what_is_gone_leaves_the_index(world: Indexed) -> None:
    await world.many(4)
    await world.deliver(b"S: x\r\n\r\nconfidential\r\n")
    world.index()
    await world.store.remove(world.alice, INBOX, only(2, 5))
    world.clock.now += 200
    await world.store.compact()
    before = world.sql("SELECT count(*) FROM posting")
    world.tidy()
    assert world.sql("SELECT count(*) FROM posting") < before
    gram = int.from_bytes(b"fid", "little")
    assert world.sql(f"SELECT * FROM posting WHERE gram = {gram}") == []
    assert world.sql("SELECT first, last, documents FROM block") == [(1, 5, 3)]
    assert await world.held("word3.") == [4]
    await world.store.remove(world.alice, INBOX, only(1, 3, 4))
    world.clock.now += 200
    await world.store.compact()
    world.tidy()
    assert world.sql("SELECT 1 FROM posting UNION ALL SELECT 1 FROM block") == []
    await world.many(1, word="after")
    assert world.index() == 1
    assert await world.held("after0") == [6]


async def test_few_gone_of_many_wait_a_day(world: Indexed) -> None:
    await world.many(20)
    world.index()
    await world.store.remove(world.alice, INBOX, only(7))
    world.clock.now += 200
    await world.store.compact()
    world.tidy()
    assert world.sql("SELECT documents FROM block") == [(20,)]
    world.clock.now += 86_400
    world.tidy()
    assert world.sql("SELECT documents FROM block") == [(19,)]


async def test_messages_that_cannot_be_read_may_hold_anything(world: Indexed) -> None:
    await world.many(1)
    await world.deliver(b"S: x\r\n\r\nunreadable\r\n")
    await world.deliver(b"S: x\r\n\r\ndamaged\r\n")
    assert world.index() == 3
    assert await world.held("absent") == [2, 3]


async def test_an_interrupted_change_changes_nothing(world: Indexed) -> None:
    await world.many(3)
    world.index()
    await world.many(40, word="more")
    steps = 1
    while True:
        writer = world.store.search_writer()
        writer.begin()
        work = writer.index(world.read, 1)
        taken = sum(1 for _ in zip(range(steps), work, strict=False))
        work.close()
        writer.end()
        writer.close()
        if taken < steps:
            break
        assert await world.held("more7.") == list(range(4, 44))
        assert await world.held("word1.") == [2, *range(4, 44)]
        steps += 3
    assert steps > 40
    assert await world.held("more7.") == [11]


async def test_one_process_writes_and_others_read_on(world: Indexed) -> None:
    await world.many(40)
    world.index()
    await world.many(40, word="more")
    other = open_store(world.folder, clock=world.clock)
    row = await other.mailbox_by_id(world.alice, INBOX)
    writer, late = world.store.search_writer(), other.search_writer()
    assert writer.begin()
    assert not late.begin()
    for _ in writer.index(world.read, 1):
        found = other.may_hold(row, b"word7.", header=False, body=True)
        assert found in ([8, *range(41, 81)], [8])
    assert other.may_hold(row, b"word7.", header=False, body=True) == [8]
    writer.end()
    assert late.begin()
    late.end()
    for its in (writer, late):
        its.close()
    await other.close()


async def test_it_may_be_removed_at_any_time(world: Indexed) -> None:
    await world.many(3)
    writer = world.store.search_writer()
    world.index(writer=writer)
    assert await world.held("word1.") == [2]
    for ending in ("", "-wal", "-shm"):
        (world.folder / (SEARCH_NAME + ending)).unlink(missing_ok=True)
    assert await world.held("word1.") is None
    assert world.index(writer=writer) == 3
    assert await world.held("word1.") == [2]
    writer.forget_all()
    assert await world.held("word1.") is None
    writer.close()


@pytest.mark.parametrize("damage", ["no database", "a page", "another version"])
async def test_a_damaged_one_is_made_anew(world: Indexed, damage: str) -> None:
    await world.many(200)
    world.index()
    path = world.folder / SEARCH_NAME
    octets = bytearray(path.read_bytes())
    if damage == "no database":
        octets[:100] = b"x" * 100
    elif damage == "a page":
        octets[4096:] = os.urandom(len(octets) - 4096)
    if damage == "another version":
        world.sql("PRAGMA user_version = 99")
    else:
        world.store._end_search()  # else what is in memory is still sound
        path.write_bytes(octets)
    assert await world.held("word1.") is None
    for _ in range(2):
        try:
            world.index()
        except UnavailableError:
            assert damage != "another version"
    assert await world.held("word1.") == [2]


async def test_an_older_database_in_its_place_is_noticed(world: Indexed) -> None:
    await world.many(5)
    world.index()
    world.change(
        DATABASE_NAME,
        "DELETE FROM message WHERE uid > 3",
        "DELETE FROM content WHERE content_id & 0xffff > 3",
        "UPDATE account_counter SET last_content = 3, used_messages = 3, used_bytes = (SELECT sum(size) FROM message)",
        "UPDATE mailbox SET uid_next = 4, messages = 3, unseen = 3, size_bytes = (SELECT sum(size) FROM message)"
        " WHERE mailbox_id = 1",
    )
    assert await world.held("word1.") is None
    for number in range(4):  # others take the numbers of those that were indexed
        await world.deliver(b"Subject: %d\r\n\r\nother%d.\r\n" % (number, number))
    world.index()
    assert await world.held("other0.") == [4]
    assert await world.held("word4.") == []


async def test_nobody_else_may_read_it(world: Indexed) -> None:
    await world.many(1)
    writer = world.store.search_writer()
    world.index(writer=writer)
    for file in world.folder.glob(SEARCH_NAME + "*"):
        assert file.stat().st_mode & 0o077 == 0
    assert len(list(world.folder.glob(SEARCH_NAME + "*"))) == 3
    writer.close()
