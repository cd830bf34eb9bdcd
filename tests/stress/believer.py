"""A client for dialogues that a test writes out: one connection, and the picture that follows from what it is told."""

import re
from collections.abc import Sequence

from tests.stress.ledger import Ledger
from tests.stress.picture import Doing, Picture
from tests.support.imap_world import Wire

_CODE = re.compile(rb"\[([A-Z]+)(?: ([^\]]*))?\]")


class Believer:
    """`qresync`, `rev2` say what the wire has enabled."""

    def __init__(self, wire: Wire, *, qresync: bool = False, rev2: bool = False) -> None:
        self.wire = wire
        self._modes = (qresync, rev2)
        self.picture = self._fresh()
        self.told: set[int] = set()
        """Messages whose flags the last command told."""

    def _fresh(self) -> Picture:
        qresync, rev2 = self._modes
        return Picture(Ledger(2), 1, condstore=qresync, qresync=qresync, rev2=rev2)

    def select(self, command: str) -> None:
        """And learn everything about it."""
        self.picture = self._fresh()
        self.run(command)
        self.run("UID FETCH 1:* (UID FLAGS)")

    def run(self, command: str, *literals: bytes, holds: bool = False) -> tuple[Sequence[bytes], bytes]:
        """The untagged responses and the tagged one; EOFError after a BYE. `holds`: nothing may be expunged meanwhile."""
        asks_flags = "FETCH" in command
        doing = Doing(b"t", command.encode(), holds, asks_flags)
        untagged, tagged = self.wire.run(command, *literals)
        for line in untagged:
            if line.startswith(b"* BYE"):
                raise EOFError(line)
            if (code := _CODE.match(line[5:])) is not None:
                doing.codes[code[1]] = code[2] or b""
            self.picture.hear(line, [doing])
        if (code := _CODE.search(tagged)) is not None:
            doing.codes[code[1]] = code[2] or b""
        self.picture.complete(doing)
        self.told = {uid for _, uid, items in doing.fetched if b"FLAGS" in items}
        return untagged, tagged
