"""Telling people that mail is held: the answer in the dialogue, and one mail each to the sender and to an administrator."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final, final

from poterne.config.settings import Settings
from poterne.message.compose import Mailbox, message_id
from poterne.message.notice import HeldNotice, limit_of, to_administrator, to_owner, to_person
from poterne.observe import Log
from poterne.proto.smtp.replies import Reply
from poterne.queue.content import letter_of_ours
from poterne.session.smtp.principal import Person, Principal
from poterne.store.errors import StoreError
from poterne.store.interface import Store
from poterne.values.event import Event
from poterne.values.ids import IncidentId, TraceId
from poterne.values.origin import Origin, OriginKind
from poterne.values.queue import NewQueued, NewRecipient
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
_OURS: Final = Origin(OriginKind.SYSTEM, "")


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
        reason = submitted.reason or HoldReason.OPEN_INCIDENT
        self._log.warning(
            "message.held", trace=trace, sender=principal.name, incident=submitted.incident, reason=reason.value
        )
        if submitted.first and submitted.incident is not None:
            try:
                await self._write(principal, submitted.incident, trace)
            except StoreError as error:  # who looks for it finds it: poterne hold list
                self._log.error("message.held-untold", trace=trace, incident=submitted.incident, problem=str(error))
            except Exception as error:  # noqa: BLE001  (the message is taken: a bug here must not make it come twice)
                self._log.error("bug", trace=trace, exc_info=error)
        return Reply(
            250, "2.0.0", f"Accepted as {trace}, and held until an administrator looks at it: {REPLIES[reason]}"
        )

    async def _write(self, principal: Principal, incident_id: IncidentId, trace: TraceId) -> None:
        """One mail to whoever sent it, or answers for the script; one to the administrator. Raises StoreError."""
        store, now = self._store, int(self._clock())
        incident = await store.incident(incident_id)
        account = await store.account_by_id(principal.id)
        domain = account.address.rpartition("@")[2]
        postmaster = Mailbox(f"postmaster@{domain}")
        mine = HeldNotice(
            hostname=self._settings.server.hostname,
            sender=postmaster,
            to=Mailbox(account.address, account.name),
            language=account.language,
            message_id=message_id(f"{trace}.held", self._settings.server.hostname),
            unix_s=now,
            incident=incident,
            limit=limit_of(principal.limits(self._settings.limits), incident.reason),
        )
        theirs = replace(
            mine,
            to=postmaster,
            language=self._settings.server.language,
            message_id=message_id(f"{trace}.held-admin", self._settings.server.hostname),
        )
        event = Event(now, "notice.held", trace, account.id, detail={"incident": incident_id})
        notices = [
            await self._queued(mine, trace, to_person(mine) if isinstance(principal, Person) else to_owner(mine)),
            await self._queued(theirs, trace, to_administrator(theirs)),
        ]
        await store.deliver([], notices, [event])

    async def _queued(self, notice: HeldNotice, trace: TraceId, letter: bytes) -> NewQueued:
        """By way of the queue: a full mailbox of one does not keep it from the other, and either may forward its mail."""
        blob, start = await letter_of_ours(self._store.blobs, letter)
        to = notice.to.address
        return NewQueued(
            origin=_OURS,
            trace_id=trace,
            reverse_path="",
            blob=blob,
            recipients=(NewRecipient(to, to.rpartition("@")[2], notify="NEVER"),),
            due_at=notice.unix_s,
            start=start,
            eight_bit=not letter.isascii(),
            smtputf8=not to.isascii(),
        )
