"""SORT and THREAD (RFC 5256, RFC 5957). What is compared comes from rows and stored envelopes, in pages, or from `columns`."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from poterne.proto.imap import commands, responses
from poterne.proto.imap.responses import Node, Untagged, ok
from poterne.proto.imap.search import SortKey, Threading, has_numbers
from poterne.session.imap import bits, sort_keys, texts, threading
from poterne.session.imap.client import Client
from poterne.session.imap.columns import Column, Fact, Value
from poterne.session.imap.matching import CONTENTS_AT_ONCE, ROWS_AT_ONCE
from poterne.session.imap.search import asks_modseq, highest_modseq, positions_of
from poterne.session.imap.turns import Turn
from poterne.session.imap.updates import catch_up, finish
from poterne.store.errors import UnavailableError
from poterne.values.mailbox import ContentRow, MessageRow

FACT: Final = "fact"
"""The column of what threading knows; the others have the names of their sort keys."""
_BY_ENVELOPE: Final[dict[str, Callable[[bytes], Value]]] = {
    SortKey.SUBJECT.name: lambda stored: sort_keys.subject(stored).base,
    SortKey.FROM.name: lambda stored: sort_keys.mailbox(stored, "from"),
    SortKey.TO.name: lambda stored: sort_keys.mailbox(stored, "to"),
    SortKey.CC.name: lambda stored: sort_keys.mailbox(stored, "cc"),
    SortKey.DISPLAYFROM.name: lambda stored: sort_keys.display(stored, "from"),
    SortKey.DISPLAYTO.name: lambda stored: sort_keys.display(stored, "to"),
}


async def sort(client: Client, command: commands.Sort) -> None:
    if asks_modseq(command.key):
        client.enable_condstore()
    await catch_up(client, expunge=False)  # so that what is gone is left out
    _, view = client.selected
    found = await positions_of(client, command.key, command.tag)
    columns = await _columns(client, found, [by.key.name for by in command.order])
    chosen = [(columns[by.key.name], by.reverse) for by in command.order]
    for column, _ in chosen:
        if not column.complete:
            found = [position for position in found if column.values[position] is not None]
    first, reverse = chosen[0]
    if len(chosen) == 1 and not reverse and first.complete and len(found) == len(first.values):
        order = first.order
    else:
        order = found
        for column, reverse in reversed(chosen):  # stable, also in reverse
            value = column.ranks if column.complete else column.values
            order = sorted(order, key=value.__getitem__, reverse=reverse)  # type: ignore[arg-type]
    uids = view.uids
    modseq = None
    if found and asks_modseq(command.key):  # RFC 7162 §3.1.9
        modseq = highest_modseq(client, *client.selected, found)
    client.send(responses.sort([uids[i] for i in order] if command.uid else [i + 1 for i in order], modseq))
    await finish(client, ok(b"Sorted"), expunge=command.uid and not has_numbers(command.key))


async def _columns(client: Client, found: list[int], names: Sequence[str]) -> dict[str, Column[Value]]:
    """The columns, indexed by position. Where few messages are meant, others have None and nothing is kept of it."""
    mailbox, view = client.selected
    uids, kept = view.uids, client.service.columns
    few = len(found) * 2 < len(uids)
    columns: dict[str, Column[Value]] = {}
    missing: list[str] = []
    turn = Turn()
    for name in names:
        key = (mailbox.account_id, mailbox.id, mailbox.uid_validity, name)
        known = kept.get(key)
        if known is not None and (known.uids is uids or known.uids == uids):
            columns[name] = known
        elif known is not None and not few:
            by_uid = dict(zip(known.uids, known.values, strict=True))
            fresh = [i for i, uid in enumerate(uids) if uid not in by_uid]
            by_uid.update(
                zip([uids[i] for i in fresh], (await _values(client, fresh, [name], turn))[name], strict=True)
            )
            columns[name] = Column(uids, [by_uid[uid] for uid in uids])
            kept.keep(key, columns[name])
        else:
            missing.append(name)
    if not missing:
        return columns
    positions = found if few else list(range(len(uids)))
    for name, values in (await _values(client, positions, missing, turn)).items():
        if few:
            spread: list[Value | None] = [None] * len(uids)
            for position, value in zip(positions, values, strict=True):
                spread[position] = value
            columns[name] = Column(uids, spread)
        else:
            columns[name] = Column(uids, values)
            kept.keep((mailbox.account_id, mailbox.id, mailbox.uid_validity, name), columns[name])
    return columns


async def _values(
    client: Client, positions: list[int], names: Sequence[str], turn: Turn
) -> dict[str, list[Value | None]]:
    """For each name its values, as many as positions; None for a message that is gone meanwhile."""
    columns: dict[str, list[Value | None]] = {name: [] for name in names}
    by_envelope = [name for name in names if name in _BY_ENVELOPE]
    dated = not columns.keys().isdisjoint((SortKey.DATE.name, FACT))
    arrived: list[int] = []
    if dated or SortKey.ARRIVAL.name in columns or SortKey.SIZE.name in columns:
        for rows in _rows(client, positions):
            arrived += [0 if row is None else row.internal_at for row in rows]
            if SortKey.ARRIVAL.name in columns:
                columns[SortKey.ARRIVAL.name] += [None if row is None else row.internal_at for row in rows]
            if SortKey.SIZE.name in columns:
                columns[SortKey.SIZE.name] += [None if row is None else row.size for row in rows]
            if turn.over:
                await turn.give_way()
    if not (dated or by_envelope):
        return columns
    at = 0
    for contents in _contents(client, positions, envelope=bool(by_envelope) or FACT in columns):
        for name in by_envelope:
            text = _BY_ENVELOPE[name]
            columns[name] += [None if row is None else text(row.envelope) for row in contents]
        if dated:
            # RFC 5256 §2.2: INTERNALDATE stands in for a Date field that is missing or cannot be read.
            sent = [
                other if row is None or row.sent_at is None else row.sent_at
                for row, other in zip(contents, arrived[at : at + len(contents)], strict=True)
            ]
            at += len(contents)
            if SortKey.DATE.name in columns:
                columns[SortKey.DATE.name] += [
                    None if row is None else when for row, when in zip(contents, sent, strict=True)
                ]
            if FACT in columns:
                for row, when in zip(contents, sent, strict=True):
                    columns[FACT].append(None if row is None else _fact(client, row, when))
                    if turn.over:
                        await turn.give_way()
        if turn.over:
            await turn.give_way()
    return columns


def _rows(client: Client, found: list[int]) -> Iterator[Sequence[MessageRow | None]]:
    mailbox, view = client.selected
    for start in range(0, len(found), ROWS_AT_ONCE):
        page = found[start : start + ROWS_AT_ONCE]
        rows = client.store.rows(mailbox.account_id, mailbox.id, view.ranges(bits.spans(page)))
        if len(rows) == len(page):
            yield rows
        else:  # some are gone meanwhile
            by_uid: dict[int, MessageRow] = {row.uid: row for row in rows}
            yield [by_uid.get(view.uids[i]) for i in page]


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
            by_uid: dict[int, ContentRow] = {row.uid: row for row in rows}
            yield [by_uid.get(view.uids[i]) for i in page]


def _fact(client: Client, row: ContentRow, sent_at: int) -> Fact:
    try:
        block = texts.header_block(client.store.blobs, row)
    except UnavailableError as error:  # one damaged message stands alone; the others are threaded
        client.service.log.error("imap.unreadable", trace=client.link.trace, uid=row.uid, error=str(error))
        block = b""
    subject = sort_keys.subject(row.envelope)
    own, references = sort_keys.identity(block, row.envelope)
    return Fact(sent_at, subject.base, subject.is_reply, own, references)


async def thread(client: Client, command: commands.Thread) -> None:
    if asks_modseq(command.key):
        client.enable_condstore()
    await catch_up(client, expunge=False)
    found = await positions_of(client, command.key, command.tag)
    facts = (await _columns(client, found, [FACT]))[FACT]
    asked = f"{command.algorithm.name} {command.uid}" if facts.complete and len(found) == len(facts.values) else ""
    answer = facts.answers.get(asked)
    if answer is None:
        answer = await _threads(command, found, facts)
        if asked:
            facts.answers[asked] = answer
    client.send(answer)
    await finish(client, ok(b"Threaded"), expunge=command.uid and not has_numbers(command.key))


async def _threads(command: commands.Thread, found: list[int], facts: Column[Value]) -> Untagged:
    messages: list[threading.Threaded] = []
    for position in found:
        fact = facts.values[position]
        if isinstance(fact, Fact):
            number = facts.uids[position] if command.uid else position + 1
            messages.append(
                threading.Threaded(number, fact.sent_at, fact.subject, fact.is_reply, fact.message_id, fact.references)
            )
    if command.algorithm is Threading.ORDEREDSUBJECT:
        return responses.thread(threading.by_subject(messages))
    return responses.thread(await _by_references(messages))


async def _by_references(messages: Sequence[threading.Threaded]) -> list[Node]:
    turn = Turn()
    steps = threading.by_references(messages)
    while True:
        try:
            next(steps)
        except StopIteration as done:
            threads: list[Node] = done.value
            return threads
        if turn.over:
            await turn.give_way()
