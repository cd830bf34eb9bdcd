"""Queued messages, charges and submissions to test with."""

from collections.abc import Sequence

from poterne.store.interface import Delivery, Submission
from poterne.values.event import Event
from poterne.values.ids import AccountId, BlobId, TraceId
from poterne.values.origin import Origin, OriginKind
from poterne.values.queue import NewQueued, NewRecipient
from poterne.values.sending import Charge, SendingLimits
from tests.support.stores import AT, World, blob, content, event

NO_LIMITS = SendingLimits(0, 0, 0, 0)
REMOTE = "remote.example"


def account(name: str = "alice@example.org", account_id: int | None = 1) -> Origin:
    return Origin(OriginKind.ACCOUNT, name, None if account_id is None else AccountId(account_id))


def sender(name: str = "shop") -> Origin:
    return Origin(OriginKind.SENDER, name, AccountId(1))


def to(*paths: str) -> tuple[NewRecipient, ...]:
    return tuple(NewRecipient(path, path.rpartition("@")[2].lower()) for path in paths)


def message(
    held: BlobId,
    *paths: str,
    origin: Origin | None = None,
    due_at: int = AT,
    reverse_path: str = "alice@example.org",
    trace: str = "t",
) -> NewQueued:
    return NewQueued(origin or account(), TraceId(trace), reverse_path, held, to(*paths), due_at)


async def put(world: World, *paths: str, origin: Origin | None = None, due_at: int = AT, trace: str = "t") -> None:
    """One message for these recipients, in the queue."""
    held = await blob(world.store, b"Subject: x\r\n\r\nqueued\r\n")
    await world.store.deliver([], [message(held, *paths, origin=origin, due_at=due_at, trace=trace)], [])


async def submission(
    world: World,
    *paths: str,
    origin: Origin | None = None,
    limits: SendingLimits = NO_LIMITS,
    at: int = AT,
    local: Sequence[AccountId] = (),
    mine: Sequence[str] = (),
    content_hash: int = 0,
    answers: bool = False,
    happened: Event | None = None,
) -> Submission:
    """For `paths` elsewhere and for `local` accounts, whose addresses are `mine`."""
    new = await content(world.store, b"Subject: x\r\n\r\nsubmitted\r\n")
    origin = origin or account(account_id=world.alice)
    charge = Charge(origin, limits, at, (*paths, *mine), len(paths), content_hash, answers)
    return Submission(
        charge,
        [Delivery(account_id, None, new, 0, at, 0) for account_id in local],
        [message(new.blob, *paths, origin=origin, due_at=at)] if paths else [],
        message(new.blob, *paths, *mine, origin=origin, due_at=at),
        happened or event("message.accepted", origin.account_id, size=25),
    )
