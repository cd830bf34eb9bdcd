"""The engine's methods of `interface_sharing.Sharing`."""

import asyncio
from collections.abc import Sequence

from poterne.store.sqlite import copying_across, sharing
from poterne.store.sqlite.connection import PlainRows
from poterne.store.sqlite.reader import Reader
from poterne.store.sqlite.upkeep import UpkeepPart
from poterne.values.event import Event
from poterne.values.ids import AccountId, MailboxId
from poterne.values.mailbox import Copied, UidRange
from poterne.values.sharing import NO_RIGHT, Granted, Right, Shared


class SharingPart(UpkeepPart):
    _reader: Reader

    async def access(self, account_id: AccountId, mailbox_id: MailboxId) -> list[Granted]:
        return sharing.access(self._reader, account_id, mailbox_id)

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
        await self._writer.submit(sharing.grant, account_id, mailbox_id, identifier, rights, event, kept)

    async def shared_with(self, reader_id: AccountId) -> list[Shared]:
        granted = sharing.granted_to(self._reader, reader_id)
        found: list[Shared] = []
        breathed = 0
        for account_id, owner in sharing.owners(self._reader, granted) if granted else ():
            mine: list[Shared] = []
            lines = list(granted[account_id].items())
            for start in range(0, len(lines), sharing.PAGE_ROWS):
                if len(found) + len(mine) >= breathed + sharing.PAGE_ROWS:
                    breathed = len(found) + len(mine)
                    await asyncio.sleep(0)
                mine += sharing.shared(self._reader, account_id, owner, lines[start : start + sharing.PAGE_ROWS])
            mine.sort(key=sharing.by_name)
            found += mine
        return found

    async def shared_mailbox(self, reader_id: AccountId, owner: str, name: str) -> Shared:
        return sharing.shared_mailbox(self._reader, reader_id, owner, name)

    async def rights(self, reader_id: AccountId, account_id: AccountId, mailbox_id: MailboxId) -> Right:
        return sharing.rights(self._reader, reader_id, account_id, mailbox_id)

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
        known: copying_across.References = {}
        if account_id != to_account:
            known = await self._off_loop(
                lambda connection: copying_across.references(PlainRows(connection), account_id, source, uids)
            )
        return await self._writer.submit(
            copying_across.copy,
            account_id,
            source,
            uids,
            to_account,
            destination,
            now,
            flags_kept,
            known,
            move=move,
        )
