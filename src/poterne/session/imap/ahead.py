r"""Flags for the answer to a STORE of many messages, read while the store's writer still changes them.

Theory of operation. Each part is read before the change or after it, nobody knows which; but to add, to remove or to replace
flags a second time is the same as once. So what was read, with the change made to it, is how the flags are then: provided that
nobody else changed anything meanwhile, which the modseqs say. Where somebody did, it is read again as usual.
"""

from collections.abc import Iterator
from typing import Final, final

from poterne.proto.imap.fetch import RECENT
from poterne.proto.imap.sequence import IndexRanges
from poterne.session.imap.client import Client
from poterne.session.imap.turns import Turn
from poterne.store.errors import StoreError
from poterne.values.ids import ModSeq
from poterne.values.mailbox import FlagChange, UidRange

ROWS_AT_ONCE: Final = 2000


def parts(spans: IndexRanges) -> Iterator[tuple[int, int]]:
    """These positions in parts that are answered at once: [start, stop)."""
    for first, last in spans:
        for start in range(first, last, ROWS_AT_ONCE):
            yield start, min(start + ROWS_AT_ONCE, last)


@final
class NamesAfter(dict[int, bytes]):
    r"""`names[bits]` is the flag list of what these flags became; \Recent stays."""

    __slots__ = ("_bits", "_change", "_client")

    def __init__(self, client: Client, change: FlagChange, bits: int) -> None:
        super().__init__()
        self._client = client
        self._change = change
        self._bits = bits

    def __missing__(self, before: int) -> bytes:
        if self._change is FlagChange.ADD:
            after = before | self._bits
        elif self._change is FlagChange.REMOVE:
            after = before & ~self._bits
        else:
            after = self._bits | (before & RECENT)
        text = self[before] = self._client.flag_texts[after]
        return text


@final
class Ahead:
    """What one STORE has read ahead."""

    __slots__ = ("_client", "_found", "_newest", "_spans", "holds", "names")

    def __init__(self, client: Client, spans: IndexRanges, change: FlagChange, bits: int) -> None:
        self._client = client
        self._spans = spans
        self._found: dict[int, list[int]] = {}
        self._newest = ModSeq(0)
        self.names: Final = NamesAfter(client, change, bits)
        """For what `take` gives."""
        self.holds = False
        """Nobody else changed anything: what was read can be used."""

    def read(self) -> None:
        """All of it, or as much as others can wait for. To be called when the change is under way."""
        client = self._client
        mailbox, view = client.selected
        turn = Turn()
        for start, stop in parts(self._spans):
            known = view.uids[start:stop]
            try:
                there, flags, newest = client.store.flags(
                    mailbox.account_id, mailbox.id, [UidRange(known[0], known[-1])], known
                )
            except StoreError:
                return
            if len(there) == len(known):
                self._found[start] = flags
                self._newest = max(self._newest, newest)
            if turn.over:
                return

    def judge(self, modseq: ModSeq, *, alone: bool) -> None:
        """`modseq` is that of the change, or the mailbox's; `alone`: others changed nothing since the view's."""
        self.holds = alone and self._newest <= modseq

    def take(self, start: int) -> list[int] | None:
        """The flags of the part that begins here, before the change or after it."""
        return self._found.pop(start, None) if self.holds else None
