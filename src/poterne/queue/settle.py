"""What an attempt led to, put into the store: done, again later, or given up; with its events and notices, in one operation."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Protocol, final

from poterne.message.dsn import Action, RecipientReport
from poterne.observe import Log
from poterne.policy.retry import Again, RetryTimes, Waiting, after_failure, expires_at
from poterne.queue.bounce import Notices
from poterne.queue.fate import Fate, wants
from poterne.queue.forwards import FailedForwards, Rescue, forwarded
from poterne.queue.outcome import Delivered, Permanent, Transient
from poterne.store.errors import LimitError, NotFoundError, OverQuotaError
from poterne.store.interface import Delivery, Settled, Store
from poterne.values.event import Event
from poterne.values.origin import OriginKind
from poterne.values.queue import NewQueued, QueuedMessage, QueuedRecipient

REPLY_MOST: Final = 500


class Counters(Protocol):
    """Metrics of what goes out. `outcome`: "sent", "delivered", "deferred", "failed", "failed-untold"."""

    def outbound(self, origin: str, outcome: str) -> None: ...


@dataclass(slots=True)
class _Batch:
    """What one settlement is made of, as it grows."""

    settled: list[Settled] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    reports: list[RecipientReport] = field(default_factory=list)
    failed: list[QueuedRecipient] = field(default_factory=list)
    counted: list[str] = field(default_factory=list)
    forwards: list[Fate] = field(default_factory=list)
    """Forwards that are given up."""


@final
class Settler:
    """Decides by `policy.retry` and writes. `chance` gives numbers in [0, 1)."""

    def __init__(
        self,
        store: Store,
        notices: Notices,
        forwards: FailedForwards,
        times: RetryTimes,
        clock: Callable[[], float],
        chance: Callable[[], float],
        log: Log,
        counters: Counters | None = None,
    ) -> None:
        self._store: Final = store
        self._notices: Final = notices
        self._forwards: Final = forwards
        self.times: RetryTimes = times
        self._clock: Final = clock
        self._chance: Final = chance
        self._log: Final = log
        self._counters: Final = counters

    async def settle(
        self,
        message: QueuedMessage,
        fates: Sequence[Fate],
        deliveries: Sequence[Delivery] = (),
        onward: Sequence[NewQueued] = (),
    ) -> None:
        """End the leases of recipients of one message. `onward`: what goes out again because of it. Raises StoreError."""
        now = int(self._clock())
        batch = await self._decided(message, fates, now)
        notices = await self._notices.about(message, batch.reports, batch.failed, now) if batch.reports else []
        rescue = await self._forwards.rescue(message, batch.forwards) if batch.forwards else Rescue()
        kept = [*deliveries, *rescue.deliveries]
        try:
            happened = [*batch.events, *rescue.events]
            await self._store.settle(batch.settled, happened, kept, [*onward, *notices, *rescue.notices])
        except (OverQuotaError, NotFoundError, LimitError):
            if not rescue.deliveries:
                raise
            batch, rescue = await self._without_mailbox(message, fates, now)
        self._forwards.done(rescue)
        if self._counters is not None:
            for outcome_word in batch.counted:
                self._counters.outbound(message.origin.kind.value, outcome_word)

    async def _without_mailbox(self, message: QueuedMessage, fates: Sequence[Fate], now: int) -> tuple[_Batch, Rescue]:
        """A forward failed, and its owner's mailbox can't take the mail instead: it waits while its time lasts."""
        if await self._forwards.keeps_nothing(message):
            fates = [_waiting(fate) for fate in fates]
        batch = await self._decided(message, fates, now)
        rescue = await self._forwards.rescue(message, batch.forwards, mailbox=False)
        await self._store.settle(batch.settled, batch.events, [], rescue.notices)
        return batch, rescue

    async def _decided(self, message: QueuedMessage, fates: Sequence[Fate], now: int) -> _Batch:
        batch = _Batch()
        told = False
        if not all(isinstance(fate.outcome, Delivered) for fate in fates):
            told = await self._notices.told(message, [fate.recipient for fate in fates]) is not None
        for fate in fates:
            outcome = fate.outcome
            if isinstance(outcome, Delivered):
                self._delivered(batch, message, fate, outcome, now)
            elif isinstance(outcome, Permanent):
                self._failed(batch, message, fate, outcome, now, told=told)
            else:
                self._deferred(batch, message, fate, outcome, now, told=told)
        return batch

    def _delivered(self, batch: _Batch, message: QueuedMessage, fate: Fate, outcome: Delivered, now: int) -> None:
        recipient = fate.recipient
        batch.settled.append(Settled(recipient.id, done=True, reply=outcome.reply))
        word = "delivered" if fate.mailbox else "sent"
        batch.events.append(_event(f"message.{word}", message, fate, outcome.enhanced, outcome.reply, now))
        batch.counted.append(word)
        if wants(recipient, "SUCCESS") and not fate.promises:
            action = Action.DELIVERED if fate.mailbox else Action.RELAYED
            batch.reports.append(_report(fate, action, outcome.enhanced, outcome.reply, now))

    def _failed(
        self, batch: _Batch, message: QueuedMessage, fate: Fate, outcome: Permanent | Transient, now: int, *, told: bool
    ) -> None:
        recipient = fate.recipient
        # What we wrote ourselves asks for no notices (RFC 3461 §6.1); that it failed is for our postmaster. Reports, which have
        # a name, go where strangers' records say: a wrong one of these is nobody's mail here.
        notice = message.origin.kind is OriginKind.SYSTEM and not message.origin.name
        told = told and (notice or wants(recipient, "FAILURE"))
        batch.settled.append(Settled(recipient.id, done=True, reply=outcome.reply))
        batch.events.append(_event("message.failed", message, fate, outcome.enhanced, outcome.reply, now, told=told))
        batch.counted.append("failed" if told else "failed-untold")
        log = self._log.info if told else self._log.warning
        log(
            "message.failed",
            trace=message.trace_id,
            origin=message.origin.key,
            to=recipient.forward_path,
            host=fate.host,
            reply=outcome.reply,
            told=told,
        )
        if told:
            batch.reports.append(_report(fate, Action.FAILED, outcome.enhanced, outcome.reply, now))
            batch.failed.append(recipient)
        elif forwarded(message):
            batch.forwards.append(fate)

    def _deferred(
        self, batch: _Batch, message: QueuedMessage, fate: Fate, outcome: Transient, now: int, *, told: bool
    ) -> None:
        recipient = fate.recipient
        if outcome.soon:
            batch.settled.append(Settled(recipient.id, done=False, due_at=now, reply=outcome.reply, attempted=False))
            return
        waiting = Waiting(message.queued_at, recipient.attempts, not message.reverse_path, recipient.delay_told)
        then = after_failure(waiting, self.times, now, self._chance(), fate.not_before)
        if not isinstance(then, Again):
            self._failed(batch, message, fate, outcome, now, told=told)
            return
        delayed = then.tell_delay and told and wants(recipient, "DELAY")
        batch.settled.append(
            Settled(recipient.id, done=False, due_at=then.due_at, reply=outcome.reply, delay_told=delayed)
        )
        batch.counted.append("deferred")
        if outcome.reply[:REPLY_MOST] != recipient.last_reply:  # the same again and again is no news
            batch.events.append(
                _event("message.deferred", message, fate, outcome.enhanced, outcome.reply, now, due_at=then.due_at)
            )
        if delayed:
            until = expires_at(waiting, self.times)
            batch.reports.append(_report(fate, Action.DELAYED, outcome.enhanced, outcome.reply, now, until))


def _waiting(fate: Fate) -> Fate:
    """The same, not for good."""
    outcome = fate.outcome
    if not isinstance(outcome, Permanent):
        return fate
    return replace(fate, outcome=Transient(outcome.reply, outcome.code, outcome.enhanced, outcome.local))


def _report(fate: Fate, action: Action, enhanced: str, said: str, now: int, until: int = 0) -> RecipientReport:
    return RecipientReport(
        recipient=fate.recipient.forward_path,
        action=action,
        status=enhanced,
        said=said,
        remote=fate.host,
        local=not isinstance(fate.outcome, Delivered) and fate.outcome.local,
        orcpt=fate.recipient.orcpt,
        attempted_at=now,
        retry_until=until,
    )


def _event(
    kind: str, message: QueuedMessage, fate: Fate, enhanced: str, reply: str, now: int, **more: int | bool
) -> Event:
    detail: dict[str, str | int | bool | None] = {
        "to": fate.recipient.forward_path,
        "origin": message.origin.key,
        "host": fate.host,
        "reply": reply[:REPLY_MOST],
        "attempt": fate.recipient.attempts + 1,
        **more,
    }
    if fate.tls.version:
        detail["tls"] = fate.tls.version
        detail["tls_verified"] = fate.tls.verified
    if fate.tls.problem:
        detail["tls_problem"] = fate.tls.problem
    if fate.tls_policy:
        detail["tls_policy"] = fate.tls_policy
    return Event(now, kind, message.trace_id, message.origin.account_id, fate.address, enhanced, detail)
