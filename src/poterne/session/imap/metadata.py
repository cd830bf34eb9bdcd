"""METADATA (RFC 5464): what clients keep with a mailbox, or with the account; and what LIST tells of it (RFC 9590).

Server entries under /private are the account's own. Those under /shared are the administrator's: settings, for everybody to
read and for nobody to change.
"""

from collections.abc import Iterator, Mapping
from typing import Final, TypeVar

from poterne.proto.imap import commands, responses
from poterne.proto.imap.items import DEPTH_INFINITY, Metadata
from poterne.proto.imap.responses import no, ok
from poterne.session.imap import access
from poterne.session.imap.annotated import may_see, watch_also
from poterne.session.imap.client import Client
from poterne.session.imap.errors import NotPermittedError
from poterne.session.imap.foreign import Place
from poterne.session.imap.updates import finish
from poterne.store.errors import LimitError
from poterne.values.mailbox import Mailbox
from poterne.values.sharing import Right

T = TypeVar("T")
RESPONSE_BYTES: Final = 65_536
"""About as much goes into one METADATA response; more goes into several."""
_SHARED: Final = "/shared/"
_ADMINS: Final = no(b"Shared entries of the server are set by its administrator", responses.NOPERM)
_TOO_MANY: Final = no(b"There are too many entries", responses.METADATA_TOOMANY)


async def get_metadata(client: Client, command: commands.GetMetadata) -> None:
    """RFC 5464 §4.2."""
    place = await _place(client, command.mailbox)
    longest = await tell(client, place and place.mailbox, command.wanted)
    await finish(client, ok(b"Metadata told", responses.code_metadata_longentries(longest) if longest else None))


async def _place(client: Client, name: str) -> Place | None:
    """None for the server. Raises StoreError."""
    if not name:
        return None
    place = await access.resolve(client, name, Right.LOOKUP)
    if not may_see(place.rights):
        raise NotPermittedError(name)
    return place


async def tell(client: Client, mailbox: Mailbox | None, wanted: Metadata) -> int:
    """METADATA responses. Gives the size of the largest value that was left out as too large, 0 if none was."""
    of_server: dict[str, bytes] = {}
    if mailbox is None:
        account_id, mailbox_id = client.account.id, None
        of_server = _of_server(client)
    else:
        account_id, mailbox_id = mailbox.account_id, mailbox.id
        await watch_also(client, account_id)
    sizes = await client.store.annotation_sizes(account_id, mailbox_id, client.account.id)
    sizes.update({entry: len(value) for entry, value in of_server.items()})
    chosen = _chosen(sizes, wanted)
    name = "" if mailbox is None else mailbox.name
    for some in _parts(chosen, wanted.max_size):
        kept = [entry for entry in some if entry in sizes and entry not in of_server]
        values = dict(of_server)
        if kept:
            values |= await client.store.annotations(account_id, mailbox_id, client.account.id, kept)
        pairs = [(entry, values.get(entry)) for entry in some]
        client.send(responses.metadata(name, pairs, utf8=client.core.utf8))
        await client.flush_if_big()
    most = wanted.max_size
    return 0 if most is None else max((size for size in chosen.values() if size is not None and size > most), default=0)


def _parts(sizes: Mapping[str, int | None], max_size: int | None) -> Iterator[list[str]]:
    """Entries of one response each. Their values are read when it is their turn, for together they may be large."""
    some: list[str] = []
    total = 0
    for entry, size in sizes.items():
        if size is not None and max_size is not None and size > max_size:
            continue
        some.append(entry)
        total += (size or 0) + len(entry)
        if total > RESPONSE_BYTES:
            yield some
            some, total = [], 0
    if some:
        yield some


def _of_server(client: Client) -> dict[str, bytes]:
    settings = client.service.settings
    both = {"/shared/admin": settings.admin_contact, "/shared/comment": settings.server_comment}
    return {entry: text.encode() for entry, text in both.items() if text}


def _chosen(values: Mapping[str, T], wanted: Metadata) -> dict[str, T | None]:
    """Each entry that was named, with what is below it. Without DEPTH one that is not there has the value NIL."""
    if not wanted.depth:
        return {entry: values.get(entry) for entry in wanted.entries}
    found: dict[str, T | None] = {}
    levels = 1 if wanted.depth < DEPTH_INFINITY else None
    asked = set(wanted.entries)
    for entry, value in sorted(values.items()):
        above = entry
        for _ in range(entry.count("/") if levels is None else levels + 1):
            if above in asked:
                found[entry] = value
                break
            above = above.rpartition("/")[0]
    return found or dict.fromkeys(wanted.entries)


async def set_metadata(client: Client, command: commands.SetMetadata) -> None:
    """RFC 5464 §4.3: all or nothing."""
    limit = client.service.settings.metadata_value_bytes
    values = dict(command.values)
    if any(value is not None and len(value) > limit for value in values.values()):
        client.send(no(b"The value is too large", responses.code_metadata_maxsize(limit)))
        return
    if not command.mailbox and any(entry.startswith(_SHARED) for entry in values):
        client.send(_ADMINS)
        return
    place = await _place(client, command.mailbox)
    if place is not None and any(entry.startswith(_SHARED) for entry in values):
        access.require(place, Right.WRITE)  # what all see; stricter than RFC 5464 §3.3, as with flags
    account_id, mailbox_id = (
        (client.account.id, None) if place is None else (place.mailbox.account_id, place.mailbox.id)
    )
    await watch_also(client, account_id)
    try:
        mark = await client.store.annotate(account_id, mailbox_id, client.account.id, values)
    except LimitError:
        client.send(_TOO_MANY)
        return
    watch = client.metadata.get(account_id) if client.metadata is not None else None
    if watch is not None:
        watch.changed_here(mailbox_id, values, mark)
    if client.watch is not None and client.watch.metadata is not None and account_id == client.account.id:
        client.watch.metadata.changed_here(mailbox_id, values, mark)
    await finish(client, ok(b"Metadata set"))
