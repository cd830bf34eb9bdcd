"""Names: LIST, LSUB, STATUS, CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE, NAMESPACE."""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from poterne.proto.imap import acl, commands, responses
from poterne.proto.imap.items import ListReturn, ListSelect, StatusItem
from poterne.proto.imap.responses import Condition, no, ok
from poterne.session.imap import access, metadata, object_ids
from poterne.session.imap.annotated import may_see
from poterne.session.imap.client import Client
from poterne.session.imap.foreign import OTHERS, PREFIX, Place, is_foreign, split
from poterne.session.imap.quota import deleted_bytes
from poterne.session.imap.turns import Turn
from poterne.session.imap.updates import finish
from poterne.session.imap.wildcards import matcher
from poterne.store.errors import ConflictError, NotFoundError
from poterne.values.mailbox import Mailbox
from poterne.values.sharing import EVERY_RIGHT, Right, letters

MAX_LEVELS: Final = 32
MAX_LEVEL_CHARS: Final = 200
_BAD_NAME: Final = no(b"A mailbox cannot have this name", responses.CANNOT)
_STAYS: Final = no(b"A mailbox stays in its owner's account, and INBOX where it is", responses.CANNOT)
_EXISTS: Final = no(b"A mailbox of this name exists", responses.ALREADYEXISTS)
_OWNERS_USE: Final = no(b"What a mailbox is used for is its owner's to say", responses.USEATTR)


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
    """All mailboxes that the client may see: the account's, and those of others; and who has children."""

    def __init__(self, mailboxes: Iterable[Mailbox], others: Sequence[Place]) -> None:
        self.by_name: Final = {mailbox.name: mailbox for mailbox in mailboxes}
        self._rights: Final = {place.mailbox.name: place.rights for place in others}
        self.roots: Final[set[str]] = set()
        """Names above the mailboxes of others: the whole, and each owner."""
        for place in others:
            self.by_name[place.mailbox.name] = place.mailbox
            self.roots.update((OTHERS, PREFIX + place.owner))
        self.parents: Final = parents_of(self.by_name)

    @property
    def hollow(self) -> set[str]:
        """Parents in others' accounts that are not this client's to see."""
        return self.parents - self.by_name.keys() - self.roots if self.roots else set()

    def rights(self, name: str) -> Right:
        return self._rights.get(name, EVERY_RIGHT)

    def attributes(self, name: str) -> list[bytes]:
        mailbox = self.by_name.get(name)
        if mailbox is None:
            children = [b"\\HasChildren"] if name in self.parents else []
            return [b"\\Noselect" if name in self.roots else b"\\NonExistent", *children]
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
    names = _Names(await client.store.mailboxes(client.account.id), await _of_others(client, command))
    matches = _any_of([command.reference + pattern for pattern in command.patterns])
    wants_subscribed = ListSelect.SUBSCRIBED in command.select
    subscribed: set[str] = set()
    if wants_subscribed or ListReturn.SUBSCRIBED in command.returns:
        subscribed = set(await client.store.subscriptions(client.account.id))
    longest = 0
    turn = Turn()  # thousands of names, hundreds of patterns

    async def list_those(some: Iterable[str], matches: Callable[[str], bool]) -> None:
        nonlocal longest
        for name in _ordered(some):
            if matches(name):
                longest = max(longest, await _list_one(client, command, names, subscribed, name, matches))
            if turn.over:
                await turn.give_way()

    await list_those(names.by_name.keys() | (subscribed if wants_subscribed else names.roots), matches)
    if wants_subscribed and ListSelect.RECURSIVEMATCH in command.select:
        await list_those(parents_of(subscribed) - names.by_name.keys() - subscribed, matches)
    elif not wants_subscribed and names.hollow:  # RFC 9051 §6.3.9: a pattern that ends with "%" shows such levels too
        await list_those(
            names.hollow,
            _any_of([command.reference + pattern for pattern in command.patterns if pattern.endswith("%")]),
        )
    await finish(client, ok(b"Listed", responses.code_metadata_longentries(longest) if longest else None))


async def _of_others(client: Client, command: commands.List) -> list[Place]:
    """What of others the client may see, unless the patterns are other names."""
    if all(_names_own(command.reference + pattern) for pattern in command.patterns):
        return []
    return [place for place in await access.others(client) if Right.LOOKUP in place.rights]


def _names_own(pattern: str) -> bool:
    """Can it fit no name of others?"""
    first = min(len(OTHERS), *(at for at in (pattern.find("*"), pattern.find("%"), len(pattern)) if at >= 0))
    return pattern[:first] != OTHERS[:first]


def _any_of(patterns: Sequence[str]) -> Callable[[str], bool]:
    matchers = [matcher(pattern) for pattern in patterns]
    return lambda name: any(match(name) for match in matchers)


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
    if client.watch is not None and mailbox is not None and mailbox.account_id == client.account.id:
        client.watch.listed(mailbox)
    rights = Right(0) if mailbox is None or not mailbox.selectable else names.rights(name)
    if ListReturn.MYRIGHTS in command.returns and rights and not child_info:  # RFC 8440 §3
        client.send(acl.my_rights(name, letters(rights, virtual=True), utf8=client.core.utf8))
    if command.status and mailbox is not None and Right.READ in rights:
        client.send(responses.status(name, await status_values(client, mailbox, command.status), utf8=client.core.utf8))
    longest = 0
    if command.metadata is not None and mailbox is not None and may_see(names.rights(name)):
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
    mailbox = (await access.resolve(client, command.mailbox, Right.READ)).mailbox
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
                client.enable_condstore()  # RFC 7162 §3.1: a CONDSTORE enabling command
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
    if not is_good_name(name) or name == OTHERS:
        client.send(_BAD_NAME)
        return
    account_id, path = client.account.id, name
    event = client.event("mailbox.created", name=name)
    if is_foreign(name):
        parent = await access.parent(client, name)
        account_id, path = parent.mailbox.account_id, split(name)[1]
        event = access.event(client, parent, "mailbox.created", name=path)
        if command.special_use:  # its owner's programs would put there what they send, for others to read
            client.send(_OWNERS_USE)
            return
    if len(command.special_use) > 1:
        client.send(no(b"One special use for a mailbox", responses.USEATTR))
        return
    use = command.special_use[0] if command.special_use else None
    if use is not None and any(box.special_use is use for box in await client.store.mailboxes(account_id)):
        client.send(no(b"Another mailbox has this special use", responses.USEATTR))
        return
    try:
        made = await client.store.create_mailbox(account_id, path, use, event)
    except ConflictError:
        client.send(_EXISTS)
        return
    if client.watch is not None and account_id == client.account.id:
        client.watch.named(made.name, exists=True)
    await finish(client, ok(b"Created", responses.code_mailboxid(object_ids.mailbox(made))))


async def delete(client: Client, command: commands.Delete) -> None:
    """RFC 9051 §6.3.5. Our own selected mailbox is closed; other sessions that have it selected are told BYE."""
    place = await access.resolve(client, command.mailbox, Right.DELETE_MAILBOX)
    mailbox = place.mailbox
    if place.path == "INBOX":
        client.send(no(b"INBOX cannot be deleted", responses.CANNOT))
        return
    try:
        event = access.event(client, place, "mailbox.deleted", name=place.path, messages=mailbox.messages)
        await client.store.delete_mailbox(mailbox.account_id, mailbox.id, event)
    except ConflictError:
        client.send(no(b"It has mailboxes below it", responses.HASCHILDREN))
        return
    if client.watch is not None and not place.owner:
        client.watch.named(mailbox.name, exists=False)
    if access.is_selected(client, mailbox):
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
    place = await access.resolve(client, command.mailbox, Right.DELETE_MAILBOX)
    mailbox, path = place.mailbox, name
    if place.owner or is_foreign(name):
        path = await _foreign_path(client, place, name)
    if not path or (place.owner and place.path == "INBOX"):
        client.send(_STAYS)
        return
    if path.startswith(place.path + "/") and place.path != "INBOX":
        client.send(no(b"A mailbox cannot be moved below itself", responses.CANNOT))
        return
    try:
        event = access.event(client, place, "mailbox.renamed", name=place.path, to=path)
        await client.store.rename_mailbox(mailbox.account_id, mailbox.id, path, event)
    except ConflictError:
        client.send(_EXISTS)
        return
    if client.watch is not None and not place.owner:
        client.watch.named(mailbox.name, exists=mailbox.name == "INBOX")
        client.watch.named(name, exists=True)
    await finish(client, ok(b"Renamed"))


async def _foreign_path(client: Client, place: Place, name: str) -> str:
    """The new name in the owner's account; "" where it would leave that. Raises as `access.resolve` does."""
    if not is_foreign(name):
        return ""
    parent = await access.parent(client, name)
    return split(name)[1] if parent.owner == place.owner else ""


async def subscribe(client: Client, command: commands.Subscribe) -> None:
    """RFC 9051 §6.3.7. The name must exist now; it stays subscribed when the mailbox goes."""
    name = command.mailbox.removesuffix("/")
    place = await access.resolve(client, name, Right.LOOKUP)
    if place.owner:
        name = place.mailbox.name
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
