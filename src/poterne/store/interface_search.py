"""The part of `interface.Store` about the index that searches use."""

from collections.abc import Callable, Generator, Iterator
from typing import Protocol

from poterne.values.ids import AccountId, Uid
from poterne.values.mailbox import ContentRow, Mailbox
from poterne.values.search import Words

WAITING_LEAST = 32
"""Fewer new messages than these are not worth an index: to read them takes some milliseconds."""


class Search(Protocol):
    """An index of texts, made from what is stored and never needed: without it, messages are read."""

    def may_hold(self, mailbox: Mailbox, text: bytes, *, header: bool, body: bool) -> list[Uid] | None:
        """UIDs of all messages that hold the text in their header, or in their body, and of some that do not.

        `text` is UTF-8, folded as `message.decode.fold` does. None: all may hold it, for want of an index or of text.
        """

    def search_writer(self) -> "SearchWriter":
        """Who makes the index; to be closed."""


ReadWords = Callable[[ContentRow, Words], Iterator[None]]
"""Gathers a message's words, in small steps. Raises UnavailableError for one that is damaged."""


class SearchWriter(Protocol):
    """Makes the index, in steps of some milliseconds: each value of a generator is how many messages that step finished.

    A generator that is closed leaves what was committed, and the next one goes on from there. All raise UnavailableError.
    """

    def begin(self, *, wait: bool = False) -> bool:
        """Become the one who writes; False: another process does."""

    def end(self) -> None:
        """Let another one write."""

    def waiting(self) -> dict[AccountId, int]:
        """How many messages of each account are not in the index; accounts without any are left out."""

    def index(self, read: ReadWords, least: int = WAITING_LEAST) -> Generator[int, None, None]:
        """All accounts that have at least so many new messages. What belongs to no account any more goes."""

    def tidy(self, blocks: int) -> Generator[int, None, None]:
        """What is of messages that are gone goes: looks at so many blocks (of 1,024 messages), from where the last call ended."""

    def forget_all(self) -> None:
        """The index is gone; all is searched in the messages until it is made anew."""

    def save(self) -> bool:
        """Bring what was committed to its place. Waits for the disk: not for the event loop's thread.

        False: not now, a step has changed something that is not committed yet.
        """

    def close(self) -> None: ...
