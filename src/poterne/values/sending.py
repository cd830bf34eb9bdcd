"""How much one origin may send, what it has sent, and what becomes of what is too much: it is held, never dropped.

Pure arithmetic, here because the store decides with it inside the transaction that also takes the mail: two workers can
then not both let the last one through.
"""

from dataclasses import dataclass, replace
from enum import Enum

from poterne.values.ids import IncidentId
from poterne.values.origin import Origin

MINUTE_S = 60
HOUR_S = 3600
DAY_S = 86_400


class HoldReason(Enum):
    """Why mail is held; the value is the stable word."""

    DAY = "recipients-per-day"
    EXTERNAL = "external-per-hour"
    NEW = "new-recipients-per-day"
    BURST = "burst"
    REPEATED = "loop-same-content"
    PING_PONG = "loop-answers"
    OPEN_INCIDENT = "incident-open"
    """Something of this origin is held already, and nobody has decided yet."""


@dataclass(frozen=True, slots=True)
class SendingLimits:
    """Recipients, not messages. 0: no limit."""

    per_day: int
    external_per_hour: int
    new_per_day: int
    """Recipients that this account never wrote to before."""
    burst: int
    """In a minute."""
    same_per_hour: int = 0
    """The same content to the same recipient: scripts only."""
    answers_per_hour: int = 0
    """Messages that answer another one (In-Reply-To) to the same recipient: scripts only."""


@dataclass(frozen=True, slots=True)
class Window:
    """A sliding count over a fixed length: the last full window counts by how much of it still lies inside the length."""

    start: int = 0
    current: int = 0
    previous: int = 0

    def moved(self, now: int, length_s: int) -> "Window":
        """The same as of `now`; unchanged when `now` is just before it: two workers' messages come in either order."""
        start = now - now % length_s
        if start in (self.start, self.start - length_s):
            return self
        if start == self.start + length_s:
            return Window(start, 0, self.current)
        return Window(start)

    def used(self, now: int, length_s: int) -> int:
        """What counts at `now`, rounded up."""
        moved = self.moved(now, length_s)
        left = min(length_s, length_s - (now - moved.start))
        return moved.current + -(-moved.previous * left // length_s)

    def plus(self, now: int, length_s: int, count: int) -> "Window":
        moved = self.moved(now, length_s)
        return replace(moved, current=moved.current + count)


@dataclass(frozen=True, slots=True)
class Usage:
    """What an origin has sent lately."""

    day: Window = Window()
    external_hour: Window = Window()
    new_day: Window = Window()
    minute: Window = Window()


@dataclass(frozen=True, slots=True)
class Charge:
    """One message's weight, to be judged and counted when it is taken."""

    origin: Origin
    limits: SendingLimits
    at: int
    recipients: tuple[str, ...]
    """Each once, as `Address.key`."""
    external: int
    """How many of them are elsewhere."""
    content: int = 0
    """64-bit hash of what the message says, for `same_per_hour`; 0 when that has no limit."""
    answers: bool = False
    """It has In-Reply-To or References."""


def judge(usage: Usage, charge: Charge, new: int) -> tuple[Usage, HoldReason | None]:
    """The usage with this message in it, or unchanged and the reason why the message is held. `new`: first-time recipients.

    A message that alone is over a limit is held as well: a limit is a limit.
    """
    now, limits, count = charge.at, charge.limits, len(charge.recipients)
    for reason, window, length_s, limit, weight in (
        (HoldReason.BURST, usage.minute, MINUTE_S, limits.burst, count),
        (HoldReason.DAY, usage.day, DAY_S, limits.per_day, count),
        (HoldReason.EXTERNAL, usage.external_hour, HOUR_S, limits.external_per_hour, charge.external),
        (HoldReason.NEW, usage.new_day, DAY_S, limits.new_per_day, new),
    ):
        if limit and weight and window.used(now, length_s) + weight > limit:
            return usage, reason
    return (
        Usage(
            usage.day.plus(now, DAY_S, count),
            usage.external_hour.plus(now, HOUR_S, charge.external),
            usage.new_day.plus(now, DAY_S, new),
            usage.minute.plus(now, MINUTE_S, count),
        ),
        None,
    )


class IncidentState(Enum):
    OPEN = "open"
    RELEASED = "released"
    PURGED = "purged"


@dataclass(frozen=True, slots=True)
class Incident:
    """All that is held of one origin since a limit was passed, to be released or purged as one."""

    id: IncidentId
    origin: Origin
    reason: HoldReason
    opened_at: int
    state: IncidentState
    closed_at: int
    """0 while open."""
    messages: int
    recipients: int
    """How many wait; of a closed one, how many were released or purged."""


@dataclass(frozen=True, slots=True)
class Submitted:
    """What became of a charged message: it went its way, or is held."""

    incident: IncidentId | None = None
    reason: HoldReason | None = None
    first: bool = False
    """This message opened the incident: time to tell the sender."""
