r"""What one client has been told about its selected mailbox, and what it must still be told.

Theory of operation. An IMAP client counts messages by position. Positions move only when the server says EXPUNGE, and it
may not say so at any time: never while it answers FETCH, STORE or SEARCH by sequence number, and never when no command is
in progress (RFC 9051 §5.5, §7.5.1). So each session keeps a `View`: the UIDs *as the client counts them*, in order.

- `View.uids[i]` is the UID of sequence number i+1. The array is shared by all sessions that see the same thing, and never
  changed in place.
- `View.modseq` says up to where the store's changes are merged. `View.merge` takes `store.changes(…, view.modseq)` and gives
  what to tell now, in the order to tell it. Only expunges can be held back; those wait in `View.gone`.
- New messages come after the ones that are gone but not yet told, exactly as the client counts.
- Flags are not kept. The store says whose flags changed since `modseq`; what this session itself changed, or has just
  told with a FETCH, is passed over by `modseq` (`told`).
- \Recent belongs to the session that is told first (RFC 3501 §2.3.2): `View.recent` are the UID ranges that are this one's.
  What comes while a mailbox is selected is claimed in this process (`Snapshots.claim`) at once, in the store only when the
  session leaves the mailbox: a write for each message would cost more than the message. Until then a session of another
  process may show it as \Recent too, as the RFC allows where it cannot be known who was first.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, final

from poterne.proto.imap.sequence import IndexRanges
from poterne.store.interface import Store
from poterne.values.ids import AccountId, MailboxId, ModSeq
from poterne.values.mailbox import Changes, ContentRow, Mailbox, MessageRow, UidRange

NOTHING_TOLD: Final[Mapping[int, int]] = {}


@dataclass(frozen=True, slots=True)
class Update:
    """What to tell the client, in this order: expunged, then exists, then flags."""

    expunged: Sequence[int]
    """Sequence numbers, highest first, so that none moves another."""
    exists: int | None
    """The new number of messages, when there are new ones."""
    flags: Sequence[tuple[int, MessageRow]]
    """Sequence number and row of messages whose flags somebody else changed."""
    vanished: Sequence[int] = ()
    """The UIDs of `expunged`, ascending: VANISHED has those instead (RFC 7162 §3.2.10)."""

    def __bool__(self) -> bool:
        return bool(self.expunged or self.flags) or self.exists is not None


NOTHING: Final = Update((), None, ())


@final
class View:
    """One session's picture of one mailbox."""

    __slots__ = ("gone", "held_at", "modseq", "owes_claim", "recent", "recent_from", "uid_next", "uids")

    def __init__(self, uids: "array[int]", modseq: ModSeq, uid_next: int) -> None:
        self.uids = uids
        self.modseq = modseq
        self.uid_next = uid_next
        self.gone: set[int] = set()
        """Expunged in the store; the client still counts them."""
        self.held_at = ModSeq(0)
        """While some are `gone`: the modseq up to which the client was told everything (RFC 7162 §3.2)."""
        self.recent: list[tuple[int, int]] = []
        r"""UID ranges, both ends included, that are \Recent in this session."""
        self.recent_from = uid_next
        r"""Messages from this UID on were not looked at yet for \Recent."""
        self.owes_claim = False
        """The store does not know yet what this session has claimed."""

    def __len__(self) -> int:
        return len(self.uids)

    # Merging

    def merge(self, changes: Changes, *, expunge: bool, told: Mapping[int, int] = NOTHING_TOLD) -> Update:
        """Bring the view up to date. `expunge`: expunges may be told now. `told`: UID → modseq the client already knows."""
        fresh: list[int] = []
        flags: list[MessageRow] = []
        uid_next = self.uid_next
        for row in changes.changed:
            if row.uid >= uid_next:
                fresh.append(row.uid)
            elif told.get(row.uid) != row.modseq:
                flags.append(row)
        if changes.vanished:
            if not self.gone:
                self.held_at = self.modseq
            self.gone.update(uid for uid in changes.vanished if self.index(uid) is not None)
        self.modseq = max(self.modseq, changes.highest_modseq)
        self.uid_next = max(self.uid_next, changes.uid_next)
        vanished = sorted(self.gone) if expunge and self.gone else ()
        expunged = self.release() if expunge else ()
        exists = None
        if fresh:
            self.uids = self.uids + array("I", fresh)  # noqa: PLR6104, RUF100  # in place would change what others share
            exists = len(self.uids)
        numbered = [(i + 1, row) for row in flags if (i := self.index(row.uid)) is not None]
        if not expunged and exists is None and not numbered:
            return NOTHING
        return Update(expunged, exists, numbered, vanished)

    def grow(self, count: int, modseq: ModSeq) -> None:
        """So many messages came, with the next UIDs, and nothing else happened up to this modseq: `merge` in short."""
        first, self.uid_next = self.uid_next, self.uid_next + count
        self.uids = self.uids + array("I", range(first, first + count))  # noqa: PLR6104, RUF100  # see `merge`
        self.modseq = modseq

    def release(self) -> Sequence[int]:
        """Forget what is gone; the sequence numbers to tell, highest first. Only where EXPUNGE may be told."""
        gone = self.gone
        if not gone:
            return ()
        uids = self.uids
        numbers = sorted((bisect_left(uids, uid) + 1 for uid in gone), reverse=True)
        if len(gone) == len(uids):
            self.uids = array("I")
        elif len(gone) <= 8:
            kept = uids[:]
            for number in numbers:
                del kept[number - 1]
            self.uids = kept
        else:
            self.uids = array("I", [uid for uid in uids if uid not in gone])
        self.gone = set()
        return numbers

    def remove(self, uids: Iterable[int]) -> None:
        """These were expunged or moved by this session; `release` tells it."""
        if not self.gone:
            self.held_at = self.modseq
        self.gone.update(uid for uid in uids if self.index(uid) is not None)

    # Positions

    def index(self, uid: int) -> int | None:
        """The position of a UID, None when the client does not know it."""
        uids = self.uids
        i = bisect_left(uids, uid)
        return i if i < len(uids) and uids[i] == uid else None

    def ranges(self, spans: IndexRanges) -> list[UidRange]:
        """The same messages as UID ranges for the store. Exact: a UID between two neighbours of a view never exists."""
        uids = self.uids
        return [UidRange(uids[i], uids[j - 1]) for i, j in spans]

    def spans_of(self, uids: Sequence[int]) -> IndexRanges:
        """Positions of these UIDs (ascending); those that the client does not know are passed over."""
        known = self.uids
        size, count = len(known), len(uids)
        spans: IndexRanges = []
        k = 0
        while k < count:
            i = bisect_left(known, uids[k])
            if i >= size:
                break
            if known[i] != uids[k]:
                k += 1
                continue
            j = i
            while k < count and j < size and known[j] == uids[k]:
                j, k = j + 1, k + 1
            if spans and spans[-1][1] == i:
                spans[-1] = (spans[-1][0], j)
            else:
                spans.append((i, j))
        return spans

    def numbers_of(self, rows: Sequence[MessageRow | ContentRow], first: int, last: int) -> Sequence[int]:
        """Sequence numbers of rows that were read for positions [first, last). Some may be missing: gone meanwhile."""
        if len(rows) == last - first:
            return range(first + 1, last + 1)
        uids = self.uids
        return [bisect_left(uids, row.uid) + 1 for row in rows]

    # \Recent

    def claimed(self, first: int, last: int) -> None:
        r"""UIDs `first` … `last` are \Recent in this session."""
        if first > last:
            return
        if self.recent and self.recent[-1][1] >= first - 1:
            self.recent[-1] = (self.recent[-1][0], max(last, self.recent[-1][1]))
        else:
            self.recent.append((first, last))

    def is_recent(self, uid: int) -> bool:
        return any(first <= uid <= last for first, last in reversed(self.recent))

    def count_recent(self) -> int:
        """How many of the messages that the client counts are recent."""
        uids = self.uids
        return sum(bisect_right(uids, last) - bisect_left(uids, first) for first, last in self.recent)


MAX_CACHED_UIDS: Final = 2_000_000
"""8 MiB of UIDs per process."""


MAX_CLAIMS: Final = 20_000


@dataclass(slots=True)
class _Known:
    uids: "array[int]"
    uid_next: int
    unseen_at: int = 0
    unseen_uid: int = 0


@final
class Snapshots:
    """The UIDs of mailboxes that were opened lately, shared by the sessions of a process.

    They are fresh exactly when uid_next and the number of messages in the mailbox row are the same: the first says that none
    was added, both together that none was removed. Changed flags do not matter.
    """

    def __init__(self, store: Store, max_uids: int = MAX_CACHED_UIDS) -> None:
        self._store: Final = store
        self._max_uids: Final = max_uids
        self._known: Final[OrderedDict[tuple[AccountId, MailboxId], _Known]] = OrderedDict()
        self._total = 0
        self._claims: Final[OrderedDict[tuple[AccountId, MailboxId], int]] = OrderedDict()

    async def open(self, mailbox: Mailbox) -> tuple[Mailbox, View]:
        """A new view, and the mailbox row of the same moment. `mailbox` is the row as just read."""
        key = (mailbox.account_id, mailbox.id)
        known = self._known.get(key)
        if known is not None and known.uid_next == mailbox.uid_next and len(known.uids) == mailbox.messages:
            self._known.move_to_end(key)
            return mailbox, View(known.uids, mailbox.highest_modseq, mailbox.uid_next)
        row, packed = await self._store.uids(*key)
        uids = array("I")
        uids.frombytes(packed)
        self._keep(key, _Known(uids, row.uid_next))
        return row, View(uids, row.highest_modseq, row.uid_next)

    def first_unseen(self, mailbox: Mailbox) -> int | None:
        r"""The first UID without \Seen (0: none), if that is known for the mailbox as this row has it."""
        known = self._known.get((mailbox.account_id, mailbox.id))
        return known.unseen_uid if known is not None and known.unseen_at == mailbox.highest_modseq else None

    def unseen_before(self, mailbox: Mailbox) -> int:
        """That UID as it was some time ago: a hint where to look. 0: not known, or there was none."""
        known = self._known.get((mailbox.account_id, mailbox.id))
        return 0 if known is None else known.unseen_uid

    def remember_unseen(self, mailbox: Mailbox, uid: int) -> None:
        """What the store said for the mailbox as this row has it."""
        known = self._known.get((mailbox.account_id, mailbox.id))
        if known is not None:
            known.unseen_at, known.unseen_uid = mailbox.highest_modseq, uid

    def claim(self, account_id: AccountId, mailbox_id: MailboxId, first: int, uid_next: int) -> int:
        r"""The UID from which on the messages from `first` on are \Recent to the caller, and to no other session of ours."""
        key = (account_id, mailbox_id)
        taken = self._claims.pop(key, 0)
        self._claims[key] = max(taken, uid_next)
        if len(self._claims) > MAX_CLAIMS:
            self._claims.popitem(last=False)
        return max(first, taken)

    def share(self, account_id: AccountId, mailbox_id: MailboxId, view: View) -> None:
        """After a merge: keep the newer picture for others, or take theirs when it is the same, so that it exists once."""
        if view.gone:
            return
        key = (account_id, mailbox_id)
        known = self._known.get(key)
        if known is not None:
            if known.uids is view.uids or known.uid_next > view.uid_next:
                return
            if known.uid_next == view.uid_next:
                if len(known.uids) == len(view.uids):
                    view.uids = known.uids
                    return
                if len(known.uids) < len(view.uids):  # the other saw an expunge that we have not heard of
                    return
        self._keep(key, _Known(view.uids, view.uid_next))

    def _keep(self, key: tuple[AccountId, MailboxId], known: _Known) -> None:
        old = self._known.pop(key, None)
        if old is not None:
            self._total -= len(old.uids)
            known.unseen_at, known.unseen_uid = old.unseen_at, old.unseen_uid
        self._known[key] = known
        self._total += len(known.uids)
        while self._total > self._max_uids and self._known:
            _, dropped = self._known.popitem(last=False)
            self._total -= len(dropped.uids)
