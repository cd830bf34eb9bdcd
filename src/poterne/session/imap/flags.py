"""The names of flags, one table for all sessions whose accounts have the same keywords."""

from functools import lru_cache
from typing import final

from poterne.proto.imap.fetch import FlagNames
from poterne.values.mailbox import KEYWORD_SHIFT


@final
class FlagTexts(FlagNames):
    """`FlagNames`, and up to which flags they are known."""

    __slots__ = ("limit",)

    def __init__(self, keywords: tuple[str, ...]) -> None:
        super().__init__(keywords)
        self.limit = 1 << (KEYWORD_SHIFT + len(keywords))
        """Flags at or above this have a keyword that we have not heard of."""


@lru_cache(maxsize=1024)
def flag_texts(keywords: tuple[str, ...]) -> FlagTexts:
    return FlagTexts(keywords)
