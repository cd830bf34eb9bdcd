"""What people say about junk by moving it: an event each time, for whoever learns from it."""

from collections.abc import Sequence
from typing import Final

from poterne.store.sqlite import events, uidset
from poterne.store.sqlite.transaction import Tx
from poterne.values.event import Event
from poterne.values.ids import AccountId, MailboxId, TraceId, Uid
from poterne.values.mailbox import SpecialUse

_JUNK: Final = SpecialUse.JUNK.value
_TRASH: Final = SpecialUse.TRASH.value
RANGES_MOST: Final = 100
"""Of UIDs in one event; what is more scattered is told in part."""


def told(
    tx: Tx, account_id: AccountId, source_use: str | None, destination: MailboxId, use: str | None, uids: Sequence[Uid]
) -> None:
    """After these have come into `destination`, by COPY or MOVE. From Junk to Trash says nothing: it is thrown away."""
    if (source_use == _JUNK) == (use == _JUNK) or (source_use == _JUNK and use == _TRASH):
        return
    runs = uidset.runs(uids)
    where = ",".join(f"{first}:{last}" if last > first else str(first) for first, last in runs[:RANGES_MOST])
    event = Event(
        tx.now,
        "message.junk" if use == _JUNK else "message.not-junk",
        TraceId(""),
        account_id,
        reason="moved",
        detail={"messages": len(uids), "mailbox": destination, "uids": where},
    )
    events.record(tx, (event,))
