"""SORT and THREAD (RFC 5256, RFC 5957). What is compared comes from rows and stored envelopes, in pages."""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from poterne.proto.imap import commands, responses
from poterne.proto.imap.responses import Node, ok
from poterne.proto.imap.search import SortKey, Threading
from poterne.session.imap import bits, sort_keys, texts, threading
from poterne.session.imap.client import Client
from poterne.session.imap.facts import Fact
from poterne.session.imap.matching import CONTENTS_AT_ONCE, ROWS_AT_ONCE
from poterne.session.imap.search import has_numbers, positions_of
from poterne.session.imap.turns import Turn
from poterne.session.imap.updates import finish
from poterne.store.errors import UnavailableError
from poterne.values.ids import ContentId
from poterne.values.mailbox import ContentRow, MessageRow

Value = int | str
_BY_ROW: Final[dict[SortKey, Callable[[MessageRow], Value]]] = {
    SortKey.ARRIVAL: lambda row: row.internal_at,
    SortKey.SIZE: lambda row: row.size,
}
_BY_ENVELOPE: Final[dict[SortKey, Callable[[bytes], Value]]] = {
    SortKey.SUBJECT: lambda stored: sort_keys.subject(stored).base,
    SortKey.FROM: lambda stored: sort_keys.mailbox(stored, "from"),
    SortKey.TO: lambda stored: sort_keys.mailbox(stored, "to"),
    SortKey.CC: lambda stored: sort_keys.mailbox(stored, "cc"),
    SortKey.DISPLAYFROM: lambda stored: sort_keys.display(stored, "from"),
    SortKey.DISPLAYTO: lambda stored: sort_keys.display(stored, "to"),
}


async def sort(client: Client, command: commands.Sort) -> None:
    _, view = client.selected
    found = await positions_of(client, command.key, command.tag)
    columns = await _columns(client, found, [by.key for by in command.order])
    order = list(range(len(found)))
    for column in columns.values():
        if None in column:  # gone meanwhile
            order = [i for i in order if column[i] is not None]
    for by in reversed(command.order):
        order.sort(key=columns[by.key].__getitem__, reverse=by.reverse)  # type: ignore[arg-type]  # stable, also in reverse
    uids = view.uids
    client.send(responses.sort([uids[found[i]] if command.uid else found[i] + 1 for i in order]))
    await finish(client, ok(b"Sorted"), expunge=command.uid and not has_numbers(command.key))


async def _columns(client: Client, found: list[int], wanted: Sequence[SortKey]) -> dict[SortKey, list[Value | None]]:
    """For each key its values, as many as positions; None for a message that is gone meanwhile."""
    columns: dict[SortKey, list[Value | None]] = {key: [] for key in wanted}
    by_row = [key for key in wanted if key in _BY_ROW or key is SortKey.DATE]
    by_envelope = [key for key in wanted if key in _BY_ENVELOPE]
    turn = Turn()
    if by_row:
        sent = await _sent(client, found, turn) if SortKey.DATE in columns else {}
        for rows in _rows(client, found):
            for key in by_row:
                if key is SortKey.DATE:
                    columns[key] += [None if row is None else sent.get(row.uid, row.internal_at) for row in rows]
                else:
                    value = _BY_ROW[key]
                    columns[key] += [None if row is None else value(row) for row in rows]
            if turn.over:
                await turn.give_way()
    if by_envelope:
        for contents in _contents(client, found, envelope=True):
            for key in by_envelope:
                text = _BY_ENVELOPE[key]
                columns[key] += [None if row is None else text(row.envelope) for row in contents]
            if turn.over:
                await turn.give_way()
    return columns


async def _sent(client: Client, found: list[int], turn: Turn) -> dict[int, int]:
    """UID to sent date, where the Date field could be read; INTERNALDATE stands in for it elsewhere (RFC 5256 §2.2)."""
    sent: dict[int, int] = {}
    for contents in _contents(client, found, envelope=False):
        sent.update((row.uid, row.sent_at) for row in contents if row is not None and row.sent_at is not None)
        if turn.over:
            await turn.give_way()
    return sent


def _rows(client: Client, found: list[int]) -> Iterator[Sequence[MessageRow | None]]:
    mailbox, view = client.selected
    for start in range(0, len(found), ROWS_AT_ONCE):
        page = found[start : start + ROWS_AT_ONCE]
        rows = client.store.rows(mailbox.account_id, mailbox.id, view.ranges(bits.spans(page)))
        if len(rows) == len(page):
            yield rows
        else:  # some are gone meanwhile
            by_uid = {row.uid: row for row in rows}
            yield [by_uid.get(view.uids[i]) for i in page]  # type: ignore[call-overload]


def _contents(client: Client, found: list[int], *, envelope: bool) -> Iterator[Sequence[ContentRow | None]]:
    mailbox, view = client.selected
    for start in range(0, len(found), CONTENTS_AT_ONCE):
        page = found[start : start + CONTENTS_AT_ONCE]
        ranges = view.ranges(bits.spans(page))
        rows = client.store.contents(
            mailbox.account_id, mailbox.id, ranges, envelope=envelope, structure=False, parsed=False
        )
        if len(rows) == len(page):
            yield rows
        else:
            by_uid = {row.uid: row for row in rows}
            yield [by_uid.get(view.uids[i]) for i in page]  # type: ignore[call-overload]


async def thread(client: Client, command: commands.Thread) -> None:
    found = await positions_of(client, command.key, command.tag)
    turn = Turn()
    messages = await _threaded(client, found, turn, command)
    if command.algorithm is Threading.ORDEREDSUBJECT:
        threads = threading.by_subject(messages)
    else:
        threads = await _by_references(messages, turn)
    client.send(responses.thread(threads))
    await finish(client, ok(b"Threaded"), expunge=command.uid and not has_numbers(command.key))


async def _by_references(messages: Sequence[threading.Threaded], turn: Turn) -> list[Node]:
    steps = threading.by_references(messages)
    while True:
        try:
            next(steps)
        except StopIteration as done:
            threads: list[Node] = done.value
            return threads
        if turn.over:
            await turn.give_way()


async def _threaded(client: Client, found: list[int], turn: Turn, command: commands.Thread) -> list[threading.Threaded]:
    """What threading needs to know of the messages that are still there."""
    _, view = client.selected
    uids, known = view.uids, client.service.facts
    messages: list[threading.Threaded] = []
    for rows in _rows(client, found):
        present = [row for row in rows if row is not None]
        facts = {row.content_id: known.get(row.content_id) for row in present}
        missing = [row for row in present if facts[row.content_id] is None]
        for start in range(0, len(missing), CONTENTS_AT_ONCE):
            facts.update(_learn(client, missing[start : start + CONTENTS_AT_ONCE]))
            if turn.over:
                await turn.give_way()
        for row in present:
            fact = facts[row.content_id]
            if fact is None:  # gone meanwhile
                continue
            number = row.uid if command.uid else bisect_left(uids, row.uid) + 1
            sent_at = row.internal_at if fact.sent_at is None else fact.sent_at
            messages.append(
                threading.Threaded(number, sent_at, fact.subject, fact.is_reply, fact.message_id, fact.references)
            )
        if turn.over:
            await turn.give_way()
    return messages


def _learn(client: Client, rows: Sequence[MessageRow]) -> dict[ContentId, Fact]:
    """The facts of these messages, noted for the next time."""
    mailbox, view = client.selected
    ranges = view.ranges(view.spans_of([row.uid for row in rows]))
    contents = client.store.contents(
        mailbox.account_id, mailbox.id, ranges, envelope=True, structure=False, parsed=False
    )
    ids = {row.uid: row.content_id for row in rows}
    found: dict[ContentId, Fact] = {}
    for row in contents:
        subject = sort_keys.subject(row.envelope)
        own, references = sort_keys.identity(_header(client, row), row.envelope)
        fact = Fact(row.sent_at, subject.base, subject.is_reply, own, references)
        found[ids[row.uid]] = fact
        client.service.facts.note(ids[row.uid], fact)
    return found


def _header(client: Client, row: ContentRow) -> bytes:
    try:
        return texts.header_block(client.store.blobs, row)
    except UnavailableError as error:  # one damaged message stands alone; the others are threaded
        client.service.log.error("imap.unreadable", trace=client.link.trace, uid=row.uid, error=str(error))
        return b""
