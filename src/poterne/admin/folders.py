"""The folders of an account: in its language, with their special use, all there. For administrators, and for who needs one."""

from dataclasses import dataclass

from poterne.admin.people import LANGUAGES, Acting, AdminError, account_of
from poterne.store.errors import ConflictError, LimitError
from poterne.store.interface import Store
from poterne.values.directory import Account
from poterne.values.event import Event
from poterne.values.folders import FOLDERS, folder_name
from poterne.values.ids import AccountId, MailboxId, TraceId
from poterne.values.mailbox import Mailbox, SpecialUse


@dataclass(frozen=True, slots=True)
class Repair:
    """What was done, by the name of the folder."""

    made: tuple[str, ...]
    given: tuple[str, ...]
    """There by name; it has its special use now."""
    subscribed: tuple[str, ...]


async def own_folder(store: Store, account_id: AccountId, use: SpecialUse, trace: TraceId, now: int) -> MailboxId:
    """The account's folder for this use; made, in its language and subscribed, when there is none. Raises StoreError.

    A folder that is there by that name is taken as it is: what its owner keeps in it is not ours to call so.
    """
    for mailbox in await store.mailboxes(account_id):
        if mailbox.special_use is use and mailbox.selectable:
            return mailbox.id
    name = folder_name(use, (await store.account_by_id(account_id)).language)
    try:
        made = await store.create_mailbox(
            account_id, name, use, Event(now, "mailbox.created", trace, account_id, detail={"name": name})
        )
    except ConflictError:  # of that name, made by its owner or by somebody else just now
        return (await store.mailbox(account_id, name)).id
    await store.subscribe(account_id, name, True)
    return made.id


async def listed(store: Store, who: str) -> tuple[Account, list[Mailbox]]:
    """Raises AdminError, StoreError."""
    account = await account_of(store, who)
    return account, await store.mailboxes(account.id)


async def repair(store: Store, who: str, acting: Acting) -> Repair:
    """Every folder that an account begins with is there, has its special use and is subscribed. Raises AdminError, StoreError.

    One that is there under another name stays so; a folder with the right name and no use gets it.
    """
    account = await account_of(store, who)
    mailboxes = await store.mailboxes(account.id)
    made: list[str] = []
    given: list[str] = []
    subscribed: list[str] = []
    for name, use in FOLDERS.get(account.language, FOLDERS["en"]):
        found = next((box for box in mailboxes if box.special_use is use and box.selectable), None)
        if found is None:
            found = next((box for box in mailboxes if box.name == name and box.selectable), None)
            event = acting.event("account.folder", address=account.address, folder=name, use=use.value)
            if found is None:
                found = await store.create_mailbox(account.id, name, use, event)
                made.append(name)
            elif found.special_use is None:
                await store.set_special_use(account.id, found.id, use, event)
                given.append(name)
        if not found.subscribed:
            await store.subscribe(account.id, found.name, True)
            if found.name not in made:
                subscribed.append(found.name)
    return Repair(tuple(made), tuple(given), tuple(subscribed))


async def set_use(store: Store, who: str, folder: str, use: str, acting: Acting) -> None:
    """Make a folder the only one for a use ("trash", "junk" …); "none": it is for none. Raises AdminError, StoreError."""
    account = await account_of(store, who)
    words = {one.value.removeprefix("\\").lower(): one for one in SpecialUse if one not in _NOT_FOLDERS}
    if use != "none" and use not in words:
        raise AdminError(f'"{use}" is none of {", ".join(sorted(words))} and none')
    found = next((box for box in await store.mailboxes(account.id) if box.name == folder and box.selectable), None)
    if found is None:
        raise AdminError(f"{account.address} has no folder {folder} (poterne account folders {account.address})")
    if found.name == "INBOX":
        raise AdminError("INBOX is for no special use")
    event = acting.event("account.folder", address=account.address, folder=folder, use=use)
    await store.set_special_use(account.id, found.id, words.get(use), event)


_NOT_FOLDERS = frozenset({SpecialUse.ALL, SpecialUse.FLAGGED})
"""Views of all mail: no folder of ours is one."""


async def set_language(
    store: Store, who: str, language: str, acting: Acting, *, rename: bool
) -> tuple[Account, dict[str, str]]:
    """The language of its notices; with `rename`, also of its folders, where they still have the name they began with.

    Gives what was renamed. A program that is open notices at once; one that remembers names of folders may have to be told.
    Raises AdminError, StoreError.
    """
    if language not in LANGUAGES:
        raise AdminError(f'there is no language "{language}": choose one of {", ".join(LANGUAGES)}')
    account = await account_of(store, who)
    event = acting.event("account.language", address=account.address, language=language)
    changed = await store.set_account(account.id, event, language=language)
    renamed: dict[str, str] = {}
    for box in await store.mailboxes(account.id) if rename else []:
        if box.special_use is None or not _began_as(box):
            continue
        name = folder_name(box.special_use, language)
        if name == box.name:
            continue
        moved = acting.event("mailbox.renamed", address=account.address, name=box.name, to=name)
        try:
            await store.rename_mailbox(account.id, box.id, name, moved)
        except (ConflictError, LimitError):  # there is another one of that name: both stay as they are
            continue
        renamed[box.name] = name
        if box.subscribed:
            await store.subscribe(account.id, name, True)
            await store.subscribe(account.id, box.name, False)
    return changed, renamed


def _began_as(box: Mailbox) -> bool:
    """Has it the name that folders of its use have in any language?"""
    return any((box.name, box.special_use) in names for names in FOLDERS.values())
