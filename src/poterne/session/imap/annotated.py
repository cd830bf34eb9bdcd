"""Telling a client what others change of annotations (ENABLE METADATA, RFC 5464 §4.4.2): of its own account, and shared ones."""

from poterne.net.link import Poke
from poterne.proto.imap import responses
from poterne.session.imap import access
from poterne.session.imap.client import Client
from poterne.session.imap.foreign import Place
from poterne.session.imap.metadata_watch import MetadataWatch
from poterne.store.errors import StoreError
from poterne.values.ids import AccountId, MailboxId
from poterne.values.sharing import Right

READABLE = Right.READ | Right.SEEN | Right.WRITE | Right.INSERT | Right.POST
"""With `l` and one of these an account sees the annotations of somebody else's mailbox (RFC 5464 §3.3)."""


def may_see(rights: Right) -> bool:
    return Right.LOOKUP in rights and bool(rights & READABLE)


async def watch(client: Client) -> None:
    """From now on. Raises StoreError."""
    if client.metadata is None:
        client.metadata = {}
        try:
            await _watch(
                client, {client.account.id, *(place.mailbox.account_id for place in await access.others(client))}
            )
        except BaseException:
            client.end_metadata()
            raise


async def watch_also(client: Client, account_id: AccountId) -> None:
    """The client looks at annotations there: perhaps that was shared only a moment ago. Costs nothing where it is known."""
    if client.metadata is not None and account_id not in client.metadata:
        await _watch(client, {*client.metadata, account_id})


async def _watch(client: Client, accounts: set[AccountId]) -> None:
    """These accounts and no others."""
    watches = client.metadata
    if watches is None:
        return

    def wake() -> None:
        client.annotated = True
        if client.idling:
            client.link.poke(Poke.CHANGED)

    for account_id in watches.keys() - accounts:
        watches.pop(account_id).end()
    for account_id in accounts - watches.keys():
        one = MetadataWatch(account_id, client.account.id)
        await one.begin(client.store, client.service.notifier, wake)
        watches[account_id] = one


async def tell(client: Client) -> None:
    """METADATA responses without values for what has changed. Allowed at any time."""
    client.annotated = False  # before we ask, so that a wake-up meanwhile is kept
    try:
        for name, entries in await _changes(client):
            client.send(responses.metadata_changed(name, entries, utf8=client.core.utf8))
    except StoreError:
        client.annotated = True  # told later: what the command did is not undone by this
        client.service.log.warning("imap.metadata_unread", trace=client.link.trace)


async def _changes(client: Client) -> list[tuple[str, list[str]]]:
    watches = client.metadata
    if watches is None:
        return []
    places = [place for place in await access.others(client) if may_see(place.rights)]
    await _watch(client, {client.account.id, *(place.mailbox.account_id for place in places)})
    found = await watches[client.account.id].changes(client.store)
    for account_id, one in watches.items():
        if account_id != client.account.id:
            found += _named(await one.changed(client.store), [p for p in places if p.mailbox.account_id == account_id])
    return found


def _named(changed: dict[MailboxId | None, list[str]], places: list[Place]) -> list[tuple[str, list[str]]]:
    return [(p.mailbox.name, sorted(changed[p.mailbox.id])) for p in places if p.mailbox.id in changed]
