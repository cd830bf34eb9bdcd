"""Whose mail is tried next: leases, their end, and when to look again.

Theory of operation. Origins take turns, so that nobody waits behind somebody else's mass mailing: a lease begins after the
origin at which the last one ended (`Turn`) and takes the oldest due recipients of each. What it costs is bounded, however
long the queue is:

- Which origins have due mail: those of the `_OLDEST` oldest due rows, by `queue_next`. When these are all that is due, that
  is the answer. Else also those that a walk of `_ORIGINS` steps through `queue_due` finds, one index look-up for each origin.
- An origin's oldest that are not for a busy domain: `queue_due` holds the domain, so that rows of busy ones cost no more than
  their place in the index. It is read in windows of `_WINDOW`; where one ends in a busy domain, the next begins behind that
  domain's rows of the same second, which are all of a mass mailing's. After `_WINDOWS` it ends, and goes on from there the
  next time, having looked at the beginning first: mail behind a million rows of a busy domain has its turn after some calls.
- All windows of a lease together have at most `_READ` rows; who was not asked then is asked first the next time.

A lease is committed without waiting for the disk: a loss of power that takes it back ends the process that had it, too.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, final

from poterne.store.interface import Delivery, Settled
from poterne.store.sqlite import delivery, events, queue
from poterne.store.sqlite.connection import Rows
from poterne.store.sqlite.transaction import Tx
from poterne.values.event import Event
from poterne.values.mailbox import Appended
from poterne.values.queue import NewQueued, QueuedRecipient

_OLDEST: Final = 1_000
_ORIGINS: Final = 500
_WINDOW: Final = 250
_WINDOWS: Final = 8
_READ: Final = 8_000
_STEP: Final = 2_000
"""Rows that one transaction changes at most, when there may be many."""
REPLY_MOST: Final = 500
_PLACES: Final = 1_000
"""Origins of which is remembered where to go on."""
_Place = tuple[int, str, int]
"""Due time, domain and id: in the index, behind this row."""
_START: Final[_Place] = (-(2**62), "", 0)
_NEXT_TEXT: Final = "\0"
"""Appended, it makes the text that comes next: behind all rows of a domain without reading them."""

_DUE_ORIGINS: Final = (
    "SELECT origin, count(*) FROM (SELECT origin FROM queue_recipient INDEXED BY queue_next"
    " WHERE state = 'waiting' AND due_at <= ? ORDER BY due_at LIMIT ?) GROUP BY origin"
)
_WALK: Final = (
    "WITH RECURSIVE walk (origin) AS ("
    "SELECT min(origin) FROM queue_recipient INDEXED BY queue_due WHERE state = 'waiting' AND origin > ?1"
    " UNION ALL SELECT (SELECT min(q.origin) FROM queue_recipient q INDEXED BY queue_due"
    " WHERE q.state = 'waiting' AND q.origin > walk.origin)"
    " FROM walk WHERE walk.origin IS NOT NULL LIMIT ?2)"
    " SELECT origin, (SELECT min(due_at) FROM queue_recipient q INDEXED BY queue_due"
    " WHERE q.state = 'waiting' AND q.origin = walk.origin) <= ?3 FROM walk WHERE origin IS NOT NULL"
)
_OF_ORIGIN: Final = (
    "SELECT queue_id, due_at, domain FROM queue_recipient INDEXED BY queue_due WHERE state = 'waiting' AND origin = ?"
    " AND due_at <= ? AND (due_at, domain, queue_id) > (?, ?, ?) ORDER BY due_at, domain, queue_id LIMIT ?"
)
_EXPIRED: Final = (
    "UPDATE queue_recipient SET state = 'waiting' WHERE queue_id IN (SELECT queue_id FROM queue_recipient"
    " INDEXED BY queue_next WHERE state = 'leased' AND due_at <= ? LIMIT ?)"
)
_NEXT: Final = "SELECT min(due_at) FROM queue_recipient INDEXED BY queue_next WHERE state = ?"
_LEASE: Final = "UPDATE queue_recipient SET state = 'leased', due_at = ? WHERE queue_id IN carray(?)"
_AGAIN: Final = (
    "UPDATE queue_recipient SET state = CASE state WHEN 'leased' THEN 'waiting' ELSE state END, due_at = ?1,"
    " attempts = attempts + ?2, last_reply = CASE ?3 WHEN '' THEN last_reply ELSE ?3 END, delay_told = max(delay_told, ?4)"
    " WHERE queue_id = ?5"
)
_RECLAIM: Final = (
    "UPDATE queue_recipient SET state = 'waiting', due_at = ? WHERE queue_id IN"
    " (SELECT queue_id FROM queue_recipient INDEXED BY queue_next WHERE state = 'leased' LIMIT ?)"
)
_POSTPONE: Final = (
    "UPDATE queue_recipient SET due_at = ?4 WHERE queue_id IN (SELECT queue_id FROM queue_recipient INDEXED BY queue_domain"
    " WHERE domain = ?1 AND state = 'waiting' AND due_at >= ?2 AND due_at < ?3 LIMIT ?5)"
)


@final
@dataclass(slots=True)
class Turn:
    """Whose turn it was: the origin at which the last lease ended, and how far one came through rows of busy domains.

    A lease that is undone, with what was to be committed beside it, leaves it as it is: others come first then, nobody is lost.
    """

    origin: str = ""
    places: dict[str, _Place] = field(default_factory=dict)


def next_due(rows: Rows, now: int) -> int | None:
    """When a recipient is due next, not before `now`; None: nothing waits."""
    found = [row[0] for state in ("waiting", "leased") for row in rows.all(_NEXT, (state,)) if row[0] is not None]
    return max(now, min(found)) if found else None


def lease(
    tx: Tx, now: int, until: int, limit: int, per_origin: int, busy: frozenset[str], full: frozenset[str], turn: Turn
) -> list[QueuedRecipient]:
    """Up to `limit` due recipients, leased until then."""
    tx.run(_EXPIRED, (now, _STEP))
    search = _Search(tx, now, busy, turn.places)
    taken: list[int] = []
    for origin, moves in _due_origins(tx, now, turn.origin):
        if origin not in full:
            taken += search.oldest(origin, min(per_origin, limit - len(taken)))
        if moves:
            turn.origin = origin
        if len(taken) >= limit or search.left <= 0:
            break
    if not taken:
        return []
    tx.run(_LEASE, (until, queue.ids(taken)))
    return queue.by_ids(tx, taken)


def _due_origins(tx: Tx, now: int, after: str) -> Iterator[tuple[str, bool]]:
    """Those with due mail, or some of them, in the order of their turns; and whether the next turn begins after it."""
    oldest = tx.all(_DUE_ORIGINS, (now, _OLDEST))
    origins: list[str] = sorted(origin for origin, _ in oldest)
    if sum(count for _, count in oldest) < _OLDEST:
        for origin in [one for one in origins if one > after] + [one for one in origins if one <= after]:
            yield origin, True
        return
    walked = tx.all(_WALK, (after, _ORIGINS, now))
    if len(walked) < _ORIGINS:  # round the end
        walked += [row for row in tx.all(_WALK, ("", _ORIGINS - len(walked), now)) if row[0] <= after]
    due = [origin for origin, is_due in walked if is_due]
    for origin in due:
        yield origin, True
    last = walked[-1][0] if walked else ""
    for origin in origins:
        if origin not in due:
            yield origin, False
    if last not in due:
        yield last, True


class _Search:
    """Looks for an origin's oldest; `left` is how many rows may still be read."""

    def __init__(self, tx: Tx, now: int, busy: frozenset[str], places: dict[str, _Place]) -> None:
        self.tx = tx
        self.now = now
        self.busy = busy
        self.places = places
        self.left = _READ

    def oldest(self, origin: str, want: int) -> list[int]:
        """At most `want` ids, none of them of a busy domain."""
        found, place = self._window(origin, _START, want)
        if place is not None and len(found) < want:
            place = max(place, self.places.get(origin, place))
            for _ in range(_WINDOWS):
                more, place = self._window(origin, place, want - len(found))
                found += more
                if place is None or len(found) >= want or self.left <= 0:
                    break
        self._remember(origin, place)
        return found

    def _window(self, origin: str, place: _Place, want: int) -> tuple[list[int], _Place | None]:
        """What one window gives, and where it ended; None: the end of what is due."""
        size = max(_WINDOW, want) if self.busy else want
        rows = self.tx.all(_OF_ORIGIN, (origin, self.now, *place, size))
        self.left -= len(rows)
        found = [queue_id for queue_id, _, domain in rows if domain not in self.busy][:want]
        if len(found) == want or len(rows) < size:
            return found, None
        queue_id, due_at, domain = rows[-1]
        return found, (due_at, domain + _NEXT_TEXT, 0) if domain in self.busy else (due_at, domain, queue_id)

    def _remember(self, origin: str, place: _Place | None) -> None:
        if place is None:
            self.places.pop(origin, None)
        else:
            if len(self.places) >= _PLACES:
                self.places.clear()
            self.places[origin] = place


def settle(
    tx: Tx,
    settled: Sequence[Settled],
    happened: Sequence[Event],
    deliveries: Sequence[Delivery],
    notices: Sequence[NewQueued],
) -> list[Appended]:
    """End leases, with what they led to. Nothing is delivered when somebody else has settled all of them before."""
    known = queue.forget(tx, [one.id for one in settled if one.done])
    for one in settled:
        if not one.done:
            reply = one.reply[:REPLY_MOST]
            known += tx.count(_AGAIN, (one.due_at, int(one.attempted), reply, int(one.delay_told), one.id))
    if settled and not known:
        events.record(tx, happened)
        return []
    return delivery.deliver(tx, deliveries, notices, happened)


def reclaim(tx: Tx) -> int:
    """Some leased recipients wait again, due now; 0: there are no more."""
    return tx.count(_RECLAIM, (tx.now, _STEP))


def postpone_domain(tx: Tx, domain: str, due_from: int, until: int, limit: int) -> int:
    """Waiting recipients of a domain, due from then and before `until`, are due at `until`; gives how many."""
    return tx.count(_POSTPONE, (domain.lower(), due_from, until, until, limit))
