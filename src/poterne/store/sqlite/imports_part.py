"""The engine's methods of `interface_imports.Imports`."""

from collections.abc import Sequence

from poterne.store.interface_imports import Arrival
from poterne.store.sqlite import imports
from poterne.store.sqlite.reader import Reader
from poterne.store.sqlite.transaction import Tx
from poterne.store.writer import GroupWriter
from poterne.values.ids import AccountId, MailboxId, Uid
from poterne.values.imports import Brought, ImportSourceId
from poterne.values.mailbox import Appended


class ImportsPart:
    _writer: GroupWriter[Tx]
    _reader: Reader

    async def import_source(self, account_id: AccountId, name: str) -> ImportSourceId:
        found = imports.source(self._reader, account_id, name)
        return await self._writer.submit(imports.add_source, account_id, name) if found is None else found

    async def brought(
        self, account_id: AccountId, source_id: ImportSourceId, after: str = "", limit: int = 10_000
    ) -> list[Brought]:
        return imports.brought(self._reader, account_id, source_id, after, limit)

    async def brought_hashes(
        self, account_id: AccountId, mailbox_id: MailboxId, besides: ImportSourceId
    ) -> list[tuple[bytes, Uid]]:
        return imports.hashes(self._reader, account_id, mailbox_id, besides)

    async def bring(
        self, account_id: AccountId, source_id: ImportSourceId, arrivals: Sequence[Arrival]
    ) -> list[Appended | None]:
        return await self._writer.submit(imports.bring, account_id, source_id, arrivals)

    async def note_brought(self, account_id: AccountId, source_id: ImportSourceId, notes: Sequence[Brought]) -> None:
        await self._writer.submit(imports.note, account_id, source_id, notes)

    async def forget_brought(self, account_id: AccountId, source_id: ImportSourceId, items: Sequence[str]) -> None:
        await self._writer.submit(imports.forget_some, account_id, source_id, items)

    async def forget_imports(self, account_id: AccountId) -> int:
        total = 0
        while some := await self._writer.submit(imports.forget, account_id):
            total += some
        return total
