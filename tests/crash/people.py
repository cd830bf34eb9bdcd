"""What people do with their mail, at random, and what they remember of it: the same over IMAP and on a bare store."""

import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from tests.crash.ledger import Act, Box, Copies, Flags, Ledger, Letter

FLAGS = ("\\Seen", "\\Flagged", "\\Answered", "\\Draft", "$Forwarded", "$Blue")
DELETED = "\\Deleted"
MAX_OWN_BOXES = 3
PLENTY = 60
"""Letters beyond which one begins to tidy up."""


class RefusedError(Exception):
    """The server answered no: nothing has happened."""


class LostError(Exception):
    """No answer came: anything may have happened."""


class Mail(Protocol):
    """One account's mailboxes. Every method raises RefusedError or LostError."""

    atomic: bool
    """Are flags of several messages changed together or not at all?"""

    async def append(self, box: Box, octets: bytes, flags: Flags) -> int: ...
    async def change_flags(self, box: Box, uids: Sequence[int], flags: Flags, *, add: bool) -> None: ...
    async def copy(self, box: Box, uids: Sequence[int], to: Box, *, move: bool) -> dict[int, int]: ...
    async def expunge(self, box: Box, uids: Sequence[int]) -> None: ...
    async def create(self, account: str, name: str) -> None: ...
    async def delete(self, box: Box) -> None: ...
    async def rename(self, box: Box, name: str) -> None: ...


class Person:
    """Owns some letters and mailboxes, and does one thing at a time. `step` raises LostError only."""

    def __init__(
        self, ledger: Ledger, account: str, number: int, chance: random.Random, size: Callable[[], int]
    ) -> None:
        self.ledger = ledger
        self.account = account
        self.number = number
        self.chance = chance
        self.size = size
        self.boxes = [ledger.box(account, name) for name in ("INBOX", "Sent", "Archive")]

    async def step(self, mail: Mail, *, quiet: bool = False) -> None:
        """One thing. `quiet`: nothing that brings new octets."""
        does: list[tuple[int, Callable[[Mail], Awaitable[None]]]] = [
            (0 if quiet else 6, self._append),
            (4, self._flag),
            (3, self._move),
            (2, self._copy),
            (3 if len(self.ledger.letters_of(self.number)) < PLENTY else 15, self._expunge),
            (1, self._mailboxes),
        ]
        (what,) = self.chance.choices([what for _, what in does], [weight for weight, _ in does])
        await what(mail)

    # -- choosing ------------------------------------------------------------------------------------------------------

    def _own_boxes(self) -> list[Box]:
        mine = f"p{self.number}-"
        return [b for b in self.ledger.boxes.values() if b.account == self.account and b.name.startswith(mine)]

    def _any_box(self) -> Box:
        return self.chance.choice([box for box in (*self.boxes, *self._own_boxes()) if not box.doubtful])

    def _some(self, most: int) -> tuple[Box, dict[int, Letter]] | None:
        """A few of our letters that lie in one mailbox."""
        lying: dict[Box, dict[int, Letter]] = {}
        for letter in self.ledger.letters_of(self.number):
            if not letter.doubtful:
                for box, uid in letter.copies:
                    if uid and not box.doubtful and box.account == self.account:
                        lying.setdefault(box, {})[uid] = letter
        if not lying:
            return None
        box = self.chance.choice(list(lying))
        uids = self.chance.sample(sorted(lying[box]), min(self.chance.randint(1, most), len(lying[box])))
        # A letter may lie twice in a mailbox; one copy of it at a time keeps "before" and "after" simple.
        by_letter = {lying[box][uid]: uid for uid in uids}
        return box, {uid: letter for letter, uid in by_letter.items()}

    # -- doing ---------------------------------------------------------------------------------------------------------

    async def _append(self, mail: Mail) -> None:
        box = self._any_box()
        flags = frozenset(self.chance.sample(FLAGS, self.chance.randint(0, 2)))
        letter, octets = self.ledger.write_letter(self.account, self.number, self.size())
        operation = self.ledger.begin(f"append to {box}", {letter: {(box, 0): flags}})
        try:
            uid = await mail.append(box, octets, flags)
        except RefusedError as error:
            self.ledger.not_done(operation, str(error))
        else:
            self.ledger.done(operation, {letter: {(box, uid): flags}})

    async def _flag(self, mail: Mail) -> None:
        if (some := self._some(8)) is None:
            return
        flags = frozenset(self.chance.sample(FLAGS, self.chance.randint(1, 2)))
        await self._change(mail, *some, flags, add=self.chance.random() < 0.7)

    async def _change(self, mail: Mail, box: Box, some: dict[int, Letter], flags: Flags, *, add: bool) -> bool:
        after: dict[Letter, Copies] = {}
        for uid, letter in some.items():
            had = letter.copies[box, uid]
            after[letter] = letter.copies | {(box, uid): had | flags if add else had - flags}
        operation = self.ledger.begin(
            f"flags {'+' if add else '-'}{sorted(flags)} on {sorted(some)} in {box}", after, atomic=mail.atomic
        )
        try:
            await mail.change_flags(box, sorted(some), flags, add=add)
        except RefusedError as error:
            self.ledger.not_done(operation, str(error))
            return False
        self.ledger.done(operation, soft=True)
        return True

    async def _move(self, mail: Mail) -> None:
        await self._carry(mail, move=True)

    async def _copy(self, mail: Mail) -> None:
        await self._carry(mail, move=False)

    async def _carry(self, mail: Mail, *, move: bool) -> None:
        if (some := self._some(6)) is None:
            return
        box, letters = some
        to = self._any_box()
        if to is box:
            return

        def after(told: dict[int, int]) -> dict[Letter, Copies]:
            result: dict[Letter, Copies] = {}
            for uid, letter in letters.items():
                kept = {place: flags for place, flags in letter.copies.items() if not move or place != (box, uid)}
                result[letter] = kept | {(to, told.get(uid, 0)): letter.copies[box, uid]}
            return result

        operation = self.ledger.begin(f"{'move' if move else 'copy'} {sorted(letters)} from {box} to {to}", after({}))
        try:
            told = await mail.copy(box, sorted(letters), to, move=move)
        except RefusedError as error:
            self.ledger.not_done(operation, str(error))
            return
        assert told.keys() == letters.keys(), f"{operation.what}: told {told}"
        self.ledger.done(operation, after(told))

    async def _expunge(self, mail: Mail) -> None:
        if (some := self._some(12)) is None:
            return
        box, letters = some
        if not await self._change(mail, box, letters, frozenset([DELETED]), add=True):
            return
        after = {
            letter: {place: flags for place, flags in letter.copies.items() if place != (box, uid)}
            for uid, letter in letters.items()
        }
        operation = self.ledger.begin(f"expunge {sorted(letters)} from {box}", after)
        try:
            await mail.expunge(box, sorted(letters))
        except RefusedError as error:
            self.ledger.not_done(operation, str(error))
        else:
            self.ledger.done(operation)

    async def _mailboxes(self, mail: Mail) -> None:
        own = self._own_boxes()
        names = {box.name for box in own} | {op.new_name or op.box.name for op in self.ledger.in_flight if op.box}
        free = [name for n in range(MAX_OWN_BOXES) if (name := f"p{self.number}-{n}") not in names]
        settled = [box for box in own if not box.doubtful and not self._disturbed(box)]
        if free and (not settled or self.chance.random() < 0.4):
            await self._act(mail, Act.CREATE, Box(self.account, self.chance.choice(free)), "")
        elif settled and free and self.chance.random() < 0.5:
            await self._act(mail, Act.RENAME, self.chance.choice(settled), self.chance.choice(free))
        elif settled:
            await self._act(mail, Act.DELETE, self.chance.choice(settled), "")

    def _disturbed(self, box: Box) -> bool:
        """An unanswered operation may have put something there."""
        return any(where is box for op in self.ledger.in_flight for c in op.after.values() for where, _ in c) or any(
            letter.doubtful and where is box for letter in self.ledger.letters.values() for where, _ in letter.copies
        )

    async def _act(self, mail: Mail, act: Act, box: Box, new_name: str) -> None:
        after: dict[Letter, Copies] = {}
        if act is Act.DELETE:
            for letter in self.ledger.letters.values():
                kept = {place: flags for place, flags in letter.copies.items() if place[0] is not box}
                if len(kept) != len(letter.copies):
                    after[letter] = kept
        operation = self.ledger.begin(f"{act.value} {box} {new_name}", after, act=act, box=box, new_name=new_name)
        try:
            match act:
                case Act.CREATE:
                    await mail.create(self.account, box.name)
                case Act.DELETE:
                    await mail.delete(box)
                case Act.RENAME:
                    await mail.rename(box, new_name)
        except RefusedError as error:
            self.ledger.not_done(operation, str(error))
        else:
            self.ledger.done(operation)
