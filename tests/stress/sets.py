"""Which messages a command is about: the text of the set, and what the client means by it."""

from collections.abc import Iterable
from dataclasses import dataclass
from random import Random

from tests.stress.client import Client
from tests.stress.picture import UNKNOWN, Picture


@dataclass(frozen=True, slots=True)
class Pick:
    """`meant` are UIDs (UNKNOWN among them, if the client does not know all), ascending."""

    text: bytes
    uid: bool
    meant: list[int]

    @property
    def verb(self) -> bytes:
        return b"UID " if self.uid else b""


def pick(client: Client, picture: Picture, *, uid: bool | None = None) -> Pick | None:
    """None: there is nothing to pick from."""
    dice = client.dice
    count = len(picture.uids)
    by_uid = client.by_uid() if uid is None else uid
    if not count:
        return None
    if client.saved and dice.random() < 0.3:
        counted = set(picture.uids)
        return Pick(b"$", by_uid, [each for each in client.saved if each in counted])
    if by_uid:
        return _by_uid(dice, picture)
    positions = _some(dice, count)
    text = _text(dice, [position + 1 for position in positions], count)
    return Pick(text, False, [picture.uids[position] for position in positions])


def _some(dice: Random, count: int) -> list[int]:
    """Positions: one, a run, a few, or all."""
    kind = dice.random()
    if kind < 0.35:
        return [dice.randrange(count)]
    if kind < 0.6:
        first = dice.randrange(count)
        return list(range(first, min(count, first + dice.randint(1, 6))))
    if kind < 0.9:
        return sorted(dice.sample(range(count), min(count, dice.randint(1, 5))))
    return list(range(count))


def _text(dice: Random, numbers: list[int], last: int) -> bytes:
    """Ascending numbers as a set: sometimes with "*", backwards, or out of order."""
    parts: list[bytes] = []
    for first, stop in runs(numbers):
        low = b"%d" % first
        high = b"*" if stop == last and dice.random() < 0.3 else b"%d" % stop
        if first == stop and dice.random() < 0.8:
            parts.append(high if first == last else low)
        else:
            parts.append(low + b":" + high if dice.random() < 0.8 else high + b":" + low)
    if dice.random() < 0.2:
        dice.shuffle(parts)
    return b",".join(parts)


def _by_uid(dice: Random, picture: Picture) -> Pick:
    count = len(picture.uids)
    if UNKNOWN in picture.uids or dice.random() < 0.1:
        return Pick(b"1:*", True, list(picture.uids))
    positions = _some(dice, count)
    uids = [picture.uids[position] for position in positions]
    parts = []
    for first, stop in runs(positions):  # from one to the other, with those between that are gone
        low, high = picture.uids[first], picture.uids[stop]
        parts.append(b"%d" % low if first == stop else b"%d:%d" % (low, high))
    if dice.random() < 0.2:
        gone = dice.randint(1, max(picture.uids))
        if gone not in set(picture.uids):
            parts.append(b"%d" % gone)
    return Pick(b",".join(parts), True, uids)


def runs(numbers: Iterable[int]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for number in numbers:
        if found and found[-1][1] == number - 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return found
