"""`TLS-Required: No` stays with a message, whichever way it takes."""

from dataclasses import replace

from poterne.store.interface import Settled
from poterne.values.queue import QueuedRecipient
from poterne.values.sending import IncidentState, SendingLimits
from tests.support.queueing import message, submission
from tests.support.stores import AT, World, blob, event


def marks(found: list[QueuedRecipient]) -> list[bool]:
    return [one.message.tls_optional for one in found]


async def test_through_the_queue(world: World) -> None:
    store = world.store
    plain = message(await blob(store, b"x"), "a@b.example", "c@b.example")
    await store.deliver([], [replace(plain, tls_optional=True), plain], [])
    assert marks(await store.queued()) == [True, True, False, False]
    leased = await store.lease(AT, AT + 9, 9, 9)
    assert marks(leased) == [True, True, False, False]
    await store.settle([Settled(leased[0].id, False, AT)], notices=[replace(plain, tls_optional=True)])
    assert marks(await store.queued()) == [True, True, False, False, True, True]


async def test_through_an_incident(world: World) -> None:
    store = world.store
    for optional in (True, False):
        new = await submission(world, "a@b.example", limits=SendingLimits(1, 0, 0, 0))
        for part in (new.held, *new.queue):
            assert part.tls_optional is False
        marked = replace(
            new,
            held=replace(new.held, tls_optional=optional),
            queue=[replace(one, tls_optional=optional) for one in new.queue],
        )
        await store.submit(marked)
    (incident,) = await store.incidents()
    assert marks(await store.held(incident.id)) == [False]
    assert marks(await store.queued()) == [True, False]
    await store.close_incident(incident.id, IncidentState.RELEASED, event())
    assert marks(await store.lease(AT, AT + 9, 9, 9)) == [True, False]
