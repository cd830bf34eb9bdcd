"""NOTIFY (RFC 5465): the command, and what is told when no command is in progress.

Theory of operation. `Client.watch` is None until NOTIFY is said for the first time: then all is as if there were no such
command, and costs nothing. From then on its rules decide what is told of the selected mailbox, in `updates` and here, and what of
all others, here only: by what differs between the picture of the account that was told last and the newest one (`pictures`).

Wake-ups end in a poke of the connection. A poke is heard when no command is being worked on; if one has begun to come in, what
there is to tell waits until it was answered (`settle`). While IDLE everything is told as it would be between commands.
What a client does not read is not made: the next picture is only asked for when the last notice is on its way.
"""

from bisect import bisect_left
from functools import partial

from poterne.net.link import Poke
from poterne.proto.imap import commands, responses
from poterne.proto.imap.responses import Condition, no, ok
from poterne.proto.imap.sequence import number_runs
from poterne.session.imap import access, annotated, notices
from poterne.session.imap.client import Client
from poterne.session.imap.fetch import show
from poterne.session.imap.metadata_watch import MetadataWatch
from poterne.session.imap.pictures import Picture
from poterne.session.imap.rules import METADATA, SERVER_METADATA, SILENT, Rules, rules_of
from poterne.session.imap.updates import finish, sync
from poterne.session.imap.watch import Watch
from poterne.store.errors import StoreError

_TOO_MANY = no(b"These are too many mailboxes to be watched", responses.NOTIFICATIONOVERFLOW)


async def notify(client: Client, command: commands.Notify) -> None:
    """What was in force before stays so if this fails."""
    watch = client.watch or Watch(client.link)
    if command.groups is None:
        client.watch = watch
        _set(client, watch, SILENT)
        client.send(ok(b"Nothing will be told"))
        return
    rules = rules_of(command.groups)
    picture = None
    try:
        if rules.every:
            picture = await _current(client, watch, rules)
            if len(picture.mailboxes) > client.service.settings.max_watched_mailboxes:
                _unused(client, watch)
                client.send(_TOO_MANY)
                return
        # What the old rules held back is told now, whatever the new ones say: "an implicit NOOP" (RFC 5465 §3.1).
        await sync(client, expunge=True, everything=True)
    except BaseException:
        _unused(client, watch)
        raise
    client.watch = watch
    _set(client, watch, rules)
    if rules.every & (METADATA | SERVER_METADATA):
        account_id = client.account.id
        watch.metadata = MetadataWatch(account_id, account_id)
        await watch.metadata.begin(client.store, client.service.notifier, watch.annotate)
    if picture is not None:
        watch.told, watch.stirred = picture, True  # something may have happened since
        watch.owed = True
        notices.tell_denied(client, watch, picture)
        if command.status:
            await notices.tell_status(client, watch, picture)
    await finish(client, ok(b"It will be told"))


async def _current(client: Client, watch: Watch, rules: Rules) -> Picture:
    """The newest picture for these rules; from now on the watch is stirred when there is a newer one."""
    service = client.service
    if rules.wide:
        wide = service.pictures.watch_wide(service.notifier, client.account.id, watch)
        return await wide.current(client.store, partial(access.others, client))
    return await service.pictures.watch(service.notifier, client.account.id, watch).current(client.store)


def _unused(client: Client, watch: Watch) -> None:
    """The command failed: what is watched for it alone is left again."""
    service = client.service
    if client.watch is not watch or not watch.rules.every:
        service.pictures.leave(client.account.id, watch)
    elif watch.rules.wide:
        service.pictures.watch_wide(service.notifier, client.account.id, watch)
    else:
        service.pictures.watch(service.notifier, client.account.id, watch)


def _set(client: Client, watch: Watch, rules: Rules) -> None:
    watch.rules = rules
    watch.told = None
    watch.end_metadata()
    watch.forget_ours()
    if not rules.every:
        client.service.pictures.leave(client.account.id, watch)


async def tell(client: Client) -> None:
    """The connection was poked: tell what may be told now."""
    watch = client.watch
    if watch is None:
        return
    if not client.core.is_listening:
        watch.owed = True
        return
    watch.owed = False
    if not watch.frozen and _owes_selected(client, watch):
        await sync(client, expunge=client.idling or watch.at_once)
    if watch.unshown:
        await _show_new(client, watch)
    if watch.stirred and not client.over:
        await _tell_others(client, watch)
    if client.annotated and client.idling:  # ENABLE METADATA was said too
        await annotated.tell(client)
    if watch.annotated and not client.over:
        await _tell_annotations(client, watch)


def _owes_selected(client: Client, watch: Watch) -> bool:
    view = client.view
    if view is None:
        return False
    return client.heard > view.modseq or bool(watch.unshown) or (watch.at_once and bool(view.gone))


async def _show_new(client: Client, watch: Watch) -> None:
    """FETCH of the new messages, but of those that the client made itself (RFC 5465 §5.2). After their EXISTS."""
    mailbox, view = client.selected
    uids, ours = view.uids, watch.ours.get(mailbox.id, ()) if client.foreign is None else ()
    first = bisect_left(uids, watch.unshown)
    news = [i for i in range(first, len(uids)) if uids[i] not in ours and uids[i] not in view.gone]
    await show(client, watch.rules.items, [(low, high + 1) for low, high in number_runs(news)])
    watch.unshown = 0
    watch.ours.pop(mailbox.id, None)


async def _tell_others(client: Client, watch: Watch) -> None:
    watch.stirred = False
    before = watch.told
    if before is None:
        return
    after = await _current(client, watch, watch.rules)
    if after is before and not watch.names:  # what others have undone of what this client did is no difference
        return
    if len(after.mailboxes) > client.service.settings.max_watched_mailboxes:
        overflow(client, watch)
        return
    await notices.tell(client, watch, before, after)
    watch.told = after
    watch.forget_ours()


async def _tell_annotations(client: Client, watch: Watch) -> None:
    """METADATA of what others have set or removed, names only (RFC 5465 §5.6, §5.7)."""
    watch.annotated = False
    if watch.metadata is None:
        return
    try:
        changes = await watch.metadata.changes(client.store)
    except StoreError:
        watch.annotated = True
        raise
    if client.metadata is not None:  # ENABLE METADATA: the client hears of all of them
        await annotated.tell(client)
        return
    subscribed = watch.told.subscribed if watch.told is not None else frozenset()
    for name, entries in changes:
        events = watch.rules.of(name, subscribed=name in subscribed) & METADATA if name else SERVER_METADATA
        if events & watch.rules.every:
            client.send(responses.metadata_changed(name, entries, utf8=client.core.utf8))


def overflow(client: Client, watch: Watch) -> None:
    """It has become too much: as if the client had said NOTIFY NONE (RFC 5465 §5.8)."""
    _set(client, watch, SILENT)
    client.send(responses.status_line(Condition.OK, b"There are too many mailboxes", responses.NOTIFICATIONOVERFLOW))


def settle(client: Client) -> None:
    """A command was answered: what waited for that is told next."""
    watch = client.watch
    if watch is None:
        return
    if watch.owed or watch.unshown or (watch.at_once and _owes_selected(client, watch)):
        client.link.poke(Poke.CHANGED)
