"""Mail kept from its mailbox, on every engine."""

import asyncio
from dataclasses import fields, replace

import pytest

from poterne.store.errors import NotFoundError, OverQuotaError, UnavailableError
from poterne.store.failing import Fails, FailurePlan, failing
from poterne.store.interface import Delivery, Store
from poterne.values.ids import AccountId, BlobId
from poterne.values.mailbox import Appended, MailboxChanged
from poterne.values.quarantine import Quarantined, QuarantineId
from tests.support.queueing import message
from tests.support.stores import ALL, AT, INBOX, Clock, Factory, World, content, event
from tests.support.verifying import BODY, report_mail, suspicious


async def keep(world: World, *bodies: bytes, to: AccountId | None = None) -> list[Quarantined]:
    for number, body in enumerate(bodies or (BODY,)):
        new = await suspicious(world.store, to or world.alice, body, expires_at=AT + 1000 + number)
        assert await world.store.deliver([], [], [event("message.quarantined")], quarantined=[new]) == []
    return await world.store.quarantined()


async def test_it_is_kept_whole(world: World) -> None:
    new = await suspicious(world.store, world.alice)
    await world.store.deliver([], [], [event("message.quarantined")], quarantined=[new])
    (found,) = await world.store.quarantined()
    assert found.account == "alice@example.org"
    for part in fields(new):
        assert getattr(found, part.name) == getattr(new, part.name), part.name
    assert await world.store.quarantined_by_id(found.id) == found
    assert world.store.blobs.read(found.content.blob) == BODY
    assert world.rows() == []
    assert (await world.store.account_by_id(world.alice)).used_bytes == 0
    assert len(await world.store.events(kind="message.quarantined")) == 1
    with pytest.raises(NotFoundError):
        await world.store.quarantined_by_id(QuarantineId(found.id + 1))


async def test_texts_of_strangers_are_bounded(world: World) -> None:
    new = await suspicious(world.store, world.alice)
    await world.store.deliver([], [], [], quarantined=[replace(new, subject="é" * 5_000)])
    (found,) = await world.store.quarantined()
    assert found.subject == "é" * 250


async def test_pages_accounts_and_domains(world: World) -> None:
    await world.store.add_domain("other.example", event())
    bob = await world.account("bob@other.example")
    await keep(world, b"1", b"2")
    await keep(world, b"3", to=bob)
    everything = await keep(world, b"4")
    store = world.store
    assert [store.blobs.read(one.content.blob) for one in everything] == [b"1", b"2", b"3", b"4"]
    assert await store.quarantined(2) == everything[:2]
    assert await store.quarantined(2, everything[1].id) == everything[2:]
    assert await store.quarantined(account_id=bob) == [everything[2]]
    assert await store.quarantined(1, everything[1].id, world.alice) == [everything[3]]
    alice = [everything[0], everything[1], everything[3]]
    assert await store.quarantined(domain="Example.ORG") == alice
    assert await store.quarantined(2, domain="example.org") == alice[:2]
    assert await store.quarantined(2, alice[1].id, domain="example.org") == alice[2:]
    assert await store.quarantined(domain="none.example") == []
    assert await store.quarantined(account_id=bob, domain="example.org") == []


async def test_a_release_is_a_delivery(world: World) -> None:
    told: list[MailboxChanged] = []
    world.store.listen(told.extend)
    first = await world.deliver(references=(5,))
    told.clear()
    (kept,) = await keep(world)
    assert told == []
    released = await world.store.release_quarantined(kept.id, AT + 60, event("message.released"))
    inbox = await world.named("INBOX")
    assert (released.mailbox_id, released.uid, released.modseq) == (INBOX, first.uid + 1, inbox.highest_modseq)
    assert [(change.mailbox_id, change.modseq) for change in told] == [(INBOX, released.modseq)]
    row = world.rows()[-1]
    assert (row.uid, row.flags, row.internal_at, row.size) == (released.uid, 0, AT + 60, len(BODY))
    (one, two) = world.store.contents(world.alice, INBOX, ALL)
    assert (two.blob, two.envelope, two.header_size, two.sent_at) == (
        kept.content.blob,
        kept.content.envelope,
        kept.content.header_size,
        kept.content.sent_at,
    )
    assert one.thread_id == two.thread_id
    assert world.store.blobs.read(two.blob) == BODY
    assert await world.store.quarantined() == []
    assert len(await world.store.events(kind="message.released")) == 1
    await world.consistent()


async def test_of_two_releases_one_wins(world: World) -> None:
    (kept,) = await keep(world)
    store = world.store
    done = await asyncio.gather(
        *(store.release_quarantined(kept.id, AT, event("message.released")) for _ in range(3)),
        store.delete_quarantined(kept.id, event("message.deleted")),
        return_exceptions=True,
    )
    assert isinstance(done[0], Appended)
    assert [type(one) for one in done[1:]] == [NotFoundError] * 3
    assert await world.uids() == [1]
    assert len(await store.events(kind="message.released")) == 1
    assert await store.events(kind="message.deleted") == []


async def test_a_full_account_keeps_it_in_quarantine(world: World) -> None:
    small = await world.account("small@example.org", quota_bytes=20)
    (kept,) = await keep(world, to=small)
    with pytest.raises(OverQuotaError):
        await world.store.release_quarantined(kept.id, AT, event("message.released"))
    assert await world.store.quarantined() == [kept]
    assert await world.store.events(kind="message.released") == []
    await world.store.set_account(small, event(), quota_bytes=2_000)
    await world.store.release_quarantined(kept.id, AT, event("message.released"))
    assert (await world.store.account_by_id(small)).used_bytes == len(BODY)


async def test_deleting_and_expiring(world: World) -> None:
    first, second, third = await keep(world, b"1", b"2", b"3")
    await world.store.delete_quarantined(second.id, event("message.deleted"))
    with pytest.raises(NotFoundError):
        await world.store.delete_quarantined(second.id, event("message.deleted"))
    assert len(await world.store.events(kind="message.deleted")) == 1
    assert await world.store.expire_quarantined(first.expires_at - 1) == 0
    assert await world.store.expire_quarantined(first.expires_at) == 1
    assert await world.store.quarantined() == [third]
    await keep(world, b"4")
    assert await world.store.expire_quarantined(AT + 5000, 1) == 1
    assert await world.store.expire_quarantined(AT + 5000) == 1


async def test_one_message_goes_several_ways_or_none(world: World) -> None:
    bob = await world.account("bob@example.org")
    store = world.store
    new = await content(store)
    kept, report = await suspicious(store, bob), await report_mail(store)

    async def nothing() -> bool:
        return (
            not await world.uids()
            and not await store.queued()
            and not await store.quarantined()
            and not await store.report_mail()
            and not await store.events(kind="message.accepted")
        )

    queued = message(new.blob, "a@b.example")
    for there, wrong in (
        (Delivery(AccountId(99), None, new, 0, AT, 0), kept),
        (Delivery(world.alice, None, new, 0, AT, 0), await suspicious(store, AccountId(99))),
    ):
        with pytest.raises(NotFoundError):
            await store.deliver([there], [queued], [event("message.accepted")], quarantined=[wrong], reports=[report])
        assert await nothing()
    there = Delivery(world.alice, None, new, 0, AT, 0)
    (done,) = await store.deliver([there], [queued], [event("message.accepted")], quarantined=[kept], reports=[report])
    assert done.account_id == world.alice
    assert [len(await store.queued()), len(await store.quarantined()), len(await store.report_mail())] == [1, 1, 1]
    assert await world.uids() == [1]


@pytest.mark.parametrize("fails", Fails)
async def test_a_delivery_that_fails(world: World, fails: Fails) -> None:
    kept, report = await suspicious(world.store, world.alice), await report_mail(world.store)
    with pytest.raises(UnavailableError):
        await failing(world.store, FailurePlan(1, fails)).deliver(
            [], [], [event("message.quarantined")], quarantined=[kept], reports=[report]
        )
    there = int(fails is Fails.AFTER)
    assert len(await world.store.quarantined()) == there
    assert len(await world.store.report_mail()) == there
    assert len(await world.store.events(kind="message.quarantined")) == there


@pytest.mark.parametrize("fails", Fails)
async def test_a_release_that_fails(world: World, fails: Fails) -> None:
    """It is in quarantine or in the mailbox, never in both or nowhere."""
    (kept,) = await keep(world)
    with pytest.raises(UnavailableError):
        await failing(world.store, FailurePlan(1, fails)).release_quarantined(kept.id, AT, event())
    assert len(await world.store.quarantined()) + len(await world.uids()) == 1
    assert bool(await world.uids()) is (fails is Fails.AFTER)


@pytest.mark.parametrize("fails", Fails)
async def test_deleting_and_expiring_that_fail(world: World, fails: Fails) -> None:
    first, second = await keep(world, b"1", b"2")
    left = 2 if fails is Fails.BEFORE else 1
    with pytest.raises(UnavailableError):
        await failing(world.store, FailurePlan(1, fails)).delete_quarantined(first.id, event())
    assert len(await world.store.quarantined()) == left
    with pytest.raises(UnavailableError):
        await failing(world.store, FailurePlan(1, fails)).expire_quarantined(second.expires_at)
    assert len(await world.store.quarantined()) == (2 if fails is Fails.BEFORE else 0)


@pytest.mark.parametrize("number", [1, 2, 3])
async def test_reading_that_fails(world: World, number: int) -> None:
    await keep(world)

    async def look(store: Store) -> None:
        (kept,) = await store.quarantined()
        await store.quarantined_by_id(kept.id)
        store.blobs.read(kept.content.blob)

    with pytest.raises(UnavailableError):
        await look(failing(world.store, FailurePlan(number)))
    await look(failing(world.store, FailurePlan(4)))


async def flow(world: World) -> None:
    """Receives with a head that comes last, keeps, looks, releases."""
    writer = world.store.blobs.writer()
    writer.write_head(9)
    writer.write(BODY)
    writer.set_head(b"X: pass\r\n")
    new = await suspicious(world.store, world.alice)
    new = replace(new, content=replace(new.content, blob=await writer.finish()))
    await world.store.deliver([], [], [event("message.quarantined")], quarantined=[new])
    (kept,) = await world.store.quarantined()
    assert world.store.blobs.read(kept.content.blob) == b"X: pass\r\n" + BODY
    await world.store.release_quarantined(kept.id, AT, event("message.released"))


@pytest.mark.parametrize("fails", Fails)
async def test_every_call_in_turn(world: World, fails: Fails) -> None:
    """What was answered with success is in quarantine or in the mailbox; each event is there with what it tells."""
    sound = world.store
    counting = FailurePlan()
    world.store = failing(sound, counting)
    await flow(world)
    assert {"writer.finish", "deliver", "quarantined", "blobs.read", "release_quarantined"} <= set(counting.log)
    expected = 1
    for number in range(1, counting.calls + 1):
        plan = FailurePlan(number, fails)
        world.store = failing(sound, plan)
        with pytest.raises(UnavailableError, match="made to fail"):
            await flow(world)
        world.store = sound
        expected += plan.log.count("deliver") - (plan.log[-1] == "deliver" and fails is Fails.BEFORE)
        taken = len(await sound.events(kind="message.quarantined"))
        assert taken == expected
        released = len(await sound.events(kind="message.released"))
        waiting = await sound.quarantined()
        assert len(waiting) == taken - released
        assert len(await world.uids()) == released
        for kept in waiting:
            await sound.release_quarantined(kept.id, AT, event("message.released"))
        await world.consistent()


async def test_an_account_takes_its_quarantine_along(world: World) -> None:
    bob = await world.account("bob@example.org")
    mine, his = await keep(world), await keep(world, b"1", b"2", to=bob)
    await world.store.remove_account(bob, event())
    assert await world.store.quarantined() == mine
    assert await world.store.quarantined(account_id=bob) == []
    for act in (world.store.release_quarantined(his[1].id, AT, event()), world.store.quarantined_by_id(his[1].id)):
        with pytest.raises(NotFoundError):
            await act
    assert await world.store.check() == []
    world.clock.now += 1_000_000_000
    await world.store.compact()
    with pytest.raises(NotFoundError):
        await world.store.delete_quarantined(his[2].id, event())


async def test_an_account_has_a_bound(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("poterne.store.sqlite.quarantine.KEPT_MOST", 3)
    await keep(world, b"1", b"2", b"3")
    bob = await world.account("bob@example.org")
    await keep(world, b"his", to=bob)
    for extra in (1, 2):
        new = [await suspicious(world.store, world.alice) for _ in range(extra)]
        with pytest.raises(OverQuotaError):
            await world.store.deliver([], [], [event("message.quarantined")], quarantined=new)
    assert len(await world.store.quarantined(account_id=world.alice)) == 3
    assert len(await world.store.events(kind="message.quarantined")) == 4


async def test_bytes_that_are_not_there_are_refused(world: World) -> None:
    good = await suspicious(world.store, world.alice)
    body = await report_mail(world.store)
    nowhere = BlobId(good.content.blob.segment, good.content.blob.offset + 10_000_000, 9)
    bad = replace(good, content=replace(good.content, blob=nowhere))
    for kept, reports in (([bad], [body]), ([good], [replace(body, blob=nowhere)])):
        with pytest.raises(UnavailableError):
            await world.store.deliver([], [], [], quarantined=kept, reports=reports)
    assert await world.store.quarantined() == []


async def test_compaction_leaves_what_is_kept(world: World) -> None:
    """Segments are dropped and rewritten; what waits is read from where it is then, and released from there."""
    bodies = [b"%06d" % number * 20_000 for number in range(30)]
    for number, body in enumerate(bodies):
        if number % 10 == 5:
            waiting = await report_mail(world.store, body)
            await world.store.deliver([], [], [], reports=[waiting])
        else:
            await keep(world, body)
    everything = await world.store.quarantined()
    for at, one in enumerate(everything):
        if at % 9:
            await world.store.delete_quarantined(one.id, event())
    before = {one.content.blob for one in await world.store.quarantined()}
    freed = 0
    for _ in range(3):
        world.clock.now += 1_000_000_000
        freed += await world.store.compact()
    assert freed > 2_000_000
    left = await world.store.quarantined()
    assert [world.store.blobs.read(one.content.blob) for one in left] == [bodies[at] for at in (0, 10, 20)]
    assert {one.content.blob for one in left} != before  # rewritten
    mails = await world.store.report_mail()
    assert [world.store.blobs.read(one.mail.blob) for one in mails] == [bodies[at] for at in (5, 15, 25)]
    assert await world.store.check() == []
    await world.store.release_quarantined(left[1].id, AT, event())
    (row,) = world.store.contents(world.alice, INBOX, ALL)
    assert world.store.blobs.read(row.blob) == bodies[10]
    world.clock.now += 1_000_000_000
    await world.store.compact()
    (row,) = world.store.contents(world.alice, INBOX, ALL)
    assert world.store.blobs.read(row.blob) == bodies[10]


async def test_a_backup_has_it(world: World, engine: Factory) -> None:
    kept = await keep(world)
    await world.store.deliver([], [], [], reports=[await report_mail(world.store, b"a report")])
    copy = world.folder.parent / "copy"
    await world.store.backup(str(copy))
    other = engine(copy, Clock())
    assert await other.quarantined() == kept
    assert other.blobs.read(kept[0].content.blob) == BODY
    (mail,) = await other.report_mail()
    assert other.blobs.read(mail.mail.blob) == b"a report"
    assert await other.check() == []
    await other.close()
