"""What origins have sent lately: their counts, whom they know, and what they repeat."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from poterne.store.sqlite import queue
from poterne.store.sqlite.connection import Row, Rows
from poterne.store.sqlite.transaction import Tx
from poterne.values.ids import AccountId
from poterne.values.origin import OriginKind
from poterne.values.sending import DAY_S, HOUR_S, Charge, HoldReason, Usage, Window, judge

_PRUNED: Final = 16
"""Old repeats that go whenever new ones come: more than come at once from most scripts, and little work."""
_KEPT_REPEAT_S: Final = 2 * HOUR_S
_KEPT_USAGE_S: Final = 2 * DAY_S

_USAGE: Final = "SELECT * FROM sending_usage WHERE origin = ?"
_NOTE: Final = "INSERT OR REPLACE INTO sending_usage VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_KNOWN: Final = "SELECT 1 FROM correspondent WHERE account_id = ? AND hash = ?"
_KNOWN_MANY: Final = "SELECT hash FROM correspondent WHERE account_id = ? AND hash IN carray(?)"
_KNOW: Final = "INSERT OR IGNORE INTO correspondent VALUES (?, ?, ?)"
_REPEAT: Final = "SELECT start, current, previous FROM sending_repeat WHERE origin = ? AND hash = ?"
_REPEATED: Final = "INSERT OR REPLACE INTO sending_repeat VALUES (?, ?, ?, ?, ?)"
_OLD_REPEATS: Final = (
    "DELETE FROM sending_repeat WHERE (origin, hash) IN (SELECT origin, hash FROM sending_repeat"
    " INDEXED BY sending_repeat_start WHERE start < ? LIMIT ?)"
)
_OLD_USAGE: Final = "DELETE FROM sending_usage WHERE origin = ? AND day_start < ?"


def judged(tx: Tx, charge: Charge) -> HoldReason | None:
    """Why this must be held; None: it goes its way, and was counted."""
    key, account_id = charge.origin.key, charge.origin.account_id
    repeats = _repeats(tx, key, charge)
    if isinstance(repeats, HoldReason):
        return repeats
    new: list[int] = []
    if charge.limits.new_per_day and account_id is not None and charge.origin.kind is OriginKind.ACCOUNT:
        new = _strangers(tx, account_id, charge.recipients)
    before = usage(tx, key)
    after, reason = judge(before, charge, len(new))
    if reason is not None:
        return reason
    if after != before:
        tx.run(_NOTE, _row(key, after))
    if new and account_id is not None:
        _know(tx, account_id, new, charge.at)
    if repeats:
        tx.run_many(_REPEATED, repeats)
        prune_repeats(tx, charge.at, _PRUNED)
    return None


def usage(rows: Rows, key: str) -> Usage:
    """What this origin has sent lately."""
    row = rows.one(_USAGE, (key,))
    if row is None:
        return Usage()
    return Usage(Window(*row[1:4]), Window(*row[4:7]), Window(*row[7:10]), Window(*row[10:13]))


def begin_anew(tx: Tx, key: str) -> None:
    """As if this origin had sent nothing yet."""
    tx.run("DELETE FROM sending_usage WHERE origin = ?", (key,))


def forget_repeats(tx: Tx, key: str, limit: int) -> int:
    """The same for its repeats, at most so many; gives how many."""
    return tx.count(
        "DELETE FROM sending_repeat WHERE (origin, hash) IN (SELECT origin, hash FROM sending_repeat WHERE origin = ? LIMIT ?)",
        (key, limit),
    )


def know(tx: Tx, account_id: AccountId, addresses: Iterable[str], at: int) -> None:
    """From now on these are not first-time recipients of the account. `addresses`: `Address.key`s."""
    _know(tx, account_id, [_hash(address) for address in addresses], at)


def prune_repeats(tx: Tx, now: int, limit: int) -> int:
    """Forget at most so many that no longer count; gives how many."""
    return tx.count(_OLD_REPEATS, (now - _KEPT_REPEAT_S, limit))


def old_usage(rows: Rows, now: int) -> list[str]:
    """Origins whose usage no longer counts. Reads all: not under the lock."""
    found = rows.all("SELECT origin FROM sending_usage WHERE day_start < ?", (now - _KEPT_USAGE_S,))
    return [origin for (origin,) in found]


def prune_usage(tx: Tx, origins: Sequence[str], now: int) -> None:
    """Forget these, if they have not sent meanwhile."""
    tx.run_many(_OLD_USAGE, [(origin, now - _KEPT_USAGE_S) for origin in origins])


@dataclass(frozen=True, slots=True)
class _Loop:
    """A limit of so many of one thing to one recipient in an hour."""

    reason: HoldReason
    limit: int
    what: str


def _repeats(tx: Tx, key: str, charge: Charge) -> list[Row] | HoldReason:
    """The rows that count this message, or why it looks like a loop."""
    limits = charge.limits
    loops: list[_Loop] = []
    if limits.same_per_hour and charge.content:
        loops.append(_Loop(HoldReason.REPEATED, limits.same_per_hour, f"{charge.content}"))
    if limits.answers_per_hour and charge.answers:
        loops.append(_Loop(HoldReason.PING_PONG, limits.answers_per_hour, "answer"))
    rows: list[Row] = []
    for loop in loops:
        for recipient in charge.recipients:
            hash_ = _hash(f"{recipient}\0{loop.what}")
            row = tx.one(_REPEAT, (key, hash_))
            window = Window() if row is None else Window(*row)
            if window.used(charge.at, HOUR_S) + 1 > loop.limit:
                return loop.reason
            window = window.plus(charge.at, HOUR_S, 1)
            rows.append((key, hash_, window.start, window.current, window.previous))
    return rows


def _strangers(tx: Tx, account_id: AccountId, recipients: Sequence[str]) -> list[int]:
    """Those whom the account never wrote to."""
    hashes = [_hash(recipient) for recipient in recipients]
    if len(hashes) == 1:
        return hashes if tx.one(_KNOWN, (account_id, hashes[0])) is None else []
    if not hashes:
        return []
    known = {hash_ for (hash_,) in tx.all(_KNOWN_MANY, (account_id, queue.ids(hashes)))}
    return [hash_ for hash_ in hashes if hash_ not in known]


def _know(tx: Tx, account_id: AccountId, hashes: Sequence[int], at: int) -> None:
    tx.run_many(_KNOW, [(account_id, hash_, at) for hash_ in hashes])


def _row(key: str, after: Usage) -> Row:
    day, external, new, minute = after.day, after.external_hour, after.new_day, after.minute
    return (
        key,
        *(day.start, day.current, day.previous),
        *(external.start, external.current, external.previous),
        *(new.start, new.current, new.previous),
        *(minute.start, minute.current, minute.previous),
    )


def _hash(text: str) -> int:
    """64 bits, as SQLite's signed integer."""
    return int.from_bytes(blake2b(text.encode(errors="surrogatepass"), digest_size=8).digest(), "big", signed=True)
