"""What a command must have done to the store: exactly that, and nothing else."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from tests.stress.ledger import DifferenceError
from tests.stress.picture import Doing
from tests.stress.truth import Box

Flags = frozenset[bytes]
Boxes = dict[int, Box]
"""By UIDVALIDITY."""


def by_validity(found: dict[str, Box]) -> Boxes:
    return {box.uid_validity: box for box in found.values()}


@dataclass(slots=True)
class Change:
    """Of one mailbox."""

    flags: dict[int, Flags] = field(default_factory=dict)
    removed: set[int] = field(default_factory=set)
    added: list[tuple[int, Flags]] = field(default_factory=list)
    """Letters and their flags, in the order of their new UIDs."""


@dataclass(slots=True)
class Effect:
    """Of one command. `then` are asked with what is there afterwards."""

    changes: dict[int, Change] = field(default_factory=dict)
    names: dict[int, str | None] = field(default_factory=dict)
    """Mailboxes with another name than before; None: deleted."""
    made: set[str] = field(default_factory=set)
    then: list[Callable[[Boxes], None]] = field(default_factory=list)

    def on(self, box: int) -> Change:
        return self.changes.setdefault(box, Change())


def verify(before: Boxes, effect: Effect, after: Boxes) -> None:
    names = {validity: effect.names.get(validity, box.name) for validity, box in before.items()}
    expected = {name for name in names.values() if name is not None} | effect.made
    if expected != {box.name for box in after.values()}:
        raise DifferenceError(f"mailboxes {sorted(box.name for box in after.values())}, expected {sorted(expected)}")
    for validity, box in before.items():
        name = names[validity]
        if name is None:
            if validity in after:
                raise DifferenceError(f"{box.name} is still there")
        elif validity not in after or after[validity].name != name:
            raise DifferenceError(f"{box.name} should be {name}")
        else:
            _verify_box(box, effect.changes.get(validity, Change()), after[validity])
    for check in effect.then:
        check(after)


def _verify_box(before: Box, change: Change, after: Box) -> None:
    what = f"{after.name} (UIDVALIDITY {after.uid_validity})"
    placed = range(before.uid_next, before.uid_next + len(change.added))
    uids = [uid for uid in before.messages if uid not in change.removed] + list(placed)
    if after.uids != uids:
        raise DifferenceError(f"{what} has UIDs {after.uids}, expected {uids}")
    if after.uid_next != before.uid_next + len(change.added):
        raise DifferenceError(f"{what}: UIDNEXT {after.uid_next}")
    for uid, (number, flags) in zip(placed, change.added, strict=True):
        new = after.messages[uid]
        if (new.number, new.flags) != (number, flags):
            raise DifferenceError(f"{what}: {new}, expected letter {number} with {sorted(flags)}")
        if new.modseq <= before.highest:
            raise DifferenceError(
                f"{what}: modseq of the new UID {uid} is {new.modseq}, there was {before.highest} before"
            )
    changed = bool(change.added or change.removed)
    for uid in uids[: len(uids) - len(placed)]:
        old, new = before.messages[uid], after.messages[uid]
        expected = change.flags.get(uid, old.flags)
        if new.flags != expected or new.number != old.number:
            raise DifferenceError(f"{what}: {new}, expected flags {sorted(expected)}, before: {old}")
        if expected != old.flags:
            changed = True
            if new.modseq <= before.highest:
                raise DifferenceError(
                    f"{what}: UID {uid} changed with modseq {new.modseq}, there was {before.highest} before"
                )
        elif new.modseq != old.modseq and (uid not in change.flags or new.modseq <= before.highest):
            raise DifferenceError(f"{what}: UID {uid} is as before, with another modseq: {old} {new}")
    highest = max((message.modseq for message in after.messages.values()), default=0)
    if after.highest < max(highest, before.highest + changed):
        raise DifferenceError(f"{what}: HIGHESTMODSEQ {after.highest}, before {before.highest}, of a message {highest}")


def same(what: str, found: object, expected: object) -> None:
    if found != expected:
        raise DifferenceError(f"{what}: {found}, expected {expected}")


def among(uids: Iterable[int], box: Box) -> list[int]:
    """Those that are still there, ascending."""
    return sorted(uid for uid in set(uids) if uid in box.messages)


def excuse(doing: Doing) -> None:
    """Where others may act in between: it may fail, but only because something is gone."""
    if doing.status != b"OK" and not {b"EXPUNGEISSUED", b"NONEXISTENT", b"TRYCREATE"} & doing.codes.keys():
        raise DifferenceError(f"{doing.status!r} {doing.codes} for {doing.text!r}")
