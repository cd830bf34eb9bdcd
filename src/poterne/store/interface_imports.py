"""The part of `interface.Store` about mail that comes from another server or from files."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from poterne.values.ids import AccountId, MailboxId, Uid
from poterne.values.imports import Brought, ImportSourceId
from poterne.values.mailbox import Appended

if TYPE_CHECKING:
    from poterne.store.interface import Delivery


@dataclass(frozen=True, slots=True)
class Arrival:
    """A message to be stored, and what it is called where it comes from."""

    delivery: "Delivery"
    item: str
    hash: bytes


class Imports(Protocol):
    """Each message of a source comes once, whenever the import is killed and however often it is run again."""

    async def import_source(self, account_id: AccountId, name: str) -> ImportSourceId:
        """The number of the source with this name; made where there is none."""

    async def brought(
        self, account_id: AccountId, source_id: ImportSourceId, after: str = "", limit: int = 10_000
    ) -> list[Brought]:
        """What came from there, by item (as text), in pages."""

    async def brought_hashes(
        self, account_id: AccountId, mailbox_id: MailboxId, besides: ImportSourceId
    ) -> list[tuple[bytes, Uid]]:
        """Hash and UID of what came into a mailbox from other sources and is still there."""

    async def bring(
        self, account_id: AccountId, source_id: ImportSourceId, arrivals: Sequence[Arrival]
    ) -> list[Appended | None]:
        """Deliver them all and remember it, in one transaction; None where the item had come already. Raises as `deliver`."""

    async def note_brought(self, account_id: AccountId, source_id: ImportSourceId, notes: Sequence[Brought]) -> None:
        """Remember these without delivering anything, in place of what is known of them."""

    async def forget_brought(self, account_id: AccountId, source_id: ImportSourceId, items: Sequence[str]) -> None:
        """As if these had never come; the messages stay."""

    async def forget_imports(self, account_id: AccountId) -> int:
        """As if nothing had ever come; the messages stay. Gives how many were known."""
