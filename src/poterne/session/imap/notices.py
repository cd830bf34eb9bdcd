"""What a client is told between two pictures of its account: STATUS of mailboxes, LIST of names (RFC 5465 §5)."""

from collections.abc import Collection, Mapping

from poterne.proto.imap import responses
from poterne.proto.imap.items import StatusItem
from poterne.proto.imap.responses import Untagged
from poterne.session.imap.access import is_selected
from poterne.session.imap.client import Client
from poterne.session.imap.name_notices import Names
from poterne.session.imap.pictures import Picture
from poterne.session.imap.rules import FLAGS, MESSAGES, NAMES, SUBSCRIPTIONS
from poterne.session.imap.turns import Turn
from poterne.session.imap.watch import Watch
from poterne.store.errors import NotFoundError
from poterne.values.ids import MailboxId, ModSeq
from poterne.values.mailbox import Mailbox


async def tell(client: Client, watch: Watch, before: Picture, after: Picture) -> None:
    """Everything that is different and asked for. What the client did itself is left out where it is sure to be that."""
    unknown: Collection[MailboxId] = ()
    if (after.names_at != before.names_at or watch.names) and watch.rules.every & (NAMES | SUBSCRIPTIONS):
        turn = Turn()  # thousands of names may have gone
        names = Names(client, watch, before, after)
        for line in names.lines():
            client.send(line)
            await client.flush_if_big()
            if turn.over:
                await turn.give_way()
        unknown = names.unknown
    unknown = {*unknown, *(before.denied - after.denied)} if before.denied else unknown
    if watch.rules.wide:
        _tell_access(client, watch, before, after)
    if watch.rules.every & MESSAGES:
        await _tell_messages(client, watch, before, after, unknown)


def tell_denied(client: Client, watch: Watch, picture: Picture) -> None:
    """What is asked for and may be seen, but not read (RFC 5465 §3.1)."""
    for key in picture.denied:
        name = picture.mailboxes[key].name
        if watch.rules.of(name, subscribed=name in picture.subscribed):
            client.send(_access_line(client, name, denied=True))


def _tell_access(client: Client, watch: Watch, before: Picture, after: Picture) -> None:
    """Rights to read that were taken or given (RFC 5465 §5.9). What can't be seen any more is told as a name that is gone;
    or here, to who did not ask for names.
    """
    for key in before.denied ^ after.denied:
        row = after.mailboxes.get(key)
        if row is not None and watch.rules.of(row.name, subscribed=row.name in after.subscribed):
            client.send(_access_line(client, row.name, denied=key in after.denied))
    for key, row in before.mailboxes.items():
        if row.account_id != client.account.id and key not in after.mailboxes:
            events = watch.rules.of(row.name, subscribed=row.name in after.subscribed)
            if events and not events & NAMES:
                client.send(_access_line(client, row.name, denied=True))


def _access_line(client: Client, name: str, *, denied: bool) -> Untagged:
    return responses.list_mailbox(name, (b"\\NoAccess",) if denied else (), utf8=client.core.utf8)


# Messages of other mailboxes


async def tell_status(client: Client, watch: Watch, picture: Picture) -> None:
    """The STATUS of each watched mailbox but the selected one, which NOTIFY SET STATUS begins with (RFC 5465 §3.1)."""
    turn = Turn()
    for key, row in picture.mailboxes.items():
        events = _events(client, watch, picture, key, row)
        if events:
            client.send(_status(client, row, events, modseq=bool(events & FLAGS)))
            await client.flush_if_big()
        if turn.over:
            await turn.give_way()


def _events(client: Client, watch: Watch, picture: Picture, key: MailboxId, row: Mailbox) -> int:
    """What is told of its messages: nothing for the selected mailbox, which has rules of its own."""
    if not row.selectable or is_selected(client, row) or key in picture.denied:
        return 0
    found = watch.rules.of(row.name, row.special_use, subscribed=row.name in picture.subscribed)
    return found if found & MESSAGES else 0


async def _tell_messages(
    client: Client, watch: Watch, before: Picture, after: Picture, unknown: Collection[MailboxId]
) -> None:
    old = before.mailboxes
    by_name: Mapping[str, Mailbox] | None = None
    changed = after.changed_since(before)
    for key in {*changed, *unknown} if unknown else changed:
        row = after.mailboxes.get(key)
        if row is None:
            continue
        events = _events(client, watch, after, key, row)
        if not events:
            continue
        was = None if key in unknown else old.get(key)
        if was is None and key not in unknown:  # a new mailbox, perhaps with the name of one that is gone
            by_name = by_name or {row.name: row for row in old.values()}
            was = by_name.get(row.name)
        if _is_news(client, was, row, events) and not await _is_ours(client, watch, was, row):
            client.send(_status(client, row, events, modseq=client.condstore))
            await client.flush_if_big()


def _is_news(client: Client, was: Mailbox | None, row: Mailbox, events: int) -> bool:
    if was is None:
        return bool(row.messages)
    if (was.uid_validity, was.uid_next, was.messages) != (row.uid_validity, row.uid_next, row.messages):
        return True
    if not events & FLAGS:
        return False
    # Without CONDSTORE, UNSEEN is all that can be told of flags (RFC 5465 §5.1).
    return was.unseen != row.unseen or (client.condstore and was.highest_modseq != row.highest_modseq)


async def _is_ours(client: Client, watch: Watch, was: Mailbox | None, row: Mailbox) -> bool:
    """Is it nothing but what this client did itself?"""
    if was is not None and (was.uid_validity, was.name) != (row.uid_validity, row.name):
        return False  # it may have put something there before it heard which mailbox that is
    if row.account_id != client.account.id:
        return False
    known = watch.known.get(row.id, ModSeq(0))
    if row.highest_modseq <= known:
        return True
    ours = watch.ours.get(row.id)
    uid_next, modseq = (1, 0) if was is None else (was.uid_next, was.highest_modseq)
    if not ours or row.uid_next - uid_next > len(ours):  # others have added some
        return False
    try:
        changes = await client.store.changes(row.account_id, row.id, ModSeq(max(known, modseq)))
    except NotFoundError:  # gone since: the next notice says so
        return True
    return all(one.uid in ours for one in changes.changed) and ours.issuperset(changes.vanished)


def _status(client: Client, row: Mailbox, events: int, *, modseq: bool) -> Untagged:
    values: dict[StatusItem, int | bytes] = {
        StatusItem.UIDVALIDITY: row.uid_validity,
        StatusItem.UIDNEXT: row.uid_next,
        StatusItem.MESSAGES: row.messages,
    }
    if events & FLAGS:
        values[StatusItem.UNSEEN] = row.unseen
    if modseq:
        values[StatusItem.HIGHESTMODSEQ] = row.highest_modseq
    return responses.status(row.name, values, utf8=client.core.utf8)
