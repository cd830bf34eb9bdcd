"""Delivery: contents, threads, and the new message's row. The busiest operation of all: some eight statements."""

from collections.abc import Sequence
from typing import Final

from poterne.store.errors import LimitError, NotFoundError, OverQuotaError
from poterne.store.interface import Delivery
from poterne.store.sqlite import events, queue
from poterne.store.sqlite.mailbox_rows import INBOX_ID
from poterne.store.sqlite.transaction import Tx
from poterne.store.sqlite.uidset import MAX_UID
from poterne.values.event import Event
from poterne.values.ids import AccountId, MailboxId, ModSeq, Uid, UidValidity
from poterne.values.mailbox import Appended, Flag
from poterne.values.queue import NewQueued

CONTENT_BITS: Final = 36
"""content_id = account_id << CONTENT_BITS | number: 2**36 messages in each of 2**27 accounts."""
MAX_REFERENCES: Final = 100
"""Of one message, the own Message-ID (first) included; long threads are joined by their newest references."""

_SEEN: Final = int(Flag.SEEN)  # an IntFlag's own operators are Python code
_DELETED: Final = int(Flag.DELETED)
_COUNTERS: Final = (
    "SELECT quota_bytes, used_bytes, quota_messages, used_messages, modseq, last_content FROM account_counter"
    " WHERE account_id = ?"
)
_PLACE: Final = "SELECT uid_next, uid_validity, selectable, name FROM mailbox WHERE account_id = ? AND mailbox_id = ?"
_CONTENT: Final = "INSERT INTO content VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_MESSAGE: Final = "INSERT INTO message VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_MAILBOX: Final = (
    "UPDATE mailbox SET uid_next = ?, highest_modseq = ?, messages = messages + 1, unseen = unseen + ?,"
    " deleted = deleted + ?, size_bytes = size_bytes + ? WHERE account_id = ? AND mailbox_id = ?"
)
_COUNTER: Final = (
    "UPDATE account_counter SET used_bytes = ?, used_messages = ?, modseq = ?, last_content = ? WHERE account_id = ?"
)
_THREAD: Final = "SELECT thread_id FROM thread_reference WHERE account_id = ? AND hash = ?"
_REFERENCE: Final = "INSERT OR IGNORE INTO thread_reference VALUES (?, ?, ?)"


def deliver(
    tx: Tx, deliveries: Sequence[Delivery], queued: Sequence[NewQueued], happened: Sequence[Event]
) -> list[Appended]:
    """Everything or nothing: an error in one is an error of all."""
    required = None
    for delivery in deliveries:  # as a rule one message for all
        if delivery.content.blob is not required:
            required = delivery.content.blob
            tx.require(required)
    for message in queued:
        tx.require(message.blob)
    appended = [deliver_one(tx, delivery) for delivery in deliveries]
    if queued:
        queue.enqueue(tx, queued)
    if happened:
        events.record(tx, happened)
    return appended


def deliver_one(tx: Tx, delivery: Delivery, *, exempt: bool = False) -> Appended:
    """Into one mailbox. The blob is known to be durable. `exempt`: it may go beyond the quota."""
    account_id = delivery.account_id
    mailbox_id = INBOX_ID if delivery.mailbox is None else delivery.mailbox
    counters = tx.one(_COUNTERS, (account_id,))  # two statements: SQLite needs four times as long for the join
    place = tx.one(_PLACE, (account_id, mailbox_id))
    if counters is None or place is None or not place[2] or (delivery.name or place[3]) != place[3]:
        raise NotFoundError("no such mailbox")
    quota_bytes, used_bytes, quota_messages, used_messages, modseq, content = counters
    uid, uid_validity, _, _ = place
    new = delivery.content
    blob = new.blob
    if quota_bytes and used_bytes + blob.size > quota_bytes and not exempt:
        raise OverQuotaError(f"account {account_id} has {used_bytes} of {quota_bytes} bytes")
    if quota_messages and used_messages >= quota_messages and not exempt:
        raise OverQuotaError(f"account {account_id} has {used_messages} of {quota_messages} messages")
    if uid > MAX_UID:
        raise LimitError("the mailbox has used all UIDs")
    modseq += 1
    content += 1
    content_id = account_id << CONTENT_BITS | content
    thread_id = _thread(tx, account_id, content, new.references)
    tx.run(
        _CONTENT,
        (
            content_id,
            blob.segment,
            blob.offset,
            blob.size,
            new.header_size,
            new.sent_at,
            thread_id,
            new.envelope,
            new.structure,
            new.parsed,
        ),
    )
    flags = delivery.flags
    tx.run(
        _MESSAGE,
        (
            account_id,
            mailbox_id,
            uid,
            flags,
            modseq,
            delivery.internal_at,
            delivery.internal_offset,
            blob.size,
            content_id,
            tx.now,
        ),
    )
    unseen, deleted = int(not flags & _SEEN), int(bool(flags & _DELETED))
    tx.run(_MAILBOX, (uid + 1, modseq, unseen, deleted, blob.size, account_id, mailbox_id))
    tx.run(_COUNTER, (used_bytes + blob.size, used_messages + 1, modseq, content, account_id))
    tx.touch(account_id, mailbox_id, modseq)
    return Appended(account_id, MailboxId(mailbox_id), UidValidity(uid_validity), Uid(uid), ModSeq(modseq))


def kept_references(references: Sequence[int]) -> tuple[int, ...]:
    """Those that count: its own (the first), and the newest."""
    return (*references[:1], *references[1:][1 - MAX_REFERENCES :])


def _thread(tx: Tx, account_id: AccountId, new: int, references: Sequence[int]) -> int:
    """The thread of any reference that is known, else a new one; from now on all references lead to it."""
    if not references:
        return new
    hashes = [_signed(hash_) for hash_ in kept_references(references)]
    thread_id, known = new, None
    for hash_ in hashes:
        if rows := tx.all(_THREAD, (account_id, hash_)):
            thread_id, known = rows[0][0], hash_
            break
    for hash_ in hashes:
        if hash_ != known:
            tx.run(_REFERENCE, (account_id, hash_, thread_id))
    return thread_id


def _signed(number: int) -> int:
    """A 64-bit hash as SQLite's signed integer."""
    number &= 0xFFFF_FFFF_FFFF_FFFF
    return number - (1 << 64) if number >> 63 else number
