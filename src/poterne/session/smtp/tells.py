"""Telling people that mail is held: the answer in the dialogue, and one mail each to the sender and to an administrator."""

from collections.abc import Callable
from typing import Final, final

from poterne.config.settings import Settings
from poterne.observe import Log
from poterne.proto.smtp.replies import Reply
from poterne.session.smtp.principal import Principal
from poterne.store.interface import Store
from poterne.values.ids import TraceId
from poterne.values.sending import HoldReason, Submitted

REPLIES: Final = {
    HoldReason.DAY: "more recipients in a day than your account may have",
    HoldReason.EXTERNAL: "more recipients elsewhere in an hour than your account may have",
    HoldReason.NEW: "more new recipients in a day than your account may have",
    HoldReason.BURST: "more recipients in a minute than your account may have",
    HoldReason.REPEATED: "the same to the same recipient again and again: is a script in a loop?",
    HoldReason.PING_PONG: "answer after answer to the same recipient: do two programs talk to each other?",
    HoldReason.OPEN_INCIDENT: "mail of yours is held already",
}


@final
class Teller:
    """`services.Tells` over the store."""

    def __init__(self, store: Store, settings: Settings, clock: Callable[[], float], log: Log) -> None:
        self._store: Final = store
        self._settings: Final = settings
        self._clock: Final = clock
        self._log: Final = log

    async def held(self, principal: Principal, submitted: Submitted, trace: TraceId) -> Reply:
        """The answer to a message that is held. Never raises: the message is safe."""
        why = REPLIES[submitted.reason or HoldReason.OPEN_INCIDENT]
        self._log.warning(
            "message.held",
            trace=trace,
            sender=principal.name,
            incident=submitted.incident,
            reason="" if submitted.reason is None else submitted.reason.value,
        )
        return Reply(250, "2.0.0", f"Accepted as {trace}, and held until an administrator looks at it: {why}")
