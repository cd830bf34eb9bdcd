"""The bytes of queued mail are there for as long as somebody must still get them."""

from poterne.store.interface import QueueFilter, Settled
from poterne.values.queue import QueueChange
from poterne.values.sending import SendingLimits
from tests.support.queueing import message, submission
from tests.support.stores import AT, Clock, Factory, World, blob, event


async def test_compaction_leaves_waiting_and_held_mail(world: World) -> None:
    """Segments are dropped and rewritten, and what waits is read from where it is then."""
    kept: list[bytes] = []
    doomed: list[int] = []
    for number in range(30):
        body = b"%06d" % number * 20_000
        await world.store.deliver([], [message(await blob(world.store, body), f"{number}@b.example")], [])
        if number % 10:
            doomed.append(number)
        else:
            kept.append(body)
    new = await submission(world, "held@b.example", "too@b.example", limits=SendingLimits(1, 0, 0, 0))
    assert (await world.store.submit(new)).incident is not None
    for number in doomed:
        gone = QueueFilter(recipient=f"{number}@b.example")
        assert await world.store.change_queue(gone, QueueChange.REMOVE, AT, event()) == 1
    before = {one.message.blob for one in await world.store.queued()}
    freed = 0
    for _ in range(3):
        world.clock.now += 1_000_000_000
        freed += await world.store.compact()
    assert freed > 2_000_000
    left = await world.store.queued()
    assert [world.store.blobs.read(one.message.blob) for one in left[:3]] == kept
    assert world.store.blobs.read(left[3].message.blob) == b"Subject: x\r\n\r\nsubmitted\r\n"
    assert {one.message.blob for one in left} != before  # rewritten
    assert await world.store.check() == []
    (first, *_) = await world.store.lease(AT, AT + 9, 1, 1)
    await world.store.settle([Settled(first.id, True)])
    assert await world.store.check() == []


async def test_a_backup_has_the_queue(world: World, engine: Factory) -> None:
    await world.store.deliver([], [message(await blob(world.store, b"queued"), "a@b.example")], [])
    copy = world.folder.parent / "copy"
    await world.store.backup(str(copy))
    other = engine(copy, Clock())
    (found,) = await other.queued()
    assert other.blobs.read(found.message.blob) == b"queued"
    assert await other.check() == []
    await other.close()
