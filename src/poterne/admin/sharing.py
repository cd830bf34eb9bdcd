"""Shared mailboxes, by an administrator: who may do what in whose (RFC 4314)."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from poterne.admin.people import Acting, AdminError, account_of
from poterne.store.errors import ConflictError, LimitError, NotFoundError
from poterne.store.interface import Store
from poterne.values.directory import Account
from poterne.values.mailbox import Mailbox
from poterne.values.sharing import ANYONE, EVERY_RIGHT, Granted, Right, letters, parse_rights

READ: Final = Right.LOOKUP | Right.READ
WRITE: Final = READ | Right.SEEN | Right.WRITE | Right.INSERT | Right.POST | Right.DELETE_MESSAGES | Right.EXPUNGE
WORDS: Final = {"none": Right(0), "read": READ, "write": WRITE, "all": EVERY_RIGHT}
"""`write` is all that is done with messages; with `all` mailboxes are made, renamed, deleted and shared further too."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of a mailbox's list."""

    mailbox: str
    granted: Granted


def parse_words(text: str) -> Right:
    """A word of `WORDS`, or letters of RFC 4314. Raises AdminError.

    All letters of "read" and "write" are rights too: a word with a slip in it must not become rights that nobody meant.
    """
    found = WORDS.get(text.lower())
    if found is None:
        meant = difflib.get_close_matches(text.lower(), WORDS, 1, cutoff=0.7)
        if meant:
            raise AdminError(f'"{text}" is none of {", ".join(WORDS)}: did you mean {meant[0]}?')
        found = parse_rights(text)
    if not text or found is None:
        raise AdminError(
            f'"{text}" is none of {", ".join(WORDS)}, nor rights as RFC 4314 writes them ({letters(EVERY_RIGHT)})'
        )
    return found


def in_words(rights: Right) -> str:
    """Letters, with the word that says the same."""
    word = next((word for word, those in WORDS.items() if those == rights), "")
    return f"{letters(rights)} ({word})" if word else letters(rights)


async def share(
    store: Store,
    who: str,
    mailbox: str,
    whom: str,
    rights: Right,
    acting: Acting,
    *,
    below: bool = False,
    across_domains: bool = False,
) -> Sequence[str]:
    """Let an account, or `anyone` of the owner's domain, do this in a mailbox, in place of what it might before.

    `below`: in those below it too. Gives their names. Raises AdminError, StoreError.
    """
    owner = await account_of(store, who)
    identifier = ANYONE if whom.lower() == ANYONE else (await account_of(store, whom)).address
    if rights and not across_domains and identifier != ANYONE and _domain(identifier) != _domain(owner.address):
        raise AdminError(
            f"{owner.address} and {identifier} are of different domains: [imap] share_across_domains forbids it"
        )
    found = _those(owner, await store.mailboxes(owner.id), mailbox, below=below)
    for box in found:
        event = acting.event(
            "mailbox.shared", name=box.name, owner=owner.address, address=identifier, rights=letters(rights)
        )
        try:
            await store.grant(owner.id, box.id, identifier, rights, replace(event, account_id=owner.id))
        except ConflictError:
            raise AdminError(f"{owner.address} owns it, and may do everything anyway") from None
        except NotFoundError:
            raise AdminError(f"{box.name} or {identifier} was removed a moment ago") from None
        except LimitError as error:
            raise AdminError(f"{box.name} cannot be shared: {error}") from None
    return [box.name for box in found]


def _domain(address: str) -> str:
    return address.rpartition("@")[2]


def _those(owner: Account, mailboxes: Sequence[Mailbox], name: str, *, below: bool) -> list[Mailbox]:
    name = "INBOX" if name.upper() == "INBOX" else name.removesuffix("/")
    found = [
        box for box in mailboxes if box.selectable and (box.name == name or (below and box.name.startswith(name + "/")))
    ]
    if not found:
        raise AdminError(f"{owner.address} has no folder {name} (poterne account folders {owner.address})")
    return found


async def shares(store: Store, who: str) -> tuple[Account, list[Entry]]:
    """Whom an account lets into its mailboxes, by their names. Raises AdminError, StoreError."""
    owner = await account_of(store, who)
    found = [
        Entry(box.name, line)
        for box in await store.mailboxes(owner.id)
        if box.selectable
        for line in await store.access(owner.id, box.id)
    ]
    return owner, found


async def shared_with(store: Store, who: str) -> list[tuple[str, str, Right]]:
    """Owner, mailbox and rights of what others let an account into. Raises AdminError, StoreError."""
    account = await account_of(store, who)
    return [(one.owner, one.mailbox.name, one.rights) for one in await store.shared_with(account.id)]
