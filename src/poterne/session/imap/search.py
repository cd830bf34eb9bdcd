"""SEARCH: results in the form the client asked for (RFC 9051 §6.4.4, RFC 4731, RFC 5182)."""

from array import array
from collections.abc import Sequence
from functools import partial

from poterne.proto.imap import commands, responses
from poterne.proto.imap.items import Window
from poterne.proto.imap.responses import ok
from poterne.proto.imap.search import And, ModSeqAtLeast, Not, Or, SearchKey, SearchReturn, has_numbers
from poterne.session.imap import bits
from poterne.session.imap.bits import Bits
from poterne.session.imap.client import Client
from poterne.session.imap.matching import ROWS_AT_ONCE, Matching
from poterne.session.imap.turns import Turn
from poterne.session.imap.updates import catch_up, finish
from poterne.session.pending import View
from poterne.store.errors import StoreError
from poterne.values.mailbox import Mailbox


async def search(client: Client, command: commands.Search) -> None:
    """Messages that are gone match nothing, whether the client knows it or not."""
    if asks_modseq(command.key):
        client.enable_condstore()
    await catch_up(client, expunge=False)
    _, view = client.selected
    returns = command.returns or frozenset()
    uids = view.uids
    try:
        found = await positions_of(client, command.key, command.tag)  # "$" in it is what was saved before
    except StoreError:
        if SearchReturn.SAVE in returns:
            client.saved = None  # RFC 5182 §2.1: a failed search leaves an empty result
        raise
    shown = [uids[i] for i in found] if command.uid else [i + 1 for i in found]
    subject = kept(found, returns, command.window)
    modseq = None
    if found and asks_modseq(command.key):
        modseq = highest_modseq(client, *client.selected, subject)
    if command.returns is None and not client.rev2:
        client.send(responses.search(shown, modseq))
    else:
        _esearch(client, command, shown, modseq)
    if SearchReturn.SAVE in returns:
        client.saved = array("I", [uids[i] for i in subject])
    # RFC 7162 §3.2.10.2: the same holds for UID SEARCH where it has message numbers.
    await finish(client, ok(b"Searched"), expunge=command.uid and not has_numbers(command.key))


async def positions_of(client: Client, key: SearchKey, tag: bytes) -> list[int]:
    """Ascending positions of the messages that match and are still there."""
    mailbox, view = client.selected
    turn = Turn(partial(client.tell_progress, tag))
    matching = Matching(client, int(client.service.clock()), turn, mailbox, view)
    return bits.positions(await matching.matches(key, span_of(view)))


def span_of(view: View) -> Bits:
    """All that can be found: messages that are gone are not."""
    return ((1 << len(view)) - 1) & ~bits.of_spans(view.spans_of(sorted(view.gone)), len(view))


def kept(found: list[int], returns: frozenset[SearchReturn], window: Window | None) -> list[int]:
    """What SAVE keeps and MODSEQ is of: with MIN, MAX, PARTIAL alone only those (RFC 5182 §2.1, RFC 7162 §3.1.10, RFC 9394)."""
    extremes = returns & {SearchReturn.MIN, SearchReturn.MAX, SearchReturn.PARTIAL}
    if not found or not extremes or returns & {SearchReturn.ALL, SearchReturn.COUNT}:
        return found
    some = {found[0]} if SearchReturn.MIN in extremes else set()
    if SearchReturn.MAX in extremes:
        some.add(found[-1])
    if window is not None:
        some.update(found[slice(*window.within(len(found)))])
    return sorted(some)


def _esearch(client: Client, command: commands.Search, shown: Sequence[int], modseq: int | None) -> None:
    returns = frozenset({SearchReturn.ALL}) if command.returns is None else command.returns
    if returns == {SearchReturn.SAVE}:
        return  # RFC 5182 §2.1: nothing is shown
    window = command.window
    client.send(
        responses.esearch(
            command.tag,
            uid=command.uid,
            lowest=shown[0] if shown and SearchReturn.MIN in returns else None,
            highest=shown[-1] if shown and SearchReturn.MAX in returns else None,
            everything=shown if SearchReturn.ALL in returns else None,
            count=len(shown) if SearchReturn.COUNT in returns else None,
            modseq=modseq,
            partial=None if window is None else (window, shown[slice(*window.within(len(shown)))]),
        )
    )


def asks_modseq(key: SearchKey) -> bool:
    """Is there MODSEQ in it, so that the answer has it too (RFC 7162 §3.1.5)?"""
    match key:
        case And(keys):
            return any(asks_modseq(part) for part in keys)
        case Or(left, right):
            return asks_modseq(left) or asks_modseq(right)
        case Not(inner):
            return asks_modseq(inner)
        case _:
            return isinstance(key, ModSeqAtLeast)


def highest_modseq(client: Client, mailbox: Mailbox, view: View, found: list[int]) -> int | None:
    """Of the messages at these positions."""
    highest = 0
    for start in range(0, len(found), ROWS_AT_ONCE):
        page = view.ranges(bits.spans(found[start : start + ROWS_AT_ONCE]))
        rows = client.store.rows(mailbox.account_id, mailbox.id, page)
        highest = max([highest, *(row.modseq for row in rows)])
    return highest or None
