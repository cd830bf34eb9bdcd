"""What an index of texts is made of."""

from typing import final


@final
class Words:
    """The distinct words of one message: folded text as UTF-8, cut at ASCII white space. Whoever reads the message fills it."""

    __slots__ = ("body", "header", "incomplete")

    def __init__(self) -> None:
        self.header: set[bytes] = set()
        self.body: set[bytes] = set()
        self.incomplete = False
        """Not all of its text was read: it may hold anything."""
