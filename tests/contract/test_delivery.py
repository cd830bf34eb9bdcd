"""Delivery: all or nothing, quota, threads, contents."""

import asyncio
from dataclasses import replace

import pytest

from poterne.store.errors import NotFoundError, OverQuotaError, StoreError
from poterne.store.interface import Delivery
from poterne.values.ids import AccountId, BlobId, MailboxId, TraceId
from poterne.values.mailbox import Flag, MailboxChanged, UidRange
from poterne.values.origin import Origin, OriginKind
from poterne.values.queue import NewQueued, NewRecipient, QueueState
from tests.support.queueing import message
from tests.support.stores import ALL, AT, INBOX, World, blob, content, event, only


async def test_what_was_delivered_is_there(world: World) -> None:
    world.clock.now = AT + 7
    body = b"Subject: one\r\n\r\n" + bytes(range(32, 127)) * 100
    first = await world.deliver(body, flags=Flag.SEEN)
    second = await world.deliver(b"two")
    inbox = await world.named("INBOX")
    assert (first.mailbox_id, first.uid, second.uid, first.uid_validity) == (INBOX, 1, 2, inbox.uid_validity)
    assert second.modseq > first.modseq
    assert inbox.highest_modseq == second.modseq
    assert (inbox.messages, inbox.unseen, inbox.uid_next, inbox.size_bytes) == (2, 1, 3, len(body) + 3)
    row = world.rows()[0]
    assert (row.uid, row.flags, row.modseq, row.internal_at, row.internal_offset, row.size) == (
        1,
        1,
        first.modseq,
        AT,
        60,
        len(body),
    )
    wide = world.store.contents(world.alice, INBOX, only(1))[0]
    assert (wide.uid, wide.envelope, wide.structure, wide.parsed) == (1, b"(envelope)", b"(structure)", b"parsed")
    assert (wide.header_size, wide.sent_at, wide.saved_at) == (14, AT - 5, AT + 7)
    assert world.store.blobs.read(wide.blob) == body
    assert world.store.blobs.read(wide.blob, 9, 12) == b"one"


async def test_only_into_the_mailbox_that_has_the_name(world: World) -> None:
    made = await world.store.create_mailbox(world.alice, "Lists", None, event())
    delivery = Delivery(world.alice, made.id, await content(world.store), 0, AT, 0, "Lists")
    assert len(await world.store.deliver([delivery], (), ())) == 1
    await world.store.rename_mailbox(world.alice, made.id, "Old lists", event())
    other = await world.store.create_mailbox(world.alice, "Lists", None, event())
    before = (await world.named("INBOX"), await world.named("Old lists"), other)
    inbox = replace(delivery, mailbox=None, name="INBOX")
    with pytest.raises(NotFoundError):
        await world.store.deliver([inbox, delivery], (), ())
    assert (await world.named("INBOX"), await world.named("Old lists"), await world.named("Lists")) == before
    for named in (inbox, replace(delivery, name="Old lists"), replace(delivery, mailbox=other.id)):
        assert len(await world.store.deliver([named], (), ())) == 1
    assert (await world.named("Old lists")).messages == 2


async def test_columns_not_asked_for_are_empty(world: World) -> None:
    await world.deliver()
    (wide,) = world.store.contents(world.alice, INBOX, ALL, envelope=False, parsed=False)
    assert (wide.envelope, wide.structure, wide.parsed) == (b"", b"(structure)", b"")


async def test_ranges(world: World) -> None:
    for _ in range(300):
        await world.deliver()
    await world.store.remove(world.alice, INBOX, only(5, 7))
    scattered = only(*range(1, 300, 7), 5000)
    expected = list(range(1, 300, 7))
    assert [row.uid for row in world.rows(uids=scattered)] == expected
    assert [row.uid for row in world.store.contents(world.alice, INBOX, scattered)] == expected
    mixed = (UidRange(4, 8), UidRange(10, 200), UidRange(202, 202), UidRange(290, None))
    wanted = [4, 6, 8, *range(10, 201), 202, *range(290, 301)]
    assert [row.uid for row in world.rows(uids=mixed)] == wanted
    assert [row.uid for row in world.store.contents(world.alice, INBOX, mixed)] == wanted
    assert world.rows(uids=()) == []
    assert world.rows(MailboxId(99)) == []


async def test_one_message_for_several_accounts_and_the_queue(world: World) -> None:
    bob = await world.account("bob@example.org")
    new = await content(world.store, b"shared")
    origin = Origin(OriginKind.ACCOUNT, "alice@example.org", world.alice)
    recipients = (
        NewRecipient("b@Remote.example", "remote.example", "SUCCESS,DELAY", "rfc822;b+40x"),
        NewRecipient("c@[192.0.2.7]", "[192.0.2.7]"),
    )
    queued = NewQueued(
        origin, TraceId("t"), "a@example.org", new.blob, recipients, AT + 60, 3, True, True, True, "HDRS", "id"
    )
    appended = await world.store.deliver(
        [Delivery(world.alice, None, new, 0, AT, 0), Delivery(bob, None, new, 0, AT, 0)],
        [queued],
        [event("message.accepted")],
    )
    assert [(a.account_id, a.uid) for a in appended] == [(world.alice, 1), (bob, 1)]
    waiting, other = await world.store.queued()
    sent = waiting.message
    assert other.message == sent
    assert (sent.origin, sent.trace_id, sent.reverse_path, sent.blob) == (origin, "t", "a@example.org", new.blob)
    assert (sent.start, sent.queued_at, sent.ret, sent.envid, sent.incident_id) == (3, AT, "HDRS", "id", None)
    assert (sent.eight_bit, sent.smtputf8, sent.requiretls) == (True, True, True)
    assert (waiting.forward_path, waiting.domain) == ("b@Remote.example", "remote.example")
    assert (waiting.notify, waiting.orcpt) == ("SUCCESS,DELAY", "rfc822;b+40x")
    assert (other.domain, other.notify, other.orcpt) == ("[192.0.2.7]", "", "")
    assert (waiting.state, waiting.attempts, waiting.due_at) == (QueueState.WAITING, 0, AT + 60)
    assert (waiting.last_reply, waiting.delay_told) == ("", False)
    assert await world.store.queue_depth() == 2
    assert await world.store.queued(after=other.id) == []


async def test_all_or_nothing(world: World) -> None:
    poor = await world.account("poor@example.org", quota_bytes=5)
    before = await world.store.mailboxes(world.alice)
    new = await content(world.store, b"too much")
    queued = message(new.blob, "b@remote.example")
    for bad, error in (
        (Delivery(poor, None, new, 0, AT, 0), OverQuotaError),
        (Delivery(world.alice, MailboxId(77), new, 0, AT, 0), NotFoundError),
        (Delivery(AccountId(77), None, new, 0, AT, 0), NotFoundError),
    ):
        with pytest.raises(error):
            await world.store.deliver(
                [Delivery(world.alice, None, new, 0, AT, 0), bad], [queued], [event("message.accepted")]
            )
    assert await world.store.mailboxes(world.alice) == before
    assert await world.store.queue_depth() == 0
    assert await world.store.events(kind="message.accepted") == []


async def test_quota_is_exact(world: World) -> None:
    await world.store.set_account(world.alice, event(), quota_bytes=10)
    await world.deliver(b"12345")
    with pytest.raises(OverQuotaError):
        await world.deliver(b"123456")
    await world.deliver(b"12345")
    with pytest.raises(OverQuotaError):
        await world.store.copy(world.alice, INBOX, only(1), (await world.named("Work")).id, AT)
    await world.store.move(world.alice, INBOX, only(1), (await world.named("Work")).id, AT)
    await world.store.remove(world.alice, INBOX, only(2))
    await world.deliver(b"12345")
    await world.consistent()


async def test_threads(world: World) -> None:
    big = 2**64 - 3
    for references in ((1,), (2, 1), (3, 2), (9,), (), (big, 77), (78, big), (4, 9, 1)):
        await world.deliver(references=references)
    threads = [row.thread_id for row in world.store.contents(world.alice, INBOX, ALL)]
    assert threads[0] == threads[1] == threads[2]
    assert threads[3] != threads[0]
    assert threads[5] == threads[6]
    assert threads[7] in {threads[0], threads[3]}
    assert len(set(threads)) == 4
    bob = await world.account("bob@example.org")
    await world.store.deliver([Delivery(bob, None, await content(world.store, references=(1,)), 0, AT, 0)], [], [])
    await world.deliver(references=tuple(range(1000, 3000)))


async def test_a_blob_that_nobody_wrote_cannot_be_named(world: World) -> None:
    good = await blob(world.store, b"x")
    new = replace(await content(world.store), blob=BlobId(good.segment, good.offset + 10_000_000, 5))
    with pytest.raises(StoreError):
        await world.store.deliver([Delivery(world.alice, None, new, 0, AT, 0)], [], [])


async def test_listeners_hear_once_per_commit_before_the_caller(world: World) -> None:
    heard: list[MailboxChanged] = []
    world.store.listen(heard.extend)
    appended = await world.deliver()
    assert heard == [MailboxChanged(world.alice, INBOX, appended.modseq)]
    heard.clear()
    many = await asyncio.gather(*[world.deliver() for _ in range(20)])
    highest = max(a.modseq for a in many)
    assert heard[-1] == MailboxChanged(world.alice, INBOX, highest)
    heard.clear()
    with pytest.raises(NotFoundError):
        await world.deliver(to=MailboxId(99))
    await world.store.record([event()])
    assert heard == []


async def test_a_large_message(world: World) -> None:
    body = bytes(range(256)) * 12_000
    await world.deliver(body)
    (wide,) = world.store.contents(world.alice, INBOX, ALL)
    pieces = [piece async for piece in world.store.blobs.stream(wide.blob)]
    assert b"".join(pieces) == body


async def test_aborted_writers_leave_nothing(world: World) -> None:
    writer = world.store.blobs.writer()
    writer.write(b"x" * 100)
    writer.abort()
    late = world.store.blobs.writer()
    late.write(b"y")
    await late.finish()
    late.abort()
    await world.deliver(b"z")
    (wide,) = world.store.contents(world.alice, INBOX, ALL)
    assert world.store.blobs.read(wide.blob) == b"z"


async def test_cancelling_the_caller_does_not_undo(world: World) -> None:
    new = await content(world.store)
    task = asyncio.create_task(world.store.deliver([Delivery(world.alice, None, new, 0, AT, 0)], [], []))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    after = await world.deliver()
    assert after.uid in {1, 2}  # begun or not: never half
    await world.consistent()
