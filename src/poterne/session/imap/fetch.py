r"""FETCH (RFC 9051 §6.4.5, CHANGEDSINCE RFC 7162 §3.1.4.1).

Theory of operation. Messages are answered in pages. What is in the rows or stored as text (flags, dates, sizes, envelope,
structure) is rendered column by column for the whole page. Only items with octets of the message go message by message: `octets`.

\Seen is set for the whole command in one operation before anything is read; messages that it changed show their FLAGS.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Final, cast

from poterne.proto.imap import commands, render
from poterne.proto.imap import fetch as fetch_lines
from poterne.proto.imap.items import FetchAtt, FetchItem
from poterne.proto.imap.responses import UNKNOWN_CTE, bad, no, ok
from poterne.proto.imap.sequence import IndexRanges, SequenceSet
from poterne.proto.imap.strings import string
from poterne.session.imap import access, heads, object_ids, sections
from poterne.session.imap.client import Client
from poterne.session.imap.errors import UNAVAILABLE
from poterne.session.imap.kept import Mark, is_whole, marks_of, stretches
from poterne.session.imap.octets import OctetItem, OctetItems
from poterne.session.imap.positions import EXPUNGED, NO_SUCH_NUMBER, names_gone, paired, part_of, positions
from poterne.session.imap.preview import preview
from poterne.session.imap.resync import changed_spans
from poterne.session.imap.store import mark_seen
from poterne.session.imap.turns import Turn
from poterne.session.imap.updates import finish, learn_keywords, recent_flags, shown_flags, with_recent
from poterne.store.errors import NotFoundError, StoreError
from poterne.values.mailbox import ContentRow, Flag, MessageRow, UidRange
from poterne.values.sharing import Right

ROWS_AT_ONCE: Final = 2000
CONTENTS_AT_ONCE: Final = 500
MESSAGES_AT_ONCE: Final = 100
TEXTS_SHIFT: Final = 9
FIELDS_SHIFT: Final = 7
"""What is kept (`kept.py`) is of stretches of 2 to the power of this many UIDs; cold, one is made without giving way."""
_FLAGS: Final = attrgetter("flags")
_MODSEQ: Final = attrgetter("modseq")
_IN_ROWS: Final = frozenset({FetchAtt.FLAGS, FetchAtt.INTERNALDATE, FetchAtt.SIZE, FetchAtt.MODSEQ, FetchAtt.EMAILID})
_OF_FLAGS: Final = frozenset({FetchAtt.UID, FetchAtt.FLAGS})
_OF_TEXT: Final = frozenset({FetchAtt.UID, FetchAtt.ENVELOPE, FetchAtt.BODYSTRUCTURE})
_STORED: Final = frozenset(
    {FetchAtt.ENVELOPE, FetchAtt.BODYSTRUCTURE, FetchAtt.BODY, FetchAtt.THREADID, FetchAtt.SAVEDATE}
    | {FetchAtt.PREVIEW}
)
_UNKNOWN_CTE: Final = no(b"A transfer encoding is not known", UNKNOWN_CTE)
_DAMAGED: Final = no(b"Some messages could not be read", UNAVAILABLE.code)


async def fetch(client: Client, command: commands.Fetch) -> None:
    spans = positions(client, command.messages, uid=command.uid)
    if spans is None:
        client.send(NO_SUCH_NUMBER)
        return
    if command.vanished and not client.qresync:
        client.send(bad(b"QRESYNC is not enabled"))
        return
    gone = not command.uid and names_gone(client, spans)
    run = _Fetching(client, command)
    if command.changed_since is not None:
        spans = await changed_spans(client, command, spans, command.changed_since)
    if command.window is not None:
        spans = part_of(spans, command.window)
    if command.sets_seen and not client.read_only and Right.SEEN in client.rights:
        await run.set_seen(spans)
    turn = Turn()  # a set may have thousands of parts, with a short answer each
    for first, last in spans:
        for start, end in run.pages(first, last):
            await run.answer(start, end)
            if client.over:
                return
            await client.flush_if_big()
            if turn.over:
                await turn.give_way()
    completed = ok(b"Fetched")
    if run.unknown_encoding:
        completed = _UNKNOWN_CTE
    elif run.damaged:
        completed = _DAMAGED
    elif gone or (run.missing and not command.uid):
        completed = EXPUNGED
    await finish(client, completed, expunge=command.uid, told=run.told)


async def show(client: Client, items: tuple[FetchItem, ...], spans: IndexRanges) -> None:
    """The same of these positions without a command: what NOTIFY tells of new messages. Sets nothing."""
    if client.condstore:  # what nobody asked for has both (RFC 7162 §3.2.4)
        wanted = (FetchAtt.MODSEQ,) if client.uid_only else (FetchAtt.UID, FetchAtt.MODSEQ)
        items = (*items, *(item for item in wanted if item not in items))
    run = _Fetching(client, commands.Fetch(b"", False, SequenceSet(()), items))
    for first, last in spans:
        for start, end in run.pages(first, last):
            await run.answer(start, end)
            if client.over:
                return
            await client.flush_if_big()


class _Fetching:
    """One FETCH command: what it asks for, sorted, and what it has met."""

    __slots__ = (
        "_attributes",
        "_changed_since",
        "_client",
        "_damaged",
        "_is_of_flags",
        "_is_of_text",
        "_known_rows",
        "_marks",
        "_octets",
        "_previews",
        "_sender",
        "_shift",
        "_stored",
        "_tells_modseq",
        "_wants_parsed",
        "_wants_rows",
        "missing",
        "page",
        "seen",
        "told",
    )

    def __init__(self, client: Client, command: commands.Fetch) -> None:
        self._client = client
        attributes = [item for item in command.items if isinstance(item, FetchAtt)]
        self._octets: list[OctetItem] = [item for item in command.items if not isinstance(item, FetchAtt)]
        self._changed_since = command.changed_since
        if command.changed_since is not None or FetchAtt.MODSEQ in attributes:
            client.enable_condstore()
            if FetchAtt.MODSEQ not in attributes:
                attributes.append(FetchAtt.MODSEQ)
        self._attributes = attributes
        self._tells_modseq = FetchAtt.MODSEQ in attributes
        self._stored = [item for item in attributes if item in _STORED]
        self._wants_parsed = FetchAtt.BODY in attributes or sections.needs_parts(self._octets)
        self._wants_rows = command.changed_since is not None or any(item in _IN_ROWS for item in attributes)
        self._is_of_flags = not self._octets and set(attributes) <= _OF_FLAGS
        is_narrow = not self._octets and len(self._stored) == 1 and set(attributes) <= _OF_TEXT
        self._is_of_text = is_narrow and command.changed_since is None
        self._sender = OctetItems(client, self._octets, wants_parsed=self._wants_parsed)
        self.page = MESSAGES_AT_ONCE if self._octets else CONTENTS_AT_ONCE if self._stored else ROWS_AT_ONCE
        self._marks: tuple[Mark, ...] = () if FetchAtt.MODSEQ in attributes else marks_of(command.items)
        self._shift = FIELDS_SHIFT if self._octets else TEXTS_SHIFT
        self._previews: list[bytes | None] = []
        self._known_rows: Sequence[MessageRow] = ()
        """All the rows that there are to answer, if they were read before."""
        self.seen: frozenset[int] = frozenset()
        r"""Messages that this command set \Seen on."""
        self.told: dict[int, int] = {}
        """Messages whose newest flags this FETCH has shown."""
        self.missing = False
        self._damaged = False

    @property
    def damaged(self) -> bool:
        """Some message could not be read."""
        return self._damaged or self._sender.damaged

    @property
    def unknown_encoding(self) -> bool:
        return self._sender.unknown_encoding

    def pages(self, first: int, last: int) -> Iterable[tuple[int, int]]:
        """Positions [first, last), in parts that are answered at once."""
        _, view = self._client.selected
        if self._marks:
            return stretches(view.uids, first, last, self._shift, self.page)
        return ((start, min(start + self.page, last)) for start in range(first, last, self.page))

    async def set_seen(self, spans: IndexRanges) -> None:
        r"""Set \Seen where it is not, in one operation."""
        client = self._client
        mailbox, view = client.selected
        count = sum(last - first for first, last in spans)
        if count <= ROWS_AT_ONCE:
            rows = client.store.rows(mailbox.account_id, mailbox.id, view.ranges(spans))
            unseen = [int(row.uid) for row in rows if not row.flags & Flag.SEEN]
            if not unseen and self._wants_rows and len(spans) == 1 and count <= self.page:
                self._known_rows = rows
        else:
            found = frozenset(await client.store.flagged(mailbox.account_id, mailbox.id, 0, Flag.SEEN))
            unseen = [uid for first, last in spans for uid in view.uids[first:last] if uid in found]
        if unseen:
            await mark_seen(client, view.spans_of(unseen))
        self.seen = frozenset(unseen)

    async def answer(self, first: int, last: int) -> None:
        """Positions [first, last)."""
        client = self._client
        if (client.foreign is not None or client.presence.revoked) and not await access.may_go_on(client):
            return
        mailbox, view = client.selected
        wanted = [UidRange(view.uids[first], view.uids[last - 1])]
        if self._is_of_flags and await self._answer_flags(first, last, wanted):
            return
        if self._marks and not self.seen and await self._answer_kept(first, last, wanted):
            return
        if self._is_of_text and not self.seen:
            self._answer_text(first, last, wanted)
            return
        rows: Sequence[MessageRow] = ()
        contents: Sequence[ContentRow] = ()
        wants_rows = self._wants_rows or bool(self.seen) or not (self._stored or self._octets)
        if wants_rows:
            rows = self._known_rows or client.store.rows(mailbox.account_id, mailbox.id, wanted)
            if self._changed_since is not None:
                rows = [row for row in rows if row.modseq > self._changed_since]
        if self._stored or self._octets:
            contents = client.store.contents(
                mailbox.account_id,
                mailbox.id,
                wanted,
                envelope=FetchAtt.ENVELOPE in self._stored,
                structure=FetchAtt.BODYSTRUCTURE in self._stored,
                parsed=self._wants_parsed,
            )
            if wants_rows:
                rows, contents = paired(rows, contents)
            else:
                rows = cast("Sequence[MessageRow]", contents)  # only their UID is asked for
        if self._changed_since is None and len(rows) < last - first:
            self.missing = True
        if not rows:
            return
        if FetchAtt.FLAGS in self._attributes or self.seen:
            await learn_keywords(client, max(map(_FLAGS, rows)))
            known = view.modseq
            if (newest := max(map(_MODSEQ, rows))) > known:
                self.told.update((row.uid, row.modseq) for row in rows if row.modseq > known)
                client.heard = max(client.heard, newest)
        elif self._tells_modseq:
            # What else happened up to there is told by this command too: the client may take it for done (RFC 7162 §6).
            client.heard = max(client.heard, *map(_MODSEQ, rows))
        if FetchAtt.PREVIEW in self._stored:
            await self._find_previews(contents)
        numbers = [row.uid for row in rows] if client.uid_only else view.numbers_of(rows, first, last)
        if self._marks and not self.seen and (found := self._values(rows, contents)) is not None:
            if len(rows) == last - first:
                self._keep(first, last, found)
            columns: dict[FetchAtt, Iterable[bytes]] = {}
            if FetchAtt.FLAGS in self._attributes and (flags := recent_flags(client, view, rows)) is not None:
                columns[FetchAtt.FLAGS] = flags
            self._send_values(numbers, rows, columns, found)
        elif self._octets:
            await self._with_octets(numbers, rows, contents)
        else:
            client.send(
                fetch_lines.rows(
                    self._attributes,
                    numbers,
                    rows,
                    client.flag_texts,
                    self._columns(self._attributes, rows, contents),
                    client.fetch_name,
                )
            )

    async def _answer_kept(self, first: int, last: int, wanted: Sequence[UidRange]) -> bool:
        """The same where all but the flags is kept; False: done nothing."""
        client = self._client
        mailbox, view = client.selected
        key = (mailbox.account_id, mailbox.id, mailbox.uid_validity)
        uids = view.uids[first:last]
        found = client.service.kept.find(key, self._marks, self._shift, uids)
        if found is None:
            return False
        columns: dict[FetchAtt, Iterable[bytes]] = {FetchAtt.UID: fetch_lines.ascending(uids)}
        if FetchAtt.FLAGS in self._attributes:
            there, flags, newest = client.store.flags(mailbox.account_id, mailbox.id, wanted, uids)
            if len(there) != len(uids) or newest > view.modseq:
                return False
            await learn_keywords(client, max(flags))
            columns[FetchAtt.FLAGS] = map(client.flag_texts.__getitem__, with_recent(client, view, uids, flags))
        elif view.gone or client.store.highest_modseq(mailbox.account_id, mailbox.id) != view.modseq:
            there, _, _ = client.store.flags(mailbox.account_id, mailbox.id, wanted, uids)
            if len(there) != len(uids):
                return False
        self._send_values(uids if client.uid_only else range(first + 1, last + 1), (), columns, found)
        return True

    def _values(self, rows: Sequence[MessageRow], contents: Sequence[ContentRow]) -> list[Sequence[bytes]] | None:
        """One column for each of the marks; None if something is wrong with a message, or unusual."""
        texts = self._columns((), rows, contents)
        found: list[Sequence[bytes]] = []
        for mark in self._marks:
            if not isinstance(mark, FetchAtt):
                try:
                    literals = heads.fields(self._client.store.blobs, mark, contents)
                except StoreError:
                    return None
                if literals is None:
                    return None
                found.append(literals)
            elif mark is FetchAtt.PREVIEW and None in self._previews:
                return None
            else:
                found.append(texts[mark] if mark in texts else fetch_lines.steady(mark, rows))
        return found

    def _keep(self, first: int, last: int, found: Sequence[Sequence[bytes]]) -> None:
        """`found` are all the messages at these positions."""
        mailbox, view = self._client.selected
        if is_whole(view.uids, first, last, self._shift):
            key = (mailbox.account_id, mailbox.id, mailbox.uid_validity)
            self._client.service.kept.keep(key, self._marks, self._shift, view.uids[first:last], found)

    def _send_values(
        self,
        numbers: Sequence[int],
        rows: Sequence[MessageRow],
        columns: dict[FetchAtt, Iterable[bytes]],
        found: Sequence[Sequence[bytes]],
    ) -> None:
        client = self._client
        named = dict(zip(self._marks, found, strict=True))
        columns.update({mark: values for mark, values in named.items() if isinstance(mark, FetchAtt)})
        section = (self._octets[0].label, found[-1]) if self._octets else None
        client.send(
            fetch_lines.rows(self._attributes, numbers, rows, client.flag_texts, columns, client.fetch_name, section)
        )

    async def _answer_flags(self, first: int, last: int, wanted: Sequence[UidRange]) -> bool:
        """The same where flags are all that is asked for and there is nothing special about any; False: done nothing."""
        client = self._client
        mailbox, view = client.selected
        if self.seen:
            return False
        uids, flags, newest = client.store.flags(mailbox.account_id, mailbox.id, wanted, view.uids[first:last])
        if not uids or newest > view.modseq:
            return False
        self.missing = self.missing or len(uids) < last - first
        await learn_keywords(client, max(flags))
        flags = with_recent(client, view, uids, flags)
        numbers: Sequence[int] = range(first + 1, last + 1)
        if len(uids) < last - first:
            numbers = [bisect_left(view.uids, uid) + 1 for uid in uids]
        if client.uid_only:
            numbers = uids
        client.send(fetch_lines.flag_rows(self._attributes, numbers, uids, flags, client.flag_texts, client.fetch_name))
        return True

    def _answer_text(self, first: int, last: int, wanted: Sequence[UidRange]) -> None:
        """The same where the envelope or the structure is all that is asked for: for a third of the cost."""
        client = self._client
        mailbox, view = client.selected
        item = self._stored[0]
        is_structure = item is FetchAtt.BODYSTRUCTURE
        found = client.store.texts(mailbox.account_id, mailbox.id, wanted, structure=is_structure)
        self.missing = self.missing or len(found) < last - first
        if not found:
            return
        uids = [uid for uid, _ in found]
        texts = [text for _, text in found]
        if len(found) == last - first:
            self._keep(first, last, (texts,))
        columns = {FetchAtt.UID: fetch_lines.ascending(uids), item: texts}
        numbers: Sequence[int] = range(first + 1, last + 1)
        if client.uid_only:
            numbers = uids
        elif len(found) < last - first:
            numbers = [bisect_left(view.uids, uid) + 1 for uid in uids]
        client.send(fetch_lines.rows(self._attributes, numbers, (), client.flag_texts, columns, client.fetch_name))

    def _columns(
        self, attributes: Sequence[FetchAtt], rows: Sequence[MessageRow], contents: Sequence[ContentRow]
    ) -> dict[FetchAtt, list[bytes]]:
        columns: dict[FetchAtt, list[bytes]] = {}
        for item in self._stored:
            match item:
                case FetchAtt.ENVELOPE:
                    columns[item] = [row.envelope for row in contents]
                case FetchAtt.BODYSTRUCTURE:
                    columns[item] = [row.structure for row in contents]
                case FetchAtt.THREADID:
                    account_id = self._client.selected[0].account_id
                    columns[item] = [b"(%b)" % object_ids.thread(account_id, row.thread_id) for row in contents]
                case FetchAtt.PREVIEW:
                    columns[item] = [text or b'""' for text in self._previews]
                case FetchAtt.SAVEDATE:
                    columns[item] = [fetch_lines.date_time(row.saved_at, 0) for row in contents]
                case _:
                    columns[item] = [render.body(sections.decode_part(row.parsed)) for row in contents]
        client = self._client
        _, view = client.selected
        if FetchAtt.FLAGS in attributes and (flags := recent_flags(client, view, rows)) is not None:
            columns[FetchAtt.FLAGS] = flags
        return columns

    async def _find_previews(self, contents: Sequence[ContentRow]) -> None:
        """Take what is known, and make the rest: dear, so others get their turns meanwhile."""
        client = self._client
        kept = client.service.previews
        self._previews = [kept.get((row.blob.segment, row.blob.offset)) for row in contents]
        turn = Turn()
        for i, row in enumerate(contents):
            if self._previews[i] is not None:
                continue
            try:
                text = string(self._made_preview(row))
                self._previews[i] = text
                kept.put((row.blob.segment, row.blob.offset), text)
            except StoreError as error:
                self._damaged = True
                client.service.log.error("imap.unreadable", trace=client.link.trace, uid=row.uid, error=str(error))
            if turn.over:
                await turn.give_way()

    def _made_preview(self, content: ContentRow) -> bytes:
        """Raises StoreError."""
        client = self._client
        mailbox, _ = client.selected
        uid = [UidRange(content.uid, content.uid)]
        for found in client.store.contents(mailbox.account_id, mailbox.id, uid, envelope=False, structure=False):
            return preview(client.store.blobs, found.blob, sections.decode_part(found.parsed))
        raise NotFoundError("gone meanwhile")

    async def _with_octets(
        self, numbers: Sequence[int], rows: Sequence[MessageRow], contents: Sequence[ContentRow]
    ) -> None:
        client = self._client
        inner = fetch_lines.attributes(
            self._attributes, rows, client.flag_texts, self._columns(self._attributes, rows, contents)
        )
        if self.seen:
            self._add_flags(inner, rows)
        await self._sender.send(numbers, inner, contents, alike=not self.seen)

    def _add_flags(self, inner: list[bytes], rows: Sequence[MessageRow]) -> None:
        r"""FLAGS too, where \Seen was set by this command (RFC 9051 §6.4.5); UID and MODSEQ with them (RFC 7162 §3.2.4)."""
        client = self._client
        _, view = client.selected
        tells_flags = FetchAtt.FLAGS not in self._attributes
        tells_uid = client.condstore and not client.uid_only and FetchAtt.UID not in self._attributes
        tells_modseq = client.condstore and not self._tells_modseq
        if not (tells_flags or tells_uid or tells_modseq):
            return
        for i, row in enumerate(rows):
            if row.uid in self.seen:
                told = [inner[i]] if inner[i] else []
                if tells_uid:
                    told.append(b"UID %d" % row.uid)
                if tells_flags:
                    told.append(b"FLAGS " + client.flag_texts[shown_flags(client, view, row)])
                if tells_modseq:
                    told.append(b"MODSEQ (%d)" % row.modseq)
                inner[i] = b" ".join(told)
