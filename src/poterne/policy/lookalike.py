"""Is a domain made to be taken for one of ours?

Theory of operation. What people read of a domain is its *name*: the label before the public suffix. There is no list of suffixes
here: the last label is one, and the last two when the second is a word that registries use (`co.uk`, `asso.fr`). Two domains of
one registration are never look-alikes of each other.

Strong kinds, on which something may be done:
- SHAPE: other characters of the same shape (`0` for `o`, `rn` for `m`, other alphabets), or accents that one of the two has not;
- HYPHEN: the same but for hyphens;
- TYPO: one letter more, less, other, or two changed about. Only names of five letters or more, under the same suffix, or of eight
  under any: shorter ones are neighbours by chance, and their first letter is not misread. Another
  digit, or a number at the end, makes it weak: `lycee1`, `lycee2`;
- EMBEDDED: our whole domain before somebody else's (`ours.fr.evil.com`, `ours-fr.com`, `oursfr.com`, `ours-fr.evil.com`).

Weak kinds, which are noted only: OTHER_SUFFIX (`ours.com`), PART (`ours-support.fr`), SIBLING (the numbers).

Everything of ours is prepared in tables, so that the time does not grow with how many domains are served: shapes by one look-up,
typing errors by the name with each of its letters left out (two names one step apart meet in such a table).
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final

from poterne.policy.confusables import shape

_TYPO_LEAST: Final = 5
_TYPO_LEAST_ANYWHERE: Final = 8
_SHAPE_LEAST: Final = 4
"""Shorter names collide by chance, unless characters outside ASCII are in them."""
_PART_LEAST: Final = 5
_WORDS_MOST: Final = 12
"""Labels, or words between hyphens, that are looked at."""
_NUMBER: Final = re.compile(r"[0-9]+")
_SECOND_LEVEL: Final = frozenset(
    {"ac", "asso", "co", "com", "ed", "edu", "gob", "gouv", "gov", "go", "gv", "ltd", "me", "mil", "ne", "net", "nhs", "nom",
     "or", "org", "plc", "prd", "presse", "sch", "tm", "web"}
)  # fmt: skip


_PROVIDERS: Final = frozenset(
    {"aliceadsl.fr", "aol.com", "bbox.fr", "bluewin.ch", "btinternet.com", "club-internet.fr", "comcast.net", "fastmail.com",
     "free.fr", "gmail.com", "gmx.ch", "gmx.com", "gmx.de", "gmx.fr", "googlemail.com", "hotmail.com", "hotmail.fr", "icloud.com",
     "laposte.net", "live.com", "live.fr", "mac.com", "mail.com", "mail.ru", "mailo.com", "me.com", "msn.com", "neuf.fr",
     "numericable.fr", "orange.fr", "outlook.com", "outlook.fr", "posteo.de", "posteo.net", "proton.me", "protonmail.com",
     "sfr.fr", "skynet.be", "t-online.de", "telenet.be", "tutanota.com", "videotron.ca", "wanadoo.fr", "web.de", "yahoo.co.uk",
     "yahoo.com", "yahoo.fr", "yandex.com", "yandex.ru", "ymail.com", "zoho.com"}
)  # fmt: skip
"""Where people have their private mailboxes: whoever is called almost like one of these still gets mail from there."""


class Kind(Enum):
    """The value is the stable word."""

    SHAPE = "shape"
    HYPHEN = "hyphen"
    TYPO = "typo"
    EMBEDDED = "embedded"
    OTHER_SUFFIX = "other-suffix"
    PART = "part"
    SIBLING = "sibling"

    @property
    def strong(self) -> bool:
        return self in _STRONG


_STRONG: Final = frozenset({Kind.SHAPE, Kind.HYPHEN, Kind.TYPO, Kind.EMBEDDED})


@dataclass(frozen=True, slots=True)
class Lookalike:
    """`of` is the served domain that it looks like."""

    of: str
    kind: Kind

    @property
    def strong(self) -> bool:
        """It is meant to deceive, as far as a name can tell. Else it is worth a note only."""
        return self.kind.strong


@dataclass(frozen=True, slots=True)
class _Name:
    """A domain, taken apart. All but `domain` as U-labels."""

    domain: str
    before: tuple[str, ...]
    """Every label before the suffix; the name is the last of them."""
    name: str
    suffix: str

    @property
    def registered(self) -> str:
        return f"{self.name}.{self.suffix}"


class Lookalikes:
    """The served domains, prepared. Cheap to ask, dear to make: once for each set of domains."""

    def __init__(self, served: Iterable[str]) -> None:
        """`served`: A-labels in lower case."""
        ours = [_taken_apart(domain) for domain in sorted(set(served)) if "." in domain]
        self._registered = frozenset(one.registered for one in ours)
        self._shapes: dict[str, _Name] = {}
        self._names: dict[str, _Name] = {}
        self._numbered: dict[str, _Name] = {}
        self._steps: dict[str, list[_Name]] = {}
        self._whole: dict[str, str] = {}
        """Domains with hyphens for dots, by their shape."""
        self._joined: dict[str, str] = {}
        lengths: set[int] = set()
        for one in ours:
            self._shapes.setdefault(_shape(one.name), one)
            self._names.setdefault(one.name, one)
            self._whole.setdefault(shape(_unicode(one.domain)).replace(".", "-"), one.domain)
            if len(one.name) >= _SHAPE_LEAST:
                self._numbered.setdefault(_unnumbered(one.name), one)
                self._joined.setdefault(shape(one.registered).replace(".", ""), one.domain)
            if len(one.name) >= _TYPO_LEAST:
                lengths.update(range(len(one.name) - 1, len(one.name) + 2))
                for step in _steps(one.name):
                    self._steps.setdefault(step, []).append(one)
        self._lengths = frozenset(lengths)
        self._runs = tuple(sorted({key.count("-") + 1 for key in self._whole}))

    def find(self, domain: str) -> Lookalike | None:
        """The strongest likeness, or None. `domain`: A-labels in lower case. Always returns; bounded by a domain's 255 octets."""
        other = _taken_apart(domain)
        if not other.suffix or other.registered in self._registered or other.registered in _PROVIDERS:
            return None
        return self._embedded(other) or self._same(other) or self._typo(other) or self._part(other)

    def _embedded(self, other: _Name) -> Lookalike | None:
        ours = self._run(other.before) if len(other.before) > 1 else None
        for label in other.before[-_WORDS_MOST:]:
            ours = ours or self._joined.get(shape(label))
            if ours is None and "-" in label:
                ours = self._run(tuple(label.split("-")))
        return None if ours is None else Lookalike(ours, Kind.EMBEDDED)

    def _run(self, words: tuple[str, ...]) -> str | None:
        """The domain of ours that stands in these words as it is, one word for each label."""
        shapes = [shape(word) for word in words[:_WORDS_MOST]]
        for length in self._runs:
            for start in range(len(shapes) - length + 1):
                found = self._whole.get("-".join(shapes[start : start + length]))
                if found is not None:
                    return found
        return None

    def _same(self, other: _Name) -> Lookalike | None:
        """The same name in another form, or under another suffix."""
        same = self._names.get(other.name)
        if same is not None:
            return Lookalike(same.domain, Kind.OTHER_SUFFIX)
        sibling = self._numbered.get(_unnumbered(other.name))
        if sibling is not None:
            return Lookalike(sibling.domain, Kind.SIBLING)
        alike = self._shapes.get(_shape(other.name))
        if alike is None:
            return None
        if other.name.replace("-", "") == alike.name.replace("-", ""):
            kind, least = Kind.HYPHEN, _TYPO_LEAST
        else:
            kind, least = Kind.SHAPE, _SHAPE_LEAST if other.name.isascii() and alike.name.isascii() else 1
        return Lookalike(alike.domain, kind) if len(alike.name) >= least else None

    def _typo(self, other: _Name) -> Lookalike | None:
        if len(other.name) not in self._lengths:
            return None
        for step in _steps(other.name):
            for one in self._steps.get(step, ()):
                if _mistaken(one, other):
                    return Lookalike(one.domain, Kind.TYPO)
        return None

    def _part(self, other: _Name) -> Lookalike | None:
        if "-" not in other.name:
            return None
        for word in other.name.split("-"):
            one = self._names.get(word)
            if one is not None and len(word) >= _PART_LEAST:
                return Lookalike(one.domain, Kind.PART)
        return None


def _taken_apart(domain: str) -> _Name:
    labels = _unicode(domain).split(".")
    short = len(labels) > 2 and labels[-2] in _SECOND_LEVEL and len(labels[-1]) == 2
    before = tuple(labels[: -2 if short else -1])
    return _Name(domain, before, before[-1] if before else "", ".".join(labels[len(before) :]))


def _unicode(domain: str) -> str:
    """With U-labels; a label that can't be decoded stays as it is."""
    if "xn--" not in domain:
        return domain
    return ".".join(map(_u_label, domain.split(".")))


def _u_label(label: str) -> str:
    if not label.startswith("xn--"):
        return label
    try:
        return unicodedata.normalize("NFC", label[4:].encode("ascii").decode("punycode")).lower()
    except (ValueError, OverflowError):
        return label


def _shape(name: str) -> str:
    return shape(name).replace("-", "")


def _unnumbered(name: str) -> str:
    """Without the number at its end, and with any number of the same length for one within; as it is when it has none."""
    return _NUMBER.sub("#", name.rstrip("0123456789").rstrip("-") or name)


def _steps(name: str) -> Iterator[str]:
    """The name, and the name with each of its letters left out."""
    yield name
    for at in range(len(name)):
        yield name[:at] + name[at + 1 :]


def _mistaken(one: _Name, other: _Name) -> bool:
    if len(one.name) < _TYPO_LEAST_ANYWHERE:
        first = len(one.name) == len(other.name) and one.name[0] != other.name[0] and one.name[1:] == other.name[1:]
        if first or one.suffix != other.suffix:
            return False
    return _one_step(one.name, other.name)


def _one_step(one: str, other: str) -> bool:
    """One letter more, less or other, or two neighbours changed about."""
    if len(one) > len(other):
        one, other = other, one
    at = 0
    while at < len(one) and one[at] == other[at]:
        at += 1
    if len(one) < len(other):
        return len(other) - len(one) == 1 and one[at:] == other[at + 1 :]
    rest = at + 1
    return one[rest:] == other[rest:] or (
        one[rest + 1 :] == other[rest + 1 :] and one[at : rest + 1] == other[at : rest + 1][::-1]
    )
