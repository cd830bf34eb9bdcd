"""Expunged mail that can still come back: shown, and brought back."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from poterne.admin.people import Acting, AdminError, account_of
from poterne.message.encoded import decode_words
from poterne.message.header import index
from poterne.message.texts import printable
from poterne.store.errors import NotFoundError, OverQuotaError, StoreError
from poterne.store.interface import Store
from poterne.values.ids import MailboxId
from poterne.values.retention import Kept

LIST_MOST: Final = 10_000
_HEADER_MOST: Final = 64 * 1024
_TEXT_MOST: Final = 100


@dataclass(frozen=True, slots=True)
class Shown:
    """A message with what a person knows it by."""

    kept: Kept
    sender: str
    subject: str

    @property
    def number(self) -> str:
        return number(self.kept)


def number(kept: Kept) -> str:
    """How it is named on the command line: folder and UID that it had."""
    return f"{kept.mailbox_id}-{kept.uid}"


async def listed(store: Store, who: str, since: int, limit: int) -> list[Shown]:
    """Newest first. Raises AdminError, StoreError."""
    account = await account_of(store, who)
    return [_shown(store, kept) for kept in await store.kept_messages(account.id, since, limit)]


def _shown(store: Store, kept: Kept) -> Shown:
    try:
        header = index(store.blobs.read(kept.blob, 0, min(kept.header_size, _HEADER_MOST)))
    except StoreError:
        return Shown(kept, "", "(can't be read)")
    sender, subject = (printable(decode_words(header.value(name) or b""), _TEXT_MOST) for name in (b"from", b"subject"))
    return Shown(kept, sender, subject)


async def bring_back(
    store: Store,
    who: str,
    acting: Acting,
    *,
    numbers: Sequence[str] = (),
    since: int = 0,
    folder: str = "",
    to: str = "",
) -> dict[str, int]:
    """Those named, or all since then (and of a folder); how many came into which folder. Raises AdminError, StoreError.

    Into the folder that they were in; `to` is another one. What was in a folder that is gone comes into INBOX.
    """
    account = await account_of(store, who)
    found = await store.kept_messages(account.id, since, LIST_MOST)
    if numbers:
        by_number = {number(kept): kept for kept in found}
        if unknown := [one for one in numbers if one not in by_number]:
            raise AdminError(f"{unknown[0]} can't come back: see `poterne retention deleted {account.address}`")
        found = [by_number[one] for one in dict.fromkeys(numbers)]
    if folder:
        found = [kept for kept in found if kept.mailbox == folder]
    inbox = await store.mailbox(account.id, "INBOX")
    wanted: dict[MailboxId, list[Kept]] = {}
    for kept in reversed(found):  # oldest first: they get UIDs in the order in which they went
        wanted.setdefault(kept.mailbox_id if kept.mailbox else inbox.id, []).append(kept)
    if to:
        try:
            there = await store.mailbox(account.id, to)
        except NotFoundError:
            raise AdminError(f"{account.address} has no folder {to}") from None
        wanted = {there.id: [kept for some in wanted.values() for kept in some]} if found else {}
    done: dict[str, int] = {}
    for mailbox_id, some in wanted.items():
        try:
            box = await store.mailbox_by_id(account.id, mailbox_id)
            event = acting.event("message.undeleted", address=account.address, folder=box.name)
            done[box.name] = await store.undelete(some, box.id, event)
        except OverQuotaError:
            raise AdminError(
                f"{account.address} has no room for them: poterne account quota {account.address}"
            ) from None
        except NotFoundError:
            raise AdminError("a folder went away meanwhile: try again, or name another one with --to") from None
    return done
