"""The part of `interface.Store` about how long mail and traces are kept."""

from collections.abc import Sequence
from typing import Protocol

from poterne.values.event import Event
from poterne.values.ids import AccountId, MailboxId, Uid
from poterne.values.retention import Aged, Found, Hold, Kept, Rule, TracesBefore, TracesGone


class Retention(Protocol):
    """How long mail and traces are kept."""

    async def retention_rules(self) -> list[Rule]:
        """Of domains and accounts; those of the server are settings."""

    async def set_retention_rule(self, rule: Rule, event: Event) -> None:
        """In place of an earlier one for the same. NotFoundError, LimitError."""

    async def end_retention_rule(self, rule: Rule, event: Event) -> bool:
        """Whatever its days are; False, and no event: there was none."""

    async def legal_holds(self) -> list[Hold]: ...
    async def set_legal_hold(self, hold: Hold, event: Event) -> None:
        """From now on nothing of it is lost: what is expunged stays (`kept_messages`). NotFoundError."""

    async def end_legal_hold(self, domain: str, account_id: AccountId | None, event: Event) -> bool:
        """False, and no event: there was none."""

    async def aged(self, questions: Sequence[Aged]) -> list[Found]:
        """The answers, one for each. Reads all messages of these mailboxes, beside the event loop."""

    async def retire(self, aged: Aged, event: Event) -> Found:
        """Remove some hundreds of them, with the event, which gets their number and size; 0 messages: there are no more.

        Also when the account is under a legal hold.
        """

    async def kept_messages(self, account_id: AccountId, since: int = 0, limit: int = 1000) -> list[Kept]:
        """Expunged since then and able to come back, newest first."""

    async def undelete(self, messages: Sequence[Kept], mailbox_id: MailboxId, event: Event) -> int:
        r"""Put them into a mailbox of their account, with new UIDs and without \Deleted; gives how many were still there.

        All of one account. In transactions of some hundreds, each with the event. NotFoundError, OverQuotaError.
        """

    async def forget_kept(self, before: int, most_bytes: int) -> int:
        """Those that were expunged before then can't come back; nor the oldest of an account beyond `most_bytes` (0: any).

        Gives how many went. Nothing of accounts under a legal hold goes.
        """

    async def note_fetched(self, account_id: AccountId, mailbox_id: MailboxId, uids: Sequence[Uid], at: int) -> None:
        """A POP3 client has them and left them here; the first time counts. On disk within a second, as flags are."""

    async def prune_traces(self, before: TracesBefore, expunged_ranges: int) -> TracesGone:
        """Old events and incidents go, and of each mailbox all but so many ranges of expunged UIDs (about)."""
