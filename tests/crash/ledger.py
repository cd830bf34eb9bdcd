"""What clients know of their mail, and whether a server agrees with it after an accident.

Theory of operation. Every letter has a unique ident and one owner, who does one operation at a time. So what must be there
is certain for each letter, but for those whose last operation was never answered: there, before and after are both right,
all of the operation or nothing of it. `verify` compares with what was seen, and then knows again.

A copy whose UID nobody told (SMTP; an operation that was not answered) has UID 0 until it was seen.
"""

import hashlib
import random
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

Flags = frozenset[str]
NONE: Flags = frozenset()


@dataclass(eq=False, slots=True)
class Box:
    """A mailbox. `uid_validity` 0: not told yet."""

    account: str
    name: str
    uid_validity: int = 0
    doubtful: bool = False

    def __repr__(self) -> str:
        return f"{self.account}:{self.name}"


Copies = dict[tuple[Box, int], Flags]


@dataclass(eq=False, slots=True)
class Letter:
    """A message of the test, under its ident."""

    ident: str
    account: str
    owner: int
    size: int
    digest: bytes
    copies: Copies = field(default_factory=dict)
    doubtful: bool = False
    byte_checked: bool = False
    arrived: bool = False
    """It was there once, so whatever else came with it is there too."""
    soft: list[tuple[int, Copies]] = field(default_factory=list)
    """States before changes of flags alone, and when those were acknowledged: a power loss may bring them back (ADR 8)."""

    def is_intact(self, stored: bytes) -> bool:
        """Is this what was sent, behind nothing but trace fields?"""
        trace, sent = stored[: len(stored) - self.size], stored[len(stored) - self.size :]
        if trace and not (trace.startswith(b"Return-Path:") and trace.count(b"\r\nReceived:") == 1):
            return False
        return hashlib.sha256(sent).digest() == self.digest


class Act(Enum):
    CREATE = "create"
    DELETE = "delete"
    RENAME = "rename"


@dataclass(eq=False, slots=True)
class Operation:
    """Handed to the server and not answered yet. `after`: each letter's copies if it happens."""

    what: str
    after: dict[Letter, Copies]
    act: Act | None = None
    box: Box | None = None
    new_name: str = ""
    atomic: bool = True
    """All letters or none; else each for itself."""
    began: int = 0


@dataclass(frozen=True, slots=True)
class SeenBox:
    """A mailbox as found: UID → ident and flags."""

    uid_validity: int
    uid_next: int
    messages: Mapping[int, tuple[str, Flags]]


Seen = Mapping[tuple[str, str], SeenBox]
"""(account, name) → what is there."""


class Ledger:
    """All that was told to the clients of one server."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.letters: dict[str, Letter] = {}
        self.boxes: dict[tuple[str, str], Box] = {}
        self.in_flight: list[Operation] = []
        self.history: dict[tuple[str, str, int, int], str] = {}
        """(account, name, UIDVALIDITY, UID) → ident, forever: what a client may have in its cache."""
        self.next_uids: dict[tuple[str, str, int], int] = {}
        self.kept: dict[str, bool | None] = {}
        """Idents of letters that came into quarantine: whether they are there; None when nobody answered."""
        self.acknowledged = 0
        self.refusals: list[str] = []
        self.unanswered = 0
        self._reused: list[str] = []
        self._moment = 0
        self._hard_until = 0
        """What was acknowledged before this moment is on disk: something durable was begun later, and acknowledged."""
        self._next = 0
        self._of_owner: dict[int, list[Letter]] = {}

    def box(self, account: str, name: str) -> Box:
        """A mailbox that is there from the beginning."""
        return self.boxes.setdefault((account, name), Box(account, name))

    def write_letter(self, account: str, owner: int, size: int) -> tuple[Letter, bytes]:
        """A new letter and its octets; nobody has it yet."""
        self._next += 1
        ident = f"letter-{self._next}"
        body = b64encode(self.chance.randbytes(size * 3 // 4))
        lines = [body[at : at + 76] for at in range(0, len(body), 76)]
        lines[::7] = [b"." + line for line in lines[::7]]
        head = f"X-Letter: {ident}\r\nFrom: <s@example.net>\r\nSubject: {ident}\r\nMessage-ID: <{ident}@example.net>\r\n\r\n"
        octets = head.encode() + b"\r\n".join(lines) + b"\r\n"
        letter = Letter(ident, account, owner, len(octets), hashlib.sha256(octets).digest())
        self.letters[ident] = letter
        self._of_owner.setdefault(owner, []).append(letter)
        return letter, octets

    def letters_of(self, owner: int) -> list[Letter]:
        """Those that are not gone for good."""
        mine = self._of_owner.get(owner, [])
        mine[:] = [letter for letter in mine if letter.copies or letter.doubtful]
        return mine

    # -- operations ----------------------------------------------------------------------------------------------------

    def begin(
        self,
        what: str,
        after: dict[Letter, Copies],
        *,
        act: Act | None = None,
        box: Box | None = None,
        new_name: str = "",
        atomic: bool = True,
    ) -> Operation:
        """From now on until it is answered, it may have happened."""
        operation = Operation(what, after, act, box, new_name, atomic)
        self._moment += 1
        operation.began = self._moment
        self.in_flight.append(operation)
        self._doubt(operation, doubtful=True)
        return operation

    def done(self, operation: Operation, after: dict[Letter, Copies] | None = None, *, soft: bool = False) -> None:
        """Acknowledged. `after` has the UIDs that were told. `soft`: only flags were changed."""
        self.acknowledged += 1
        self._end(operation)
        if soft:
            self._moment += 1
            for letter in operation.after:
                letter.soft.append((self._moment, letter.copies))
        else:
            self._hard_until = max(self._hard_until, operation.began)
        self._apply(operation, operation.after if after is None else after)

    def not_done(self, operation: Operation, reason: str) -> None:
        """Refused: nothing of it may be there."""
        self.refusals.append(f"{operation.what}: {reason}")
        self._end(operation)

    def _end(self, operation: Operation) -> None:
        self.in_flight.remove(operation)
        self._doubt(operation, doubtful=False)

    def _doubt(self, operation: Operation, *, doubtful: bool) -> None:
        for letter in operation.after:
            letter.doubtful = doubtful
        if operation.box is not None:
            operation.box.doubtful = doubtful

    def _apply(self, operation: Operation, after: dict[Letter, Copies]) -> None:
        for letter, copies in after.items():
            letter.copies = copies
            letter.arrived = letter.arrived or bool(copies)
            for place, uid in copies:
                if uid and place.uid_validity:
                    key = (place.account, place.name, place.uid_validity, uid)
                    if self.history.setdefault(key, letter.ident) != letter.ident:
                        self._reused.append(f"{place}: UID {uid} was {self.history[key]}, is {letter.ident}")
        box = operation.box
        if operation.act is Act.CREATE and box is not None:
            self.boxes[box.account, box.name] = box
        elif operation.act is Act.DELETE and box is not None:
            del self.boxes[box.account, box.name]
        elif operation.act is Act.RENAME and box is not None:
            del self.boxes[box.account, box.name]
            box.name = operation.new_name
            self.boxes[box.account, box.name] = box

    # -- judging -------------------------------------------------------------------------------------------------------

    def verify(self, seen: Seen, *, lost_power: bool = False) -> list[str]:
        """What is wrong with it; [] when the server kept every promise. Then nothing is in doubt any more."""
        for letter in self.letters.values():
            letter.soft = [state for state in letter.soft if lost_power and state[0] > self._hard_until]
        wrong, self._reused = self._reused, []
        self.unanswered += len(self.in_flight)
        self._settle_boxes(seen)
        wrong += self._wrong_boxes(seen)
        found = self._found(seen, wrong)
        for operation in list(self.in_flight):
            wrong += self._settle(operation, found)
        for letter in self.letters.values():
            there = found.pop(letter.ident, {})
            if (known := _before(letter, there)) is None:
                wrong.append(f"{letter.ident} of {letter.account}: must be {letter.copies}, is {there}")
            else:
                letter.copies = known
                letter.soft.clear()
        wrong += [f"{ident}: nobody sent it, and it is {there}" for ident, there in found.items()]
        return wrong

    def _settle_boxes(self, seen: Seen) -> None:
        """Names tell whether an unanswered CREATE, DELETE or RENAME happened."""
        for operation in list(self.in_flight):
            box = operation.box
            if operation.act is None or box is None:
                continue
            name = operation.new_name or box.name
            happened = ((box.account, name) in seen) is (operation.act is not Act.DELETE)
            self._end(operation)
            if happened:
                self._apply(operation, operation.after)

    def _wrong_boxes(self, seen: Seen) -> list[str]:
        wrong = [f"mailbox {box} is gone" for key, box in self.boxes.items() if key not in seen]
        for key, here in seen.items():
            box = self.boxes.get(key)
            if box is None:
                wrong.append(f"mailbox {key} is nobody's")
                continue
            if box.uid_validity not in {0, here.uid_validity}:
                wrong.append(f"{box}: UIDVALIDITY was {box.uid_validity}, is {here.uid_validity}")
            box.uid_validity = here.uid_validity
            last = self.next_uids.get((*key, here.uid_validity), 1)
            if here.uid_next < last:
                wrong.append(f"{box}: UIDNEXT was {last}, is {here.uid_next}")
            self.next_uids[*key, here.uid_validity] = here.uid_next
        return wrong

    def _found(self, seen: Seen, wrong: list[str]) -> dict[str, Copies]:
        found: dict[str, Copies] = {}
        for key, here in seen.items():
            place = self.boxes.get(key) or Box(*key)
            for uid, (ident, flags) in here.messages.items():
                if uid >= here.uid_next:
                    wrong.append(f"{place}: UID {uid} is beyond UIDNEXT {here.uid_next}")
                before = self.history.setdefault((*key, here.uid_validity, uid), ident)
                if before != ident:
                    wrong.append(f"{place}: UID {uid} was {before}, is {ident}")
                found.setdefault(ident, {})[place, uid] = flags
        return found

    def _settle(self, operation: Operation, found: Mapping[str, Copies]) -> list[str]:
        self._end(operation)
        if not operation.atomic and len(operation.after) > 1:
            alone = [Operation(operation.what, {letter: copies}) for letter, copies in operation.after.items()]
            self.in_flight += alone
            return [text for one in alone for text in self._settle(one, found)]
        if all(_match(copies, found.get(letter.ident, {})) is not None for letter, copies in operation.after.items()):
            self._apply(operation, operation.after)
            return []
        if all(_before(letter, found.get(letter.ident, {})) is not None for letter in operation.after):
            return []
        half = {letter.ident: found.get(letter.ident) for letter in operation.after}
        return [f"{operation.what}: neither done nor not done: {half}"]


def _before(letter: Letter, there: Copies) -> Copies | None:
    """What is there, if it is what was acknowledged, or what flags may have gone back to."""
    for copies in (letter.copies, *(copies for _, copies in reversed(letter.soft))):
        if (known := _match(copies, there)) is not None:
            return known
    return None


def _match(expected: Copies, there: Copies) -> Copies | None:
    """What is there, if it is what is expected; a UID that nobody told (0) is any one."""
    if expected == there:
        return there
    if len(expected) != len(there):
        return None
    rest = dict(there)
    untold: list[tuple[Box, Flags]] = []
    for (box, uid), flags in expected.items():
        if not uid:
            untold.append((box, flags))
        elif rest.pop((box, uid), None) != flags:
            return None
    for (box, _), flags in rest.items():
        if (box, flags) not in untold:
            return None
        untold.remove((box, flags))
    return there
