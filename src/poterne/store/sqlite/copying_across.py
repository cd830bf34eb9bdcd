"""COPY and MOVE from one account's mailbox into another account's.

Contents belong to an account, so the second one gets rows of its own for the same blob, as when one delivery goes to both.
Threads are an account's too: a copy joins the thread that any reference of its old thread leads to, else those of one thread
become a new one together. The references of a thread have no index; they are read before, outside the lock (`references`).
"""

from array import array
from collections.abc import Mapping, Sequence
from typing import Final

import apsw

from poterne.store.errors import LimitError, NotFoundError, OverQuotaError
from poterne.store.interface import Uids
from poterne.store.interface_sharing import ACROSS_MOST
from poterne.store.sqlite import copying, expunging, flags, junk, uidset
from poterne.store.sqlite.connection import Row, Rows
from poterne.store.sqlite.delivery import CONTENT_BITS
from poterne.store.sqlite.transaction import Tx
from poterne.values.ids import AccountId, MailboxId, Uid, UidValidity
from poterne.values.mailbox import KEYWORD_SHIFT, KEYWORDS_OF_OTHERS, Copied, Flag

HASHES_MOST: Final = 1_000
"""Of one thread."""
_MAILBOX: Final = "account_id = ? AND mailbox_id = ?"
_SYSTEM: Final = (1 << KEYWORD_SHIFT) - 1
_DESTINATION: Final = (
    "SELECT c.modseq, c.quota_bytes, c.used_bytes, c.quota_messages, c.used_messages, c.last_content, m.uid_next,"
    " m.uid_validity, m.selectable, m.special_use FROM mailbox m JOIN account_counter c ON c.account_id = m.account_id"
    " WHERE m.account_id = ? AND m.mailbox_id = ?"
)
_CONTENT: Final = (
    "INSERT INTO content SELECT ?, segment, blob_offset, blob_size, header_size, sent_at, ?, envelope, structure, parsed"
    " FROM content WHERE content_id = ?"
)
_MESSAGE: Final = (
    "INSERT INTO message SELECT ?, ?, ?, ?, ?, internal_at, internal_offset, size, ?, coalesce(?, saved_at) FROM message"
    " WHERE account_id = ? AND mailbox_id = ? AND uid = ?"
)

References = Mapping[int, Sequence[int]]
"""Hashes by thread."""


def references(rows: Rows, account_id: AccountId, source: MailboxId, uids: Uids) -> References:
    """The references that lead to these messages' threads, some of each. Reads all of the account: not under the lock."""
    threads: set[int] = set()
    for condition, args in uidset.conditions(uids):
        found = rows.all(
            f"SELECT DISTINCT c.thread_id FROM message JOIN content c USING (content_id) WHERE {_MAILBOX} AND {condition}",  # noqa: S608
            (account_id, source, *args),
        )
        threads.update(thread_id for (thread_id,) in found)
    known: dict[int, list[int]] = {}
    if threads:
        wanted = apsw.carray(array("q", sorted(threads)))
        for thread_id, hash_ in rows.all(
            "SELECT thread_id, hash FROM thread_reference WHERE account_id = ? AND thread_id IN carray(?)",
            (account_id, wanted),
        ):
            hashes = known.setdefault(thread_id, [])
            if len(hashes) < HASHES_MOST:
                hashes.append(hash_)
    return known


def copy(
    tx: Tx,
    account_id: AccountId,
    source: MailboxId,
    uids: Uids,
    to_account: AccountId,
    destination: MailboxId,
    now: int,
    flags_kept: int,
    known: References,
    *,
    move: bool,
) -> Copied:
    """All or nothing. Within one account it is what `copying` does."""
    if account_id == to_account:
        within = copying.move if move else copying.copy
        return within(tx, account_id, source, uids, destination, now, flags_kept)
    origin = tx.one(f"SELECT special_use FROM mailbox WHERE {_MAILBOX}", (account_id, source))  # noqa: S608
    place = tx.one(_DESTINATION, (to_account, destination))
    if origin is None or place is None or not place[8]:
        raise NotFoundError("no such mailbox")
    found: list[Row] = []
    for condition, args in uidset.conditions(uids):
        found += tx.all(
            f"SELECT uid, flags & ?, size, content_id, c.thread_id FROM message JOIN content c USING (content_id)"  # noqa: S608
            f" WHERE {_MAILBOX} AND {condition} ORDER BY uid LIMIT ?",
            (flags_kept, account_id, source, *args, ACROSS_MOST + 1 - len(found)),
        )
        if len(found) > ACROSS_MOST:
            raise LimitError(f"more than {ACROSS_MOST} messages in one copy into another account")
    if not found:
        return Copied(UidValidity(place[7]), (), ())
    placed = _place(tx, (account_id, source), (to_account, destination), place, found, now, known)
    gone = tuple(Uid(row[0]) for row in found)
    if move:
        _take(tx, account_id, source, gone)
    if place[9] != origin[0]:
        junk.told(tx, to_account, origin[0], destination, place[9], placed)
    return Copied(UidValidity(place[7]), gone, placed)


def _place(
    tx: Tx,
    here: tuple[AccountId, MailboxId],
    there: tuple[AccountId, MailboxId],
    place: Row,
    found: Sequence[Row],
    now: int,
    known: References,
) -> tuple[Uid, ...]:
    modseq, quota_bytes, used_bytes, quota_messages, used_messages, content, uid_next, *_ = place
    to_account = there[0]
    count, size = len(found), sum(row[2] for row in found)
    if quota_bytes and used_bytes + size > quota_bytes:
        raise OverQuotaError(f"account {to_account} has {used_bytes} of {quota_bytes} bytes, copy of {size}")
    if quota_messages and used_messages + count > quota_messages:
        raise OverQuotaError(f"account {to_account} has {used_messages} of {quota_messages} messages, copy of {count}")
    if uid_next + count > uidset.MAX_UID:
        raise LimitError("the mailbox has used all UIDs")
    modseq += 1
    translated = _translated(tx, here[0], to_account, {row[1] for row in found})
    first = to_account << CONTENT_BITS | content + 1
    threads = _threads(tx, to_account, [(row[4], content + 1 + i) for i, row in enumerate(found)], known)
    tx.run_many(_CONTENT, [(first + i, threads[i], row[3]) for i, row in enumerate(found)])
    tx.run_many(
        _MESSAGE,
        [
            (*there, uid_next + i, translated[row[1]], modseq, first + i, now, *here, row[0])
            for i, row in enumerate(found)
        ],
    )
    unseen = sum(not row[1] & Flag.SEEN for row in found)
    deleted = sum(bool(row[1] & Flag.DELETED) for row in found)
    tx.run(
        "UPDATE account_counter SET modseq = ?, last_content = ?, used_bytes = ?, used_messages = ? WHERE account_id = ?",
        (modseq, content + count, used_bytes + size, used_messages + count, to_account),
    )
    tx.run(
        "UPDATE mailbox SET uid_next = ?, highest_modseq = ?, messages = messages + ?, unseen = unseen + ?,"  # noqa: S608
        f" deleted = deleted + ?, size_bytes = size_bytes + ? WHERE {_MAILBOX}",
        (uid_next + count, modseq, count, unseen, deleted, size, *there),
    )
    tx.touch(*there, modseq)
    return tuple(Uid(uid) for uid in range(uid_next, uid_next + count))


def _take(tx: Tx, account_id: AccountId, source: MailboxId, gone: Sequence[Uid]) -> None:
    """As an expunge: the account has it no more."""
    condition, args = uidset.listed(gone)
    expunging.put_away(tx, account_id, f"{_MAILBOX} AND {condition}", (account_id, source, *args))
    size = expunging.take_away(tx, account_id, source, gone)
    expunging.count_out(tx, account_id, size, len(gone))


def _translated(tx: Tx, account_id: AccountId, to_account: AccountId, flag_sets: set[int]) -> dict[int, int]:
    """Each of these sets of flags as the other account has them: a keyword's bit is the account's own."""
    used = 0
    for one in flag_sets:
        used |= one
    bits: dict[int, int] = {}
    if used & ~_SYSTEM:
        names = tx.all(
            "SELECT position, name, folded FROM keyword WHERE account_id = ? ORDER BY position", (account_id,)
        )
        wanted = [(1 << KEYWORD_SHIFT + position, name, folded) for position, name, folded in names]
        wanted = [keyword for keyword in wanted if keyword[0] & used]
        known = flags.known_keywords(tx, to_account)
        room = max(0, KEYWORDS_OF_OTHERS - len(known))
        missing = [name for _, name, folded in wanted if folded not in known][:room]
        made = {name.lower(): bit for name, bit in flags.make_keywords(tx, to_account, missing).items()}
        bits = {bit: made.get(folded) or known.get(folded, 0) for bit, _, folded in wanted}
    found: dict[int, int] = {}
    for one in flag_sets:
        there = one & _SYSTEM
        for bit, other in bits.items():
            if one & bit:
                there |= other
        found[one] = there
    return found


def _threads(tx: Tx, to_account: AccountId, wanted: Sequence[tuple[int, int]], known: References) -> list[int]:
    """The thread of each copy, from its old thread and the number of its new content."""
    joined: dict[int, int] = {}
    found: list[int] = []
    for old, number in wanted:
        hashes = known.get(old)
        if hashes is None:  # nothing leads to it
            found.append(number)
            continue
        if old not in joined:
            listed = apsw.carray(array("q", hashes))
            row = tx.one(
                "SELECT thread_id FROM thread_reference WHERE account_id = ? AND hash IN carray(?) LIMIT 1",
                (to_account, listed),
            )
            joined[old] = number if row is None else row[0]
            tx.run_many(
                "INSERT OR IGNORE INTO thread_reference VALUES (?, ?, ?)",
                [(to_account, hash_, joined[old]) for hash_ in hashes],
            )
        found.append(joined[old])
    return found
