"""Names: LIST, LSUB, STATUS, CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE, NAMESPACE."""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from poterne.proto.imap import commands, responses
from poterne.proto.imap.items import ListReturn, ListSelect, StatusItem
from poterne.proto.imap.responses import Condition, no, ok
from poterne.session.imap import metadata, object_ids
from poterne.session.imap.client import Client
from poterne.session.imap.quota import deleted_bytes
from poterne.session.imap.turns import Turn
from poterne.session.imap.updates import finish
from poterne.session.imap.wildcards import matcher
from poterne.store.errors import ConflictError, NotFoundError
from poterne.values.mailbox import Mailbox

MAX_LEVELS: Final = 32
MAX_LEVEL_CHARS: Final = 200
_BAD_NAME: Final = no(b"A mailbox cannot have this name", responses.CANNOT)
_EXISTS: Final = no(b"A mailbox of this name exists", responses.ALREADYEXISTS)


def attributes(mailbox: Mailbox, has_children: bool | None = None) -> list[bytes]:
    """As LIST shows them. RFC 6154 §2: SPECIAL-USE may be shown without being asked for."""
    found: list[bytes] = []
    if not mailbox.selectable:
        found.append(b"\\Noselect")
    if has_children is not None:
        found.append(b"\\HasChildren" if has_children else b"\\HasNoChildren")
    if mailbox.special_use is not None:
        found.append(mailbox.special_use.value.encode())
    return found


class _Names:
    """All mailboxes of the account, and who has children."""

    def __init__(self, mailboxes: Iterable[Mailbox]) -> None:
        self.by_name: Final = {mailbox.name: mailbox for mailbox in mailboxes}
        self.parents: Final = parents_of(self.by_name)

    def attributes(self, name: str) -> list[bytes]:
        mailbox = self.by_name.get(name)
        if mailbox is None:
            children = [b"\\HasChildren"] if name in self.parents else []
            return [b"\\NonExistent", *children]
        return attributes(mailbox, name in self.parents)


def parents_of(names: Iterable[str]) -> set[str]:
    """Every name above these."""
    found: set[str] = set()
    for name in names:
        while (cut := name.rfind("/")) > 0:
            name = name[:cut]
            if name in found:
                break
            found.add(name)
    return found


async def list_(client: Client, command: commands.List) -> None:
    """RFC 9051 §6.3.9 with RFC 5258, RFC 5819, RFC 6154."""
    if not command.extended and command.patterns == ("",):
        client.send(responses.list_delimiter())
        client.send(ok(b"Listed"))
        return
    names = _Names(await client.store.mailboxes(client.account.id))
    matchers = [matcher(command.reference + pattern) for pattern in command.patterns]

    def matches(name: str) -> bool:
        return any(match(name) for match in matchers)

    wants_subscribed = ListSelect.SUBSCRIBED in command.select
    subscribed: set[str] = set()
    if wants_subscribed or ListReturn.SUBSCRIBED in command.returns:
        subscribed = set(await client.store.subscriptions(client.account.id))
    longest = 0
    turn = Turn()  # thousands of names, hundreds of patterns
    for name in _ordered({*names.by_name, *subscribed} if wants_subscribed else names.by_name):
        if matches(name):
            longest = max(longest, await _list_one(client, command, names, subscribed, name, matches))
        if turn.over:
            await turn.give_way()
    if wants_subscribed and ListSelect.RECURSIVEMATCH in command.select:
        for name in _ordered(parents_of(subscribed) - names.by_name.keys() - subscribed):
            if matches(name):
                await _list_one(client, command, names, subscribed, name, matches)
            if turn.over:
                await turn.give_way()
    await finish(client, ok(b"Listed", responses.code_metadata_longentries(longest) if longest else None))


def _ordered(names: Iterable[str]) -> list[str]:
    return sorted(names, key=lambda name: (name != "INBOX", name))


async def _list_one(
    client: Client,
    command: commands.List,
    names: _Names,
    subscribed: set[str],
    name: str,
    matches: Callable[[str], bool],
) -> int:
    """Gives the size of the largest METADATA value that was asked for and was too large to be told, else 0."""
    mailbox = names.by_name.get(name)
    found = names.attributes(name)
    child_info: tuple[bytes, ...] = ()
    if ListSelect.SUBSCRIBED in command.select and name not in subscribed:
        if ListSelect.RECURSIVEMATCH not in command.select or not _hides_child(name, subscribed, matches):
            return 0
        child_info = (b"SUBSCRIBED",)
    if ListSelect.SPECIAL_USE in command.select and (mailbox is None or mailbox.special_use is None):
        return 0
    if name in subscribed:
        found.append(b"\\Subscribed")
    client.send(responses.list_mailbox(name, found, utf8=client.core.utf8, child_info=child_info))
    if command.status and mailbox is not None and mailbox.selectable:
        client.send(responses.status(name, await status_values(client, mailbox, command.status), utf8=client.core.utf8))
    longest = 0
    if command.metadata is not None and mailbox is not None:
        longest = await metadata.tell(client, mailbox, command.metadata)
    await client.flush_if_big()
    return longest


def _hides_child(name: str, subscribed: set[str], matches: Callable[[str], bool]) -> bool:
    """RFC 5258 §3.5: CHILDINFO is for children that fit the selection but not the pattern."""
    below = name + "/"
    return any(child.startswith(below) and not matches(child) for child in subscribed)


async def lsub(client: Client, command: commands.Lsub) -> None:
    r"""RFC 3501 §6.3.9: with "%", a name that is not subscribed but has a subscribed child is shown as \\Noselect."""
    if not command.pattern:
        client.send(responses.list_delimiter(b"LSUB"))
        client.send(ok(b"Listed"))
        return
    subscribed = set(await client.store.subscriptions(client.account.id))
    match = matcher(command.reference + command.pattern)
    parents = parents_of(subscribed) - subscribed if command.pattern.endswith("%") else set()
    turn = Turn()
    for name in _ordered(subscribed | parents):
        if match(name):
            shown = (b"\\Noselect",) if name in parents else ()
            client.send(responses.list_mailbox(name, shown, utf8=client.core.utf8, word=b"LSUB"))
            await client.flush_if_big()
        if turn.over:
            await turn.give_way()
    await finish(client, ok(b"Listed"))


async def status(client: Client, command: commands.Status) -> None:
    """RFC 9051 §6.3.11: from the mailbox row, whatever the size of the mailbox."""
    mailbox = await client.store.mailbox(client.account.id, command.mailbox)
    if not mailbox.selectable:
        raise NotFoundError(command.mailbox)
    values = await status_values(client, mailbox, command.items)
    client.send(responses.status(mailbox.name, values, utf8=client.core.utf8))
    await finish(client, ok(b"Status told"))


async def status_values(
    client: Client, mailbox: Mailbox, items: Iterable[StatusItem]
) -> Mapping[StatusItem, int | bytes]:
    values: dict[StatusItem, int | bytes] = {}
    for item in items:
        match item:
            case StatusItem.MESSAGES:
                values[item] = mailbox.messages
            case StatusItem.UIDNEXT:
                values[item] = mailbox.uid_next
            case StatusItem.UIDVALIDITY:
                values[item] = mailbox.uid_validity
            case StatusItem.UNSEEN:
                values[item] = mailbox.unseen
            case StatusItem.DELETED:
                values[item] = mailbox.deleted
            case StatusItem.SIZE:
                values[item] = mailbox.size_bytes
            case StatusItem.HIGHESTMODSEQ:
                values[item] = mailbox.highest_modseq
                client.condstore = True  # RFC 7162 §3.1: a CONDSTORE enabling command
            case StatusItem.APPENDLIMIT:
                values[item] = client.service.settings.max_append_bytes
            case StatusItem.DELETED_STORAGE:
                values[item] = await deleted_bytes(client, mailbox)
            case StatusItem.MAILBOXID:
                values[item] = object_ids.mailbox(mailbox)
            case StatusItem.RECENT:
                values[item] = await _count_recent(client, mailbox)
    return values


async def _count_recent(client: Client, mailbox: Mailbox) -> int:
    if mailbox.recent_uid >= mailbox.uid_next:
        return 0
    _, view = await client.service.snapshots.open(mailbox)
    return len(view) - bisect_left(view.uids, mailbox.recent_uid)


def is_good_name(name: str) -> bool:
    """No empty levels, no wildcards, bounded depth and length; a level may not be "." or ".."."""
    levels = name.split("/")
    return len(levels) <= MAX_LEVELS and all(
        level and len(level) <= MAX_LEVEL_CHARS and level not in {".", ".."} and not set(level) & {"*", "%"}
        for level in levels
    )


async def create(client: Client, command: commands.Create) -> None:
    """RFC 9051 §6.3.4; USE of RFC 6154 §3."""
    name = command.mailbox.removesuffix("/")
    if not is_good_name(name):
        client.send(_BAD_NAME)
        return
    if len(command.special_use) > 1:
        client.send(no(b"One special use for a mailbox", responses.USEATTR))
        return
    use = command.special_use[0] if command.special_use else None
    if use is not None and any(box.special_use is use for box in await client.store.mailboxes(client.account.id)):
        client.send(no(b"Another mailbox has this special use", responses.USEATTR))
        return
    try:
        made = await client.store.create_mailbox(
            client.account.id, name, use, client.event("mailbox.created", name=name)
        )
    except ConflictError:
        client.send(_EXISTS)
        return
    if client.watch is not None:
        client.watch.named(made.name, exists=True)
    await finish(client, ok(b"Created", responses.code_mailboxid(object_ids.mailbox(made))))


async def delete(client: Client, command: commands.Delete) -> None:
    """RFC 9051 §6.3.5. Our own selected mailbox is closed; other sessions that have it selected are told BYE."""
    mailbox = await client.store.mailbox(client.account.id, command.mailbox)
    if mailbox.name == "INBOX":
        client.send(no(b"INBOX cannot be deleted", responses.CANNOT))
        return
    try:
        await client.store.delete_mailbox(
            client.account.id, mailbox.id, client.event("mailbox.deleted", name=mailbox.name, messages=mailbox.messages)
        )
    except ConflictError:
        client.send(no(b"It has mailboxes below it", responses.HASCHILDREN))
        return
    if client.watch is not None:
        client.watch.named(mailbox.name, exists=False)
    if client.mailbox is not None and client.mailbox.id == mailbox.id:
        client.deselect()
        client.core.selected(False)
        client.send(responses.status_line(Condition.OK, b"The mailbox is closed", responses.CLOSED))
    await finish(client, ok(b"Deleted"))


async def rename(client: Client, command: commands.Rename) -> None:
    """RFC 9051 §6.3.6."""
    name = command.destination.removesuffix("/")
    if not is_good_name(name) or name == "INBOX":
        client.send(_EXISTS if name == "INBOX" else _BAD_NAME)
        return
    mailbox = await client.store.mailbox(client.account.id, command.mailbox)
    if name.startswith(mailbox.name + "/") and mailbox.name != "INBOX":
        client.send(no(b"A mailbox cannot be moved below itself", responses.CANNOT))
        return
    try:
        await client.store.rename_mailbox(
            client.account.id, mailbox.id, name, client.event("mailbox.renamed", name=mailbox.name, to=name)
        )
    except ConflictError:
        client.send(_EXISTS)
        return
    if client.watch is not None:
        client.watch.named(mailbox.name, exists=mailbox.name == "INBOX")
        client.watch.named(name, exists=True)
    await finish(client, ok(b"Renamed"))


async def subscribe(client: Client, command: commands.Subscribe) -> None:
    """RFC 9051 §6.3.7. The name must exist now; it stays subscribed when the mailbox goes."""
    name = command.mailbox.removesuffix("/")
    await client.store.mailbox(client.account.id, name)
    await client.store.subscribe(client.account.id, name, True)
    if client.watch is not None:
        client.watch.subscriptions[name] = True
    await finish(client, ok(b"Subscribed"))


async def unsubscribe(client: Client, command: commands.Unsubscribe) -> None:
    name = command.mailbox.removesuffix("/")
    await client.store.subscribe(client.account.id, name, False)
    if client.watch is not None:
        client.watch.subscriptions[name] = False
    await finish(client, ok(b"Unsubscribed"))


async def namespace(client: Client, _command: commands.Namespace) -> None:
    client.send(responses.namespace())
    await finish(client, ok(b"Namespace told"))
