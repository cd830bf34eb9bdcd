"""Which messages match a search key (RFC 9051 §6.4.4).

Theory of operation. A key is evaluated *within* a set of positions and gives a part of that set. The keys of an And are taken
in the order of what they cost, each within what the ones before have left: positions and flags come from the view and the
flag index, dates and sizes from rows, header fields that an envelope has from there, and only what remains is read from
the message bytes. Everything that reads goes in pages and gives way to other connections every few milliseconds.
"""

import re
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date
from typing import Final, assert_never, final

from poterne.message.date import parse_date
from poterne.proto.imap import search as keys
from poterne.proto.imap.sequence import SequenceSet
from poterne.session.imap import bits, envelope, header_columns, object_ids, texts
from poterne.session.imap.bits import Bits
from poterne.session.imap.client import Client
from poterne.session.imap.header_columns import Column, Days, Texts
from poterne.session.imap.search_index import narrowed
from poterne.session.imap.turns import Turn
from poterne.session.pending import View
from poterne.store.errors import NotFoundError, UnavailableError
from poterne.values.mailbox import ContentRow, Mailbox, MessageRow, UidRange

ROWS_AT_ONCE: Final = 2000
CONTENTS_AT_ONCE: Final = 500
COLUMN_AT_ONCE: Final = 200
_FEW: Final = 64
"""So many messages are as well read."""
_EPOCH: Final = date(1970, 1, 1).toordinal()
_ZONE: Final = re.compile(rb"([+-])([0-9]{2}):?([0-9]{2})(?![0-9])")

_COST: Final[dict[type, int]] = {
    keys.InSequence: 0,
    keys.InUids: 0,
    keys.Recent: 0,
    keys.FlagIs: 1,
    keys.KeywordIs: 1,
    keys.SizeIs: 2,
    keys.Age: 2,
    keys.ModSeqAtLeast: 2,
    keys.EmailIs: 2,
    keys.ThreadIs: 3,
}


def cost(key: keys.SearchKey) -> int:
    """What a key costs by message: 0 nothing, 1 the flag index, 2 rows, 3 wide rows, 4 headers, 5 whole messages."""
    match key:
        case keys.And(parts):
            return max((cost(part) for part in parts), default=0)
        case keys.Or(left, right):
            return max(cost(left), cost(right))
        case keys.Not(inner):
            return cost(inner)
        case keys.DateKey(of):
            return 2 if of is keys.DateOf.INTERNAL else 3
        case keys.HeaderHolds(name):
            return 3 if name in envelope.FIELDS else 4
        case keys.BodyHolds() | keys.TextHolds():
            return 5
        case _:
            return _COST[type(key)]


@final
class Matching:
    """Evaluates the keys of one SEARCH in one mailbox, which need not be the selected one."""

    def __init__(self, client: Client, now: int, turn: Turn, mailbox: Mailbox, view: View) -> None:
        self._client: Final = client
        self._keywords: Sequence[str] = client.owner.keywords if client.owner.id == mailbox.account_id else ()
        """Of the mailbox's owner, as far as they are known."""
        self._asked = False
        """They were read for this search."""
        self._now: Final = now
        self._mailbox: Final = mailbox
        self._view: Final = view
        self._count: Final = len(view)
        self._turn: Final = turn

    async def matches(self, key: keys.SearchKey, within: Bits) -> Bits:
        """The positions of `within` whose messages match."""
        if not within:
            return 0
        if self._turn.over:  # a search may have thousands of keys that cost little each
            await self._turn.give_way()
        match key:
            case keys.And(parts):
                for part in sorted(parts, key=cost):
                    within = await self.matches(part, within)
                    if not within:
                        break
                return within
            case keys.Or(left, right):
                if cost(right) < cost(left):
                    left, right = right, left
                found = await self.matches(left, within)
                return found | await self.matches(right, within & ~found)
            case keys.Not(inner):
                return within & ~await self.matches(inner, within)
            case keys.InSequence(messages):
                return within & self._numbers(messages)
            case keys.InUids(uids):
                return within & self._of_uids(uids)
            case keys.Recent():
                return within & self._recent()
            case keys.FlagIs(flag, is_set):
                return await self._flag(int(flag), is_set, within)
            case keys.KeywordIs(name, is_set):
                bit = await self._keyword(name)
                if not bit:
                    return 0 if is_set else within
                return await self._flag(bit, is_set, within)
            case keys.DateKey() | keys.Age() | keys.SizeIs() | keys.ModSeqAtLeast():
                return await self._by_row(key, within)
            case keys.EmailIs(wanted):
                content_id = object_ids.content_of(wanted)
                return await self._where(within, lambda row: row.content_id == content_id)
            case keys.ThreadIs(wanted):
                thread_id = object_ids.thread_of(self._mailbox.account_id, wanted)
                return await self._where_wide(within, lambda row: row.thread_id == thread_id)
            case keys.HeaderHolds() | keys.BodyHolds() | keys.TextHolds():
                return await self._by_text(key, within)
            case _:
                assert_never(key)

    # What the view knows

    def _numbers(self, messages: SequenceSet) -> Bits:
        if messages.saved:
            return self._saved()
        # Numbers beyond the last message match nothing: clients search "1:*" in empty mailboxes.
        count = self._count
        found = [(low - 1, min(high, count)) for low, high in messages.ranges(count) if low <= count]
        return bits.of_spans(found, count)

    def _of_uids(self, uids: SequenceSet) -> Bits:
        return self._saved() if uids.saved else bits.of_spans(uids.uids(self._view.uids), self._count)

    def _saved(self) -> Bits:
        saved = self._client.saved
        if saved is None or self._view is not self._client.view:  # "$" is of the selected mailbox
            return 0
        return bits.of_spans(self._view.spans_of(saved), self._count)

    def _recent(self) -> Bits:
        view = self._view
        ranges = SequenceSet(tuple(view.recent))
        return bits.of_spans(ranges.uids(view.uids), self._count) if view.recent and not self._client.rev2 else 0

    # Flags

    async def _keyword(self, name: str) -> int:
        """Its bit, 0 if the mailbox's owner has no such keyword. Somebody else may have made it a moment ago."""
        bit = self._bit(name)
        if not bit and not self._asked:
            self._asked = True
            owner = await self._client.store.account_by_id(self._mailbox.account_id)
            self._keywords = owner.keywords
            bit = self._bit(name)
        return bit

    def _bit(self, name: str) -> int:
        folded = name.lower()
        for i, keyword in enumerate(self._keywords):
            if keyword.lower() == folded:
                return 256 << i
        return 0

    async def _flag(self, bit: int, is_set: bool, within: Bits) -> Bits:
        if within.bit_count() <= 64:
            return await self._where(within, lambda row: bool(row.flags & bit) is is_set)
        store, kept = self._client.store, self._client.service.flagged
        here = self._mailbox.account_id, self._mailbox.id
        # As of this row: what is kept was true then, so whoever sees the same modseq sees the same flags.
        modseq = (await store.mailbox_by_id(*here)).highest_modseq
        key = (*here, modseq, bit, is_set)
        uids = array("I")
        known = kept.get(key)
        if known is None:
            uids.extend(await store.flagged(*here, bit if is_set else 0, 0 if is_set else bit))
            kept.put(key, uids.tobytes())
        else:
            uids.frombytes(known)
        return within & bits.of_uids(self._view.uids, uids)

    # Rows

    async def _by_row(self, key: keys.DateKey | keys.Age | keys.SizeIs | keys.ModSeqAtLeast, within: Bits) -> Bits:
        match key:
            case keys.DateKey(of=keys.DateOf.INTERNAL, compare=compare, day=day):
                fits = _day_test(compare, day)
                return await self._where(within, lambda row: fits(_local_day(row)))
            case keys.DateKey():
                return await self._by_wide_date(key, within)
            case keys.Age(seconds, younger):
                limit = self._now - seconds
                if younger:
                    return await self._where(within, lambda row: row.internal_at >= limit)
                return await self._where(within, lambda row: row.internal_at <= limit)
            case keys.SizeIs(octets, larger):
                if larger:
                    return await self._where(within, lambda row: row.size > octets)
                return await self._where(within, lambda row: row.size < octets)
            case keys.ModSeqAtLeast(modseq):
                return await self._where(within, lambda row: row.modseq >= modseq)
            case _:
                assert_never(key)

    async def _by_wide_date(self, key: keys.DateKey, within: Bits) -> Bits:
        fits = _day_test(key.compare, key.day)
        if key.of is keys.DateOf.SAVED:
            return await self._where_wide(within, lambda row: fits(row.saved_at // 86400 + _EPOCH))
        if self._whole(within):
            days = await self._days()
            return within & await self._still_there(days.fitting(fits))
        dated: set[int] = set()

        def sent_fits(row: ContentRow) -> bool:
            day = _sent_day(row)
            if day is None:
                return False
            dated.add(row.uid)
            return fits(day)

        found = await self._where_wide(within, sent_fits, wants_envelope=True)
        # No readable Date field: the internal date stands in for it (RFC 5256 §2.2).
        undated = within & ~found & ~bits.of_spans(self._view.spans_of(sorted(dated)), self._count)
        return found | await self._where(undated, lambda row: fits(_local_day(row)))

    async def _where(self, within: Bits, fits: Callable[[MessageRow], bool]) -> Bits:
        found: list[int] = []
        mailbox, view = self._mailbox, self._view
        for page in _pages(within, ROWS_AT_ONCE):
            rows = self._client.store.rows(mailbox.account_id, mailbox.id, view.ranges(bits.spans(page)))
            if len(rows) == len(page):
                found += [position for position, row in zip(page, rows, strict=True) if fits(row)]
            else:
                found += [i for row in rows if fits(row) and (i := view.index(row.uid)) is not None]
            if self._turn.over:
                await self._turn.give_way()
        return bits.of_positions(found, self._count)

    async def _where_wide(
        self,
        within: Bits,
        fits: Callable[[ContentRow], bool | Iterator[bool]],
        *,
        wants_envelope: bool = False,
        wants_parsed: bool = False,
    ) -> Bits:
        found: list[int] = []
        mailbox, view = self._mailbox, self._view
        turn = self._turn
        turn.goal = turn.done + within.bit_count()
        for page in _pages(within, CONTENTS_AT_ONCE):
            rows = self._client.store.contents(
                mailbox.account_id,
                mailbox.id,
                view.ranges(bits.spans(page)),
                envelope=wants_envelope,
                structure=False,
                parsed=wants_parsed,
            )
            for row, position in self._placed(rows, page):
                try:
                    hit = fits(row)
                    if hit if isinstance(hit, bool) else await self._any(hit):
                        found.append(position)
                except UnavailableError as error:  # one damaged message is not found; the others are
                    self._client.service.log.error(
                        "imap.unreadable", trace=self._client.link.trace, uid=row.uid, error=str(error)
                    )
                if turn.over:
                    await turn.give_way()
            turn.done += len(page)
        return bits.of_positions(found, self._count)

    async def _any(self, steps: Iterator[bool]) -> bool:
        """Whether one of them is True; between the steps others get their turns."""
        for hit in steps:
            if hit:
                return True
            if self._turn.over:
                await self._turn.give_way()
        return False

    def _placed(self, rows: Sequence[ContentRow], page: list[int]) -> Iterable[tuple[ContentRow, int]]:
        """Rows with their positions; some may be missing, gone meanwhile."""
        if len(rows) == len(page):
            return zip(rows, page, strict=True)
        return [(row, i) for row in rows if (i := self._view.index(row.uid)) is not None]

    # Columns of header fields

    def _whole(self, within: Bits) -> bool:
        """Are most messages looked at? Then a column is worth making."""
        return 2 * within.bit_count() > self._count > _FEW

    def _knows(self, name: str) -> bool:
        return self._client.service.header_columns.texts(self._column_key(name), self._count) is not None

    def _column_key(self, name: str) -> header_columns.Key:
        mailbox = self._mailbox
        return mailbox.account_id, mailbox.id, mailbox.uid_validity, name

    async def _texts(self, name: str) -> Texts:
        key = self._column_key(name)
        column = self._client.service.header_columns.texts(key, self._count) or Texts()

        def add(rows: Sequence[ContentRow]) -> None:
            for row in rows:
                column.add(row.uid, header_columns.folded(row.envelope, name))

        await self._continue(key, column, add)
        return column

    async def _days(self) -> Days:
        key = self._column_key(header_columns.SENT)
        column = self._client.service.header_columns.days(key, self._count) or Days()
        mailbox, store = self._mailbox, self._client.store

        def add(rows: Sequence[ContentRow]) -> None:
            for row in rows:
                day = _sent_day(row)
                if day is None:  # RFC 5256 §2.2: the internal date stands in
                    found = store.rows(mailbox.account_id, mailbox.id, [UidRange(row.uid, row.uid)])
                    day = _local_day(found[0]) if found else 0
                column.add(row.uid, day)

        await self._continue(key, column, add)
        return column

    async def _continue(
        self, key: header_columns.Key, column: Column, add: Callable[[Sequence[ContentRow]], None]
    ) -> None:
        """Add the messages that came since. Each page is read and added at once: another session may do the same."""
        mailbox, uids, store = self._mailbox, self._view.uids, self._client.store
        if not uids or column.last >= uids[-1]:
            return
        turn = self._turn
        while (first := bisect_right(uids, column.last)) < len(uids):
            part = UidRange(uids[first], uids[min(first + COLUMN_AT_ONCE, len(uids)) - 1])
            add(store.contents(mailbox.account_id, mailbox.id, [part], envelope=True, structure=False, parsed=False))
            column.last = part.last or 0
            if turn.over:
                await turn.give_way()
        self._client.service.header_columns.keep(key, column)

    async def _still_there(self, uids: Sequence[int]) -> Bits:
        """The positions of these; what is gone meanwhile matches nothing, even if the client does not know it yet."""
        found = bits.of_uids(self._view.uids, uids)
        if not found:
            return 0
        try:
            mailbox = await self._client.store.mailbox_by_id(self._mailbox.account_id, self._mailbox.id)
        except NotFoundError:
            return 0
        if mailbox.highest_modseq != self._view.modseq:
            return await self._where(found, lambda _: True)
        return found

    # Texts

    def _narrowed(self, text: str, within: Bits, *, header: bool = False, body: bool = False) -> Bits:
        return narrowed(self._client.store, self._mailbox, self._view, text, within, header=header, body=body)

    async def _by_text(self, key: keys.HeaderHolds | keys.BodyHolds | keys.TextHolds, within: Bits) -> Bits:
        blobs = self._client.store.blobs
        needle = texts.Needle(key.text)
        match key:
            case keys.HeaderHolds(name) if name in envelope.FIELDS:
                if not self._knows(name):
                    within = self._narrowed(needle.text, within, header=True)
                if self._whole(within):
                    column = await self._texts(name)
                    return within & await self._still_there(column.holding(needle.octets))
                return await self._where_wide(
                    within, lambda row: texts.in_envelope(row, name, needle), wants_envelope=True
                )
            case keys.HeaderHolds(name):
                within = self._narrowed(needle.text, within, header=True)
                return await self._where_wide(within, lambda row: texts.in_header(blobs, row, name, needle))
            case keys.BodyHolds() | keys.TextHolds():
                header = isinstance(key, keys.TextHolds)
                if not needle.text:
                    return within
                within = self._narrowed(needle.text, within, header=header, body=True)
                return await self._where_wide(
                    within, lambda row: texts.in_message(blobs, row, needle, header=header), wants_parsed=True
                )
            case _:
                assert_never(key)


def _pages(within: Bits, size: int) -> Iterator[list[int]]:
    found = bits.positions(within)
    for start in range(0, len(found), size):
        yield found[start : start + size]


def _day_test(compare: keys.DateIs, day: date) -> Callable[[int], bool]:
    wanted = day.toordinal()
    match compare:
        case keys.DateIs.BEFORE:
            return wanted.__gt__
        case keys.DateIs.ON:
            return wanted.__eq__
        case keys.DateIs.SINCE:
            return wanted.__le__
        case _:
            assert_never(compare)


def _local_day(row: MessageRow) -> int:
    """INTERNALDATE's day in its own zone: "disregarding time and timezone"."""
    return (row.internal_at + 60 * row.internal_offset) // 86400 + _EPOCH


def _sent_day(row: ContentRow) -> int | None:
    """The day that the Date field names, in its own zone."""
    if row.sent_at is None:
        return None
    value = next(iter(envelope.texts(row.envelope, "date")), b"")
    sent_at = parse_date(value)
    if sent_at is None:
        return row.sent_at // 86400 + _EPOCH
    zone = _ZONE.findall(value)
    if zone:
        sign, hours, minutes = zone[-1]
        offset = 3600 * int(hours) + 60 * int(minutes)
        sent_at += -offset if sign == b"-" else offset
    return sent_at // 86400 + _EPOCH
