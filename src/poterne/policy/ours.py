"""What of a message bears a name of ours: its author's domain, a look-alike of one, or the name that is shown for its author.

Made once for the served domains and the settings, and again when either changes.
"""

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from poterne.policy.confusables import shape
from poterne.policy.domains import covering
from poterne.policy.evidence import Rules
from poterne.policy.lookalike import Lookalike, Lookalikes
from poterne.values.address import AddressError, domain_name

_NAME_MOST: Final = 4096
"""Octets of a name that are looked at: all that a From field can hold."""
_SHOWN_MOST: Final = 8192
"""Characters of it as readers see it: one octet can stand for six of them."""
_ADDRESS: Final = re.compile(r"[^\s<>()\[\],;:\"'«»“”\u2018\u2019]{1,64}@([^\s<>()\[\],;:\"'«»“”\u2018\u2019@]{3,255})")
_AT: Final = r"[(\[{<_*-][ _]{0,2}(?:at|arobase)[ _]{0,2}[)\]}>_*-]"
_SPELLED: Final = re.compile(rf" {{0,2}}(?:@|{_AT}) {{0,2}}", re.IGNORECASE)
"""What stands for an @: "boss (at) ours.fr", "boss_at_ours.fr". Not a bare "at", with which honest sentences are written."""
_SPELLED_DOT: Final = re.compile(
    r" {0,2}[(\[{<_][ _]{0,2}(?:dot|point)[ _]{0,2}[)\]}>_] {0,2}| {1,2}\. {0,2}", re.IGNORECASE
)
_HINT: Final = re.compile(_AT, re.IGNORECASE)
_HINT_OCTETS: Final = re.compile(_AT.encode(), re.IGNORECASE)
_APART: Final = re.compile(r"(?<![^\s.@])(\w) (?=\w(?![^\s.@]))")
"""A letter and the space before the next one: "b o s s @ o u r s . f r"."""
_OVERRIDE: Final = "\u202e"
"""RIGHT-TO-LEFT OVERRIDE: readers see what follows from its end to its beginning, as far as POP DIRECTIONAL FORMATTING."""
_TURNED: Final = re.compile(_OVERRIDE + "([^\u202c]*)")
_MARKS: Final = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Between these, runs of letters may be shown in the opposite order."""
_RUN: Final = re.compile(r"\w+(?:\W+\w+)*|\W+")
_WORD: Final = re.compile(r"[^\W\d_]+")
_KEPT: Final = 4096
"""Domains of strangers that were looked at lately."""
_LABELS_MOST: Final = 8
_MORE_WORDS_MOST: Final = 2
"""That may stand beside a protected name: a title, a department."""


class Ours:
    """Answers for one set of served domains. Each answer takes microseconds."""

    def __init__(self, served: Iterable[str], rules: Rules) -> None:
        """`served`: lower-case A-labels."""
        self._served = frozenset(served)
        self._shapes = {shape(_readable(domain)): domain for domain in self._served}
        self._neighbours = rules.neighbours
        self._lookalike = lru_cache(maxsize=_KEPT)(Lookalikes(self._served).find)
        self._people = tuple(
            (frozenset(_words(name)), name) for name in rules.settings.protected_names if len(_words(name)) > 1
        )

    def own(self, domain: str) -> str:
        """The served domain that this one is, or is below; "" for strangers, and for neighbours that the settings name."""
        own = covering(domain, self._served)
        if not own or own == domain:
            return own
        neighbour = covering(domain, self._neighbours)
        return "" if len(neighbour) > len(own) else own

    def lookalike(self, domain: str) -> Lookalike | None:
        """What of ours a stranger's domain looks like; None for our own and for neighbours that the settings name."""
        if covering(domain, self._served) or covering(domain, self._neighbours):
            return None
        return self._lookalike(domain)

    def nothing_displayed(self, field: bytes, addresses: int) -> bool:
        """A From field's value with so many addresses shows nothing of ours beside them, as can be seen without reading it."""
        return (
            not self._people
            and b"=?" not in field
            and field.isascii()
            and field.count(b"@") <= addresses
            and _HINT_OCTETS.search(field) is None
        )

    def impersonated(self, name: str) -> str:
        """What of ours a stranger's decoded name shows: an address, or a protected name; "" nothing. In linear time."""
        name = name[:_NAME_MOST]
        if not name.isascii():
            name = name.encode("utf-8", "replace")[:_NAME_MOST].decode("utf-8", "ignore")
        if not (self._people or "@" in name or not name.isascii() or _HINT.search(name)):
            return ""
        if found := self._bears(_visible(name)):
            return found
        if _OVERRIDE in name and (found := self._bears(_visible(_TURNED.sub(lambda run: run[1][::-1], name)))):
            return found
        if name.isascii() or _MARKS.search(name) is None:
            return ""
        runs = [run for part in _MARKS.split(name) for run in _RUN.findall(part)]
        return self._bears(_visible("".join(reversed(runs))))

    def _bears(self, shown: str) -> str:
        written = _SPELLED.sub("@", _SPELLED_DOT.sub(".", _APART.sub(r"\1", shown)))
        for text in (shown, written) if written != shown else (shown,):
            for found in _ADDRESS.finditer(text):
                if self._serves(found[1]) or self._looks_served(found[1]):
                    return found[0][:250]
        words = frozenset(_shapes(shown)) if self._people else frozenset()
        for person, protected in self._people:
            if person <= words and len(words) <= len(person) + _MORE_WORDS_MOST:
                return protected
        return ""

    def _looks_served(self, text: str) -> bool:
        """Other alphabets' letters, or digits, in the place of ours; under the name or one below it."""
        labels = shape(text.strip(".-").casefold()).split(".")
        if not any(
            ".".join(labels[at:]) in self._shapes for at in range(max(0, len(labels) - _LABELS_MOST), len(labels))
        ):
            return False
        try:
            return not covering(domain_name(text.strip(".-").lower()), self._neighbours)
        except AddressError:
            return True

    def _serves(self, text: str) -> bool:
        try:
            return bool(self.own(domain_name(text.strip(".-").lower())))
        except AddressError:
            return False


def _visible(name: str) -> str:
    """As a reader sees it: without what can't be seen, wide letters and signs as narrow ones."""
    wide = unicodedata.normalize("NFKC", name)[:_SHOWN_MOST]
    return "".join(char for char in wide if unicodedata.category(char) != "Cf")


def _readable(domain: str) -> str:
    """With U-labels, as a reader sees it."""
    labels = []
    for label in domain.split("."):
        try:
            labels.append(label[4:].encode("ascii").decode("punycode") if label.startswith("xn--") else label)
        except (ValueError, OverflowError):
            labels.append(label)
    return ".".join(labels)


def _words(name: str) -> list[str]:
    return _shapes(_visible(name))


def _shapes(shown: str) -> list[str]:
    """Words by their shape, so that accents and other alphabets' letters are no way around."""
    return [shape(word) for word in _WORD.findall(shown.casefold())]
