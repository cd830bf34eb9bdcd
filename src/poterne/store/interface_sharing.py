"""The parts of `interface.Store` about mailboxes that several accounts use, and about annotations."""

from collections.abc import Collection, Mapping, Sequence
from typing import Final, Protocol

from poterne.values.event import Event
from poterne.values.ids import AccountId, MailboxId, ModSeq
from poterne.values.mailbox import Copied, UidRange
from poterne.values.sharing import NO_RIGHT, Granted, Right, Shared

GRANTED_MOST: Final = 200
"""Lines of one access list."""
LINES_MOST: Final = 20_000
"""Lines of all the access lists of an account: what is made below a shared mailbox inherits them."""
ANYONE_MOST: Final = 500
"""Mailboxes that one account shares with its whole domain: everybody has them in every list of mailboxes."""
NAMED_MOST: Final = 2_000
"""Mailboxes that one account shares with another one by name: all that a secretary sees of a director's, say."""
SHARED_MOST: Final = 5_000
"""Lines by which an account sees mailboxes of others; those that name it come first."""
ACROSS_MOST: Final = 20_000
"""Messages in one copy into another account: nobody else can write while it is made (about 40 µs each)."""
ANNOTATED: Final = MailboxId(0)
"""Stands for all annotations of an account where changes are told: no mailbox has this id."""


class Sharing(Protocol):
    """Access lists. Owners stand in none: they may do everything."""

    async def access(self, account_id: AccountId, mailbox_id: MailboxId) -> list[Granted]:
        """By identifier; `ANYONE` first."""

    async def grant(
        self,
        account_id: AccountId,
        mailbox_id: MailboxId,
        identifier: str,
        rights: Right,
        event: Event,
        *,
        kept: Right = NO_RIGHT,
    ) -> None:
        """In place of what it had, but for those of `kept`; no rights: its line goes. The event tells what it has now.

        NotFoundError: no such mailbox, or a name that is none; NoGranteeError: it is there, but no such account. ConflictError:
        it is the owner. LimitError beyond `GRANTED_MOST`, `LINES_MOST`, `ANYONE_MOST` and `NAMED_MOST`.
        """

    async def shared_with(self, reader_id: AccountId) -> list[Shared]:
        """All mailboxes of others where the account has any right, by owner and name; not beyond `SHARED_MOST`.

        Of thousands they are not all of one moment: others have their turns meanwhile.
        """

    async def shared_mailbox(self, reader_id: AccountId, owner: str, name: str) -> Shared:
        """One of them. NotFoundError: it does not exist, or the account has no right in it (nobody can tell which)."""

    async def rights(self, reader_id: AccountId, account_id: AccountId, mailbox_id: MailboxId) -> Right:
        """What the account may do in a mailbox of somebody else now; none also when one of them is gone, or it is disabled."""

    async def copy_to(
        self,
        account_id: AccountId,
        source: MailboxId,
        uids: Sequence[UidRange],
        to_account: AccountId,
        destination: MailboxId,
        now: int,
        *,
        flags_kept: int = -1,
        move: bool = False,
    ) -> Copied:
        r"""COPY or MOVE between two accounts, or within one; all or nothing. Counts for the second one's quota (OverQuotaError).

        LimitError between two accounts beyond `ACROSS_MOST` messages. Keywords keep their names; those for which the second
        account has no room (`KEYWORDS_OF_OTHERS`) are left out. `flags_kept`: a mask of the source's flags that the copies
        keep. What is moved to another account is expunged from the first: where that keeps what is expunged (undelete window,
        legal hold), it keeps it.
        """


class Annotations(Protocol):
    """Metadata of mailboxes and accounts (RFC 5464). Entries are in lower case; `mailbox_id` None: the account as a whole.

    A mailbox's go with it, stay with it when it is renamed, and are copied when INBOX is (RFC 5464 §4.1). Each change is told to
    `Store.listen` as one of the mailbox `ANNOTATED`, and not as one of the mailbox itself.
    """

    async def annotations(
        self,
        account_id: AccountId,
        mailbox_id: MailboxId | None,
        reader_id: AccountId,
        entries: Collection[str] | None = None,
    ) -> dict[str, bytes]:
        """The entries that this reader sees, by name: /shared ones, and his own /private ones. All, or those of `entries`."""

    async def annotation_sizes(
        self, account_id: AccountId, mailbox_id: MailboxId | None, reader_id: AccountId
    ) -> dict[str, int]:
        """Octets of each value that this reader sees, by name: all values together may be large."""

    async def annotation_marks(
        self, account_id: AccountId, reader_id: AccountId
    ) -> dict[tuple[MailboxId | None, str], ModSeq]:
        """When each entry that this reader sees was last set, in all mailboxes of the account."""

    async def annotate(
        self,
        account_id: AccountId,
        mailbox_id: MailboxId | None,
        reader_id: AccountId,
        changes: Mapping[str, bytes | None],
        events: Sequence[Event] = (),
    ) -> ModSeq:
        """All or nothing; None removes an entry. Gives the mark of what was set.

        NotFoundError: no such account or mailbox. LimitError: more entries than there may be (`Limits.annotations`): /shared
        ones in the account's mailboxes, or /private ones that the reader has in all accounts.
        """
