"""ESEARCH: one search in many mailboxes (RFC 7377).

Theory of operation. The mailboxes are searched one after the other, INBOX first, each as SEARCH would: with the view of the
selected one as its client counts it, with a picture of the moment for the others. Each answer is made and sent before the next
mailbox is opened, so that memory does not grow with their number; turns and progress go on through all of them.
"""

from array import array
from collections.abc import Sequence
from functools import partial
from time import monotonic
from typing import Final

from msgspec import structs

from poterne.proto.imap import commands, responses
from poterne.proto.imap.responses import bad, no, ok
from poterne.proto.imap.search import SearchReturn, has_numbers
from poterne.session.imap import access, bits
from poterne.session.imap.client import Client
from poterne.session.imap.errors import NotPermittedError
from poterne.session.imap.matching import Matching
from poterne.session.imap.scope import Scope
from poterne.session.imap.search import asks_modseq, highest_modseq, kept, span_of
from poterne.session.imap.turns import Turn
from poterne.session.imap.updates import finish
from poterne.session.pending import View
from poterne.store.errors import NotFoundError, StoreError
from poterne.values.mailbox import Mailbox
from poterne.values.sharing import Right

FEW_NAMES: Final = 8
"""So many mailboxes are as well asked for one by one."""
_NOT_SELECTED: Final = bad(b"No mailbox is selected")
_TOO_MANY: Final = no(b"These are too many mailboxes to be searched at once", responses.LIMIT)


async def multi_search(client: Client, command: commands.MultiSearch) -> None:
    """One ESEARCH response for each mailbox where something was found, always with UIDs."""
    with_selected = any(source.is_selected for source in command.sources)
    if with_selected and client.view is None:
        client.send(_NOT_SELECTED)
        return
    saves = SearchReturn.SAVE in command.returns
    if asks_modseq(command.key):
        client.enable_condstore()
    mailboxes = await _meant(client, command, with_selected=with_selected)
    if len(mailboxes) > client.service.settings.max_searched_mailboxes:
        client.send(_TOO_MANY)
        return
    turn = Turn(partial(client.tell_progress, command.tag))
    began = monotonic()
    try:
        for mailbox in mailboxes:
            if monotonic() - began >= access.STALE_S and not await _may_read(client, mailbox):
                continue
            await _search_one(client, command, mailbox, turn, saves=saves)
            await client.flush_if_big()
    except StoreError:
        if saves:
            client.saved = (
                None  # RFC 5182 §2.1: a failed search leaves an empty result; until then "$" is the one before
            )
        raise
    # Where the criteria have message numbers, those of the selected mailbox must not move.
    await finish(client, ok(b"Searched"), expunge=not has_numbers(command.key))


async def _meant(client: Client, command: commands.MultiSearch, *, with_selected: bool) -> list[Mailbox]:
    """The mailboxes that the sources name, each once. What does not exist is passed over (RFC 7377 §2.2)."""
    scope = Scope(source for source in command.sources if not source.is_selected)
    found: list[Mailbox] = []
    if not scope.is_empty:
        names = scope.exact
        if names is not None and len(names) <= FEW_NAMES:
            found = [box for name in sorted(names) if (box := await _named(client, name)) is not None]
        else:
            found = await _covered(client, scope)
    selected = client.mailbox
    if with_selected and selected is not None and not any(_same(box, selected) for box in found):
        found.insert(0, selected)
    return found


async def _covered(client: Client, scope: Scope) -> list[Mailbox]:
    subscribed = frozenset(await client.store.subscriptions(client.account.id))
    found = [
        box
        for box in await client.store.mailboxes(client.account.id)
        if box.selectable and scope.covers(box.name, box.special_use, subscribed=box.name in subscribed)
    ]
    if scope.is_wide:
        for place in await access.others(client):
            name = place.mailbox.name
            needed = Right.READ if scope.names(name) else Right.READ | Right.LOOKUP
            if not needed & ~place.rights and scope.covers(name, personal=False, subscribed=name in subscribed):
                found.append(place.mailbox)
    return found


async def _named(client: Client, name: str) -> Mailbox | None:
    try:
        place = await access.resolve(client, name, Right.READ)
    except (NotFoundError, NotPermittedError):  # ignored alike (RFC 7377 §2.2)
        return None
    return place.mailbox if place.mailbox.selectable else None


def _same(one: Mailbox, other: Mailbox) -> bool:
    return one.id == other.id and one.account_id == other.account_id


async def _search_one(
    client: Client, command: commands.MultiSearch, mailbox: Mailbox, turn: Turn, *, saves: bool
) -> None:
    try:
        mailbox, view = await _opened(client, mailbox)
        within = span_of(view)
        matching = Matching(client, int(client.service.clock()), turn, mailbox, view)
        found = bits.positions(await matching.matches(command.key, within))
    except NotFoundError:  # deleted a moment ago
        return
    subject = kept(found, command.returns, command.window)
    if saves:
        client.saved = array("I", [view.uids[i] for i in subject])
    if found and command.returns != {SearchReturn.SAVE}:
        modseq = highest_modseq(client, mailbox, view, subject) if asks_modseq(command.key) else None
        _answer(client, command, mailbox, [view.uids[i] for i in found], modseq)


async def _may_read(client: Client, mailbox: Mailbox) -> bool:
    """Still: thousands of mailboxes take a while."""
    if mailbox.account_id == client.account.id:
        return True
    return Right.READ in await client.store.rights(client.account.id, mailbox.account_id, mailbox.id)


async def _opened(client: Client, mailbox: Mailbox) -> tuple[Mailbox, View]:
    if client.mailbox is not None and client.view is not None and _same(client.mailbox, mailbox):
        return client.mailbox, client.view
    row, view = await client.service.snapshots.open(mailbox)
    view.claimed(row.recent_uid, row.uid_next - 1)  # what SELECT would show as \Recent
    return structs.replace(row, name=mailbox.name), view  # of others, the name has their address before it


def _answer(
    client: Client, command: commands.MultiSearch, mailbox: Mailbox, uids: Sequence[int], modseq: int | None
) -> None:
    returns, window = command.returns, command.window
    client.send(
        responses.esearch(
            command.tag,
            uid=True,
            lowest=uids[0] if SearchReturn.MIN in returns else None,
            highest=uids[-1] if SearchReturn.MAX in returns else None,
            everything=uids if SearchReturn.ALL in returns else None,
            count=len(uids) if SearchReturn.COUNT in returns else None,
            modseq=modseq,
            partial=None if window is None else (window, uids[slice(*window.within(len(uids)))]),
            source=responses.esearch_source(mailbox.name, mailbox.uid_validity, utf8=client.core.utf8),
        )
    )
