"""Flags by name, as bits of the account."""

import re
from typing import Final, final

from poterne.moving.told import Summary
from poterne.store.errors import LimitError
from poterne.store.interface import Store
from poterne.values.ids import AccountId
from poterne.values.mailbox import Flag

_SYSTEM: Final = {
    "\\seen": Flag.SEEN,
    "\\answered": Flag.ANSWERED,
    "\\flagged": Flag.FLAGGED,
    "\\deleted": Flag.DELETED,
    "\\draft": Flag.DRAFT,
}
REMEMBERED_MOST: Final = 10_000
"""Names that have no bit. A source may think of ever new ones."""
_KEYWORD: Final = re.compile(r"[!#$&'+-\[^-z|}~]{1,128}\Z").match


@final
class FlagBits:
    r"""Keywords are made as they are met. \Recent and what no client could have set is left out."""

    __slots__ = ("_account_id", "_bits", "_store", "_summary")

    def __init__(self, store: Store, account_id: AccountId, summary: Summary) -> None:
        self._store = store
        self._account_id = account_id
        self._summary = summary
        self._bits: dict[str, int] = {name: int(bit) for name, bit in _SYSTEM.items()}

    async def bits(self, names: tuple[str, ...]) -> int:
        """Raises StoreError."""
        found = 0
        for name in names:
            bit = self._bits.get(name.lower())
            found |= await self._made(name) if bit is None else bit
        return found

    async def _made(self, name: str) -> int:
        bit = 0
        if name[:1] != "\\" and _KEYWORD(name):
            try:
                bit = next(iter((await self._store.keyword_bits(self._account_id, [name])).values()))
            except LimitError:
                self._summary.note(f"the keyword {name} is left out: the account has as many as it can have")
        elif name.lower() not in {"\\recent", "\\*"}:
            self._summary.note(f"the flag {name} is left out: it has no meaning here")
        if bit or len(self._bits) < REMEMBERED_MOST:
            self._bits[name.lower()] = bit
        return bit
