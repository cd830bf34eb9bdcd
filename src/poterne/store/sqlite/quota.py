"""How full accounts are, and who has to be told."""

from collections.abc import Sequence
from typing import Final

from poterne.store.errors import NotFoundError
from poterne.store.interface import Delivery
from poterne.store.sqlite import delivery as deliveries
from poterne.store.sqlite import events
from poterne.store.sqlite.connection import Row, Rows
from poterne.store.sqlite.reader import Reader
from poterne.store.sqlite.transaction import Tx
from poterne.store.writer import GroupWriter
from poterne.values.event import Event
from poterne.values.ids import AccountId
from poterne.values.retention import QuotaState

_COLUMNS: Final = (
    "SELECT account_id, quota_bytes, used_bytes, quota_messages, used_messages, quota_told FROM account_counter"
)
_ONE: Final = f"{_COLUMNS} WHERE account_id = ?"
_TO_TELL: Final = (
    f"{_COLUMNS} WHERE quota_told OR (quota_bytes AND used_bytes * 100 >= quota_bytes * ?1)"
    " OR (quota_messages AND used_messages * 100 >= quota_messages * ?1)"
)


class QuotaPart:
    _writer: GroupWriter[Tx]
    _reader: Reader

    def quotas(self, accounts: Sequence[AccountId]) -> list[QuotaState]:
        return [QuotaState(*row) for account in accounts for row in self._reader.all(_ONE, (account,))]

    async def quotas_to_tell(self, percent: int) -> list[QuotaState]:
        return _to_tell(self._reader, percent)

    async def quota_told(
        self, account_id: AccountId, percent: int, notice: Delivery | None = None, event: Event | None = None
    ) -> None:
        await self._writer.submit(told, account_id, percent, notice, event)


def _to_tell(rows: Rows, percent: int) -> list[QuotaState]:
    found: list[Row] = rows.all(_TO_TELL, (percent,))
    return [QuotaState(*row) for row in found]


def told(tx: Tx, account_id: AccountId, percent: int, notice: Delivery | None, event: Event | None) -> None:
    """Note it, and deliver the notice, for which there is always room."""
    if not tx.count("UPDATE account_counter SET quota_told = ? WHERE account_id = ?", (percent, account_id)):
        raise NotFoundError("no such account")
    if notice is not None:
        tx.require(notice.content.blob)
        deliveries.deliver_one(tx, notice, exempt=True)
    if event is not None:
        events.record(tx, (event,))
