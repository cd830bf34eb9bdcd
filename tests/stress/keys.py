"""Search keys at random, each with what it means: evaluated here, on the truth, it must give what the server gives."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from tests.stress.letters import body, facts
from tests.stress.truth import Message

Match = Callable[[Message], bool]
_FLAGS = {b"SEEN": b"\\Seen", b"ANSWERED": b"\\Answered", b"FLAGGED": b"\\Flagged", b"DELETED": b"\\Deleted"}


@dataclass(frozen=True, slots=True)
class Key:
    text: bytes
    matches: Match
    numbered: bool = False
    """There are message numbers in it."""
    modseq: bool = False


def key(
    dice: Random, uids: list[int], modseq: int, saved: list[int] | None, depth: int = 2, *, numbers: bool = True
) -> Key:
    """`uids`: as the client counts them, all known. `numbers`: of messages there may be some in it. `modseq`: about where changes are. `saved`: what "$" is."""
    kind = dice.random()
    if depth and kind < 0.12:
        inner = key(dice, uids, modseq, saved, depth - 1, numbers=numbers)
        return Key(b"NOT " + inner.text, lambda m: not inner.matches(m), inner.numbered, inner.modseq)
    if depth and kind < 0.4:
        one, two = (key(dice, uids, modseq, saved, depth - 1, numbers=numbers) for _ in range(2))
        flags = one.numbered or two.numbered, one.modseq or two.modseq
        if kind < 0.24:
            return Key(b"OR %b %b" % (one.text, two.text), lambda m: one.matches(m) or two.matches(m), *flags)
        return Key(b"(%b %b)" % (one.text, two.text), lambda m: one.matches(m) and two.matches(m), *flags)
    return _simple(dice, uids, modseq, saved, numbers=numbers)


def _simple(dice: Random, uids: list[int], modseq: int, saved: list[int] | None, *, numbers: bool) -> Key:
    kind = dice.randrange(12)
    if kind == 0 and saved is not None:
        chosen = frozenset(saved)
        return Key(b"$", lambda m: m.uid in chosen)
    if kind == 1 and uids and numbers:
        first, last = sorted(dice.choices(range(len(uids)), k=2))
        meant = frozenset(uids[first : last + 1])
        return Key(b"%d:%d" % (first + 1, last + 1), lambda m: m.uid in meant, numbered=True)
    if kind == 2 and uids:
        low, high = sorted(dice.choices(uids, k=2))
        return Key(b"UID %d:%d" % (low, high), lambda m: low <= m.uid <= high)
    if kind == 3:
        least = max(1, modseq - dice.randint(0, 20))
        return Key(b"MODSEQ %d" % least, lambda m: m.modseq >= least, modseq=True)
    if kind == 4:
        word = dice.choice(["pomme", "noix", "figue", "ri", "oi"])
        return Key(b"BODY " + word.encode(), lambda m: word in body(m.number).decode())
    if kind == 5:
        part = dice.choice(["budget", "Cantine", "re:", "CONSEIL", "x"])
        return Key(b'SUBJECT "%b"' % part.encode(), lambda m: part.lower() in m.facts.subject.lower())
    if kind == 6:
        size = dice.randint(150, 700)
        return Key(b"LARGER %d" % size, lambda m: m.size > size)
    if kind == 7:
        author = dice.choice(["ada", "grace", "hedy", "mary"])
        return Key(b"FROM " + author.encode(), lambda m: m.facts.author == author)
    if kind == 8:
        day = facts(dice.randrange(500)).sent.date()
        text, matches = _sent(dice, day)
        return Key(b"%b %s" % (text, _date(day)), matches)
    if kind == 9:
        word_ = b"$Mine%d" % dice.randrange(4)
        return Key(b"KEYWORD " + word_, lambda m: word_ in m.flags)
    name, flag = dice.choice(list(_FLAGS.items()))
    if dice.random() < 0.5:
        return Key(name, lambda m: flag in m.flags)
    return Key(b"UN" + name, lambda m: flag not in m.flags)


def _sent(dice: Random, day: dt.date) -> tuple[bytes, Match]:
    return dice.choice(
        [
            (b"SENTBEFORE", lambda m: m.facts.sent.date() < day),
            (b"SENTSINCE", lambda m: m.facts.sent.date() >= day),
            (b"SENTON", lambda m: m.facts.sent.date() == day),
        ]
    )


def _date(day: dt.date) -> bytes:
    return f"{day:%d-%b-%Y}".encode()
