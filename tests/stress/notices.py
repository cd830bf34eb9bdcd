"""What a client believes about the mailboxes that it has not selected, because NOTIFY (RFC 5465) told it, or it asked."""

import re
from collections.abc import Iterable

from tests.stress.ledger import DifferenceError
from tests.stress.truth import Box

_LIST = re.compile(rb'\* LIST \(([^)]*)\) "/" (\S+|"[^"]*")(?: \("OLDNAME" \((\S+|"[^"]*")\)\))?\Z')
_STATUS = re.compile(rb'\* STATUS (\S+|"[^"]*") \(([^)]*)\)\Z')
Status = dict[bytes, int]


class Notices:
    """Names and STATUS. What a client did itself need not be told to it (RFC 5465 §5): then it forgets, or asks."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.status: dict[str, Status] = {}

    def hear(self, line: bytes) -> None:
        if (found := _STATUS.match(line)) is not None:
            words, name = found[2].split(), _name(found[1])
            if name not in self.status and b"SIZE" in words and b"HIGHESTMODSEQ" not in words:
                return  # it asked itself, and not for all that is compared
            self.status.setdefault(name, {}).update(
                zip(words[::2], map(int, words[1::2]), strict=True)  # an item that is left out has not changed
            )
        elif (found := _LIST.match(line)) is not None:
            if found[3] is not None:
                self.renamed(_name(found[3]), _name(found[2]))
            elif b"\\NonExistent" in found[1]:
                self.gone(_name(found[2]))
            else:
                self._there(_name(found[2]))
        elif b"NOTIFICATIONOVERFLOW" in line:
            raise DifferenceError("so few mailboxes are too many")

    def _there(self, name: str) -> None:
        if name not in self.names:
            self.names.add(name)
            self.status.pop(name, None)  # of another one, which it asked for before it was told of it

    def renamed(self, old: str, name: str) -> None:
        known = self.status.pop(old, None)
        self.gone(old)
        self.gone(name)
        self.names.add(name)
        if known is not None:
            self.status[name] = known

    def gone(self, name: str) -> None:
        self.names.discard(name)
        self.status.pop(name, None)

    def forget(self, name: str) -> None:
        """The client has changed it."""
        self.status.pop(name, None)

    def forget_box(self, validity: int) -> None:
        """The client had it selected: what was told meanwhile was no STATUS."""
        for name in [name for name, values in self.status.items() if values[b"UIDVALIDITY"] == validity]:
            del self.status[name]

    def agree(self, boxes: Iterable[Box], selected: int, *, modseq: bool) -> None:
        """All that is known is the truth."""
        by_name = {box.name: box for box in boxes}
        if self.names != set(by_name):
            raise DifferenceError(f"by NOTIFY there are {sorted(self.names)}, there are {sorted(by_name)}")
        for name, known in self.status.items():
            if name not in self.names:
                continue  # it asked, and was never told that there was one
            if (box := by_name.get(name)) is None:
                raise DifferenceError(f"STATUS of {name}, which does not exist: {known}")
            true = {
                b"UIDVALIDITY": box.uid_validity,
                b"UIDNEXT": box.uid_next,
                b"MESSAGES": len(box.messages),
                b"UNSEEN": len(box.messages) - len(box.having(b"\\Seen")),
                **({b"HIGHESTMODSEQ": box.highest} if modseq else {}),
            }
            told = {item: known.get(item) for item in true}
            if box.uid_validity != selected and told != true:
                raise DifferenceError(f"by NOTIFY {name} has {told}, the truth is {true}")


def _name(wire: bytes) -> str:
    return wire.decode().strip('"')
