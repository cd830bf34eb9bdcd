"""The DNS Tree Walk (RFC 9989 §4.10): which names it asks, and whose Organizational Domain its answers make.

Theory of operation. A walk asks `_dmarc.` at the domain and at each name above it, 8 at most: of a longer domain, the names
between it and the one of 7 labels are left out. It would stop at a record that says psd=y or psd=n. As all its names are
known from the start, they are asked for at once, which costs one turn instead of eight; what stands above the place where it
would have stopped is never looked at. Answers are kept by name in a `Tree`, so that the walks of one message share them.
"""

import re
from collections.abc import Iterable, Mapping
from enum import Enum
from functools import lru_cache
from typing import Final

from poterne.mailauth.dmarc import record
from poterne.mailauth.dmarc.record import Psd, Record
from poterne.mailauth.spf.check import Question
from poterne.values.address import AddressError, domain_name
from poterne.values.dns import TXT, Answer, Found, TempFail

QUERIES_MOST: Final = 8
PREFIX: Final = "_dmarc."
_NAME_MOST: Final = 253
_LABEL_MOST: Final = 63
_KEPT: Final = 2048
"""Names that were looked at lately."""
_PLAIN: Final = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*")


class Missing(Enum):
    """There is no record to be used at a name."""

    NONE = "none"
    SEVERAL = "several"
    """Each of them counts as none."""
    UNKNOWN = "unknown"
    """It could not be found out."""


Entry = Record | Missing
Tree = Mapping[str, Entry]
"""What is at `_dmarc.` of a name."""


@lru_cache(maxsize=_KEPT)
def read_domain(text: str) -> str | None:
    """A domain as A-labels in lower case; one dot at its end is left out. None: DNS can't hold it, or it is an IP address."""
    name = text.removesuffix(".").lower()
    if not name.isascii():
        try:
            name = domain_name(name)
        except AddressError:
            return None
    if len(name) > _NAME_MOST or _PLAIN.fullmatch(name) is None or name.rpartition(".")[2].isdigit():
        return None
    return name if len(name) <= _LABEL_MOST or max(map(len, name.split("."))) <= _LABEL_MOST else None


@lru_cache(maxsize=_KEPT)
def names(domain: str) -> tuple[str, ...]:
    """Those that the walk from a domain looks at, in its order."""
    labels = domain.split(".")
    count = len(labels)
    return domain, *(".".join(labels[at:]) for at in range(max(1, count - QUERIES_MOST + 1), count))


@lru_cache(maxsize=_KEPT)
def question(name: str) -> Question:
    return Question(PREFIX + name, TXT)


def entry(answer: Answer[object]) -> Entry:
    """What an answer to `question` says."""
    if isinstance(answer, TempFail):
        return Missing.UNKNOWN
    if not isinstance(answer, Found):
        return Missing.NONE
    texts = record.select(text for text in answer.records if isinstance(text, bytes))
    if len(texts) != 1:
        return Missing.SEVERAL if texts else Missing.NONE
    return record.read(texts[0]) or Missing.NONE


def organisational(domain: str, tree: Tree) -> str | None:
    """The Organizational Domain of a domain whose `names` are all in the tree. None: an answer that matters could not be had."""
    highest = domain
    for name in names(domain):
        found = tree[name]
        if found is Missing.UNKNOWN:
            return None
        if not isinstance(found, Record):
            continue
        if found.psd is Psd.NO:
            return name
        if found.psd is Psd.YES:
            return _one_below(name, domain)
        highest = name
    return highest


def public_suffix(domain: str, tree: Tree) -> str:
    """Where the walk of a domain without record of its own ends, for a record with psd=y; empty: nowhere."""
    for name in names(domain):
        found = tree[name]
        if isinstance(found, Record) and found.psd is not Psd.UNKNOWN:
            return name if found.psd is Psd.YES else ""
    return ""


def within(name: str, domain: str) -> bool:
    """The name is the domain or below it."""
    return name == domain or name.endswith("." + domain)


def missing(domains: Iterable[str], tree: Tree) -> tuple[str, ...]:
    """Names that the walks from these domains look at and that are not in the tree, each once."""
    return tuple(dict.fromkeys(name for each in domains for name in names(each) if name not in tree))


def _one_below(above: str, domain: str) -> str:
    """The domain itself, when that is where the walk started: a suffix is its own Organizational Domain."""
    if domain == above:
        return domain
    return f"{domain[: -len(above) - 1].rpartition('.')[2]}.{above}"
