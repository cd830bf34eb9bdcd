"""Reading a mailbox: rows, contents, changes."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from poterne.store.errors import NotFoundError
from poterne.store.interface import Uids
from poterne.store.sqlite import mailbox_rows, uidset
from poterne.store.sqlite.connection import Rows
from poterne.values.ids import AccountId, BlobId, MailboxId, ModSeq, Uid
from poterne.values.mailbox import Changes, ContentRow, Flag, MessageRow

_MAILBOX: Final = "account_id = ? AND mailbox_id = ?"
_ROW: Final = (
    f"SELECT uid, flags, modseq, internal_at, internal_offset, size, content_id FROM message WHERE {_MAILBOX} AND "  # noqa: S608
)
_LOWEST: Final = f"SELECT uid FROM message WHERE {_MAILBOX} AND flags & ? = ? ORDER BY uid LIMIT 1"  # noqa: S608
_LARGEST: Final = 2**62

_numbers_decode = msgspec.json.Decoder(list[int]).decode
_uids_decode = msgspec.json.Decoder(list[Uid]).decode


def rows(source: Rows, account_id: AccountId, mailbox_id: MailboxId, uids: Uids) -> list[MessageRow]:
    """Ascending by UID."""
    found: list[MessageRow] = []
    for condition, args in uidset.conditions(uids):
        found += [
            MessageRow(*row) for row in source.all(f"{_ROW}{condition} ORDER BY uid", (account_id, mailbox_id, *args))
        ]
    return found


def flags(
    source: Rows, account_id: AccountId, mailbox_id: MailboxId, uids: Uids, known: Sequence[int] = ()
) -> tuple[Sequence[int], list[int], ModSeq]:
    """Ascending by UID. As JSON texts, see `all_uids`."""
    their: list[int] = []
    newest = 0
    if known:
        for condition, args in uidset.conditions(uids):
            highest, listed = source.all(
                f"SELECT max(modseq), json_group_array(flags) FROM message WHERE {_MAILBOX} AND {condition}",  # noqa: S608
                (account_id, mailbox_id, *args),
            )[0]
            their += _numbers_decode(listed)
            newest = max(newest, highest or 0)
        if len(their) == len(known):
            return known, their, ModSeq(newest)
    found: list[int] = []
    their, newest = [], 0
    for condition, args in uidset.conditions(uids):
        highest, there, listed = source.all(
            "SELECT max(modseq), json_group_array(uid), json_group_array(flags)"  # noqa: S608  # words of ours
            f" FROM message WHERE {_MAILBOX} AND {condition}",
            (account_id, mailbox_id, *args),
        )[0]
        found += _numbers_decode(there)
        their += _numbers_decode(listed)
        newest = max(newest, highest or 0)
    return found, their, ModSeq(newest)


def highest_modseq(source: Rows, account_id: AccountId, mailbox_id: MailboxId) -> ModSeq:
    """Zero if there is no such mailbox."""
    row = source.one(f"SELECT highest_modseq FROM mailbox WHERE {_MAILBOX}", (account_id, mailbox_id))  # noqa: S608
    return ModSeq(0 if row is None else row[0])


def contents(
    source: Rows,
    account_id: AccountId,
    mailbox_id: MailboxId,
    uids: Uids,
    *,
    envelope: bool,
    structure: bool,
    parsed: bool,
) -> list[ContentRow]:
    """Ascending by UID; columns not asked for are empty."""
    wide = (("c.envelope", envelope), ("c.structure", structure), ("c.parsed", parsed))
    columns = ", ".join(name if asked else "NULL" for name, asked in wide)
    select = (
        f"SELECT uid, {columns}, c.segment, c.blob_offset, c.blob_size, c.header_size, c.sent_at, c.thread_id, saved_at"  # noqa: S608
        f" FROM message CROSS JOIN content c USING (content_id) WHERE {_MAILBOX} AND "
    )
    found: list[ContentRow] = []
    for condition, args in uidset.conditions(uids):
        found += [
            ContentRow(
                uid, e or b"", s or b"", p or b"", BlobId(segment, at, size), header_size, sent_at, thread_id, saved_at
            )
            for uid, e, s, p, segment, at, size, header_size, sent_at, thread_id, saved_at in source.all(
                f"{select}{condition} ORDER BY uid", (account_id, mailbox_id, *args)
            )
        ]
    return found


def texts(
    source: Rows, account_id: AccountId, mailbox_id: MailboxId, uids: Uids, *, structure: bool
) -> list[tuple[Uid, bytes]]:
    """Ascending by UID."""
    found: list[tuple[Uid, bytes]] = []
    select = f"SELECT uid, c.{'structure' if structure else 'envelope'}"
    for condition, args in uidset.conditions(uids):
        where = f"{_MAILBOX} AND {condition} ORDER BY uid"
        sql = f"{select} FROM message CROSS JOIN content c USING (content_id) WHERE {where}"
        found += source.all(sql, (account_id, mailbox_id, *args))
    return found


def all_uids(source: Rows, account_id: AccountId, mailbox_id: MailboxId, first: int = 1) -> list[Uid]:
    """UIDs from `first` on. As one JSON text, which is twice as fast as one row each."""
    found = source.all(
        f"SELECT json_group_array(uid) FROM message WHERE {_MAILBOX} AND uid >= ?",  # noqa: S608  # words of ours
        (account_id, mailbox_id, first),
    )
    return _uids_decode(found[0][0])


def flagged(
    source: Rows,
    account_id: AccountId,
    mailbox_id: MailboxId,
    flags_set: int,
    flags_clear: int,
    *,
    lowest: bool = False,
) -> list[Uid]:
    """Ascending. Walks down from the newest, and stops when the mailbox's counters say that there are no more.

    `lowest`: walks up from the oldest instead, to the first.
    """
    mailbox = mailbox_rows.by_id(source, account_id, mailbox_id)
    most = mailbox.messages
    if flags_clear & Flag.SEEN:
        most = min(most, mailbox.unseen)
    if flags_set & Flag.DELETED:
        most = min(most, mailbox.deleted)
    if not most:
        return []
    only = flags_set | flags_clear
    if only.bit_count() > 1:  # the counter is of another set than the one looked for
        most = -1
    wanted = flags_set & ~flags_clear if not flags_set & flags_clear else -1
    if lowest:
        first = source.one(_LOWEST, (account_id, mailbox_id, only, wanted))
        return [] if first is None else [Uid(first[0])]
    found = source.all(
        "SELECT json_group_array(uid) FROM (SELECT uid FROM message"  # noqa: S608  # words of ours
        f" WHERE {_MAILBOX} AND flags & ? = ? ORDER BY uid DESC LIMIT ?)",
        (account_id, mailbox_id, only, wanted, most),
    )
    uids = _uids_decode(found[0][0])
    uids.reverse()
    return uids


def changes(source: Rows, account_id: AccountId, mailbox_id: MailboxId, since: ModSeq) -> Changes:
    """Everything after `since`. The caller gives a snapshot.

    New messages are at the top: going down, the first row that is not newer than `since` was there already, and so was
    all below it. Flag changes further down are in the ranges of `flag_change`, or anywhere if those were pruned.
    """
    row = source.one(
        f"SELECT highest_modseq, uid_next, flag_change_floor, expunged_floor FROM mailbox WHERE {_MAILBOX} AND selectable",  # noqa: S608
        (account_id, mailbox_id),
    )
    if row is None:
        raise NotFoundError("no such mailbox")
    highest, uid_next, floor, expunged_floor = row
    if since >= highest:
        return Changes(ModSeq(highest), Uid(uid_next), (), ())
    here = (account_id, mailbox_id)
    if since < floor:
        spans = [(1, uidset.MAX_UID)]
    else:
        known = source.all(
            f"SELECT uid FROM message WHERE {_MAILBOX} AND modseq <= ? ORDER BY uid DESC LIMIT 1",  # noqa: S608
            (*here, since),
        )
        spans = source.all(
            f"SELECT first_uid, last_uid FROM flag_change WHERE {_MAILBOX} AND modseq > ?",  # noqa: S608
            (*here, since),
        )
        spans.append((known[0][0] + 1 if known else 1, uidset.MAX_UID))
    changed: list[MessageRow] = []
    for first, last in _merged(spans):
        found = source.all(f"{_ROW}uid BETWEEN ? AND ? AND modseq > ? ORDER BY uid", (*here, first, last, since))
        changed += [MessageRow(*row) for row in found]
    if (
        since < expunged_floor
    ):  # not known any more: all that is not there (RFC 7162 §3.2.10.1 lets a server say too many)
        there = set(all_uids(source, account_id, mailbox_id))
        vanished = tuple(Uid(uid) for uid in range(1, uid_next) if uid not in there)
    else:
        gone = source.all(
            f"SELECT first_uid, last_uid FROM expunged WHERE {_MAILBOX} AND modseq > ? ORDER BY first_uid",  # noqa: S608
            (*here, since),
        )
        vanished = tuple(Uid(uid) for first, last in gone for uid in range(first, last + 1))
    return Changes(ModSeq(highest), Uid(uid_next), tuple(changed), vanished)


def _merged(spans: list[Any]) -> list[tuple[int, int]]:
    """Disjoint and ascending."""
    merged: list[tuple[int, int]] = []
    for first, last in sorted(spans):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
        else:
            merged.append((first, last))
    return merged
