"""Writes our Authentication-Results field (RFC 8601).

Theory of operation. What strangers wrote comes into this field: names, selectors, local parts, terms of records. Whoever reads it
later may read it badly, may look for `dmarc=pass` with a search, so quoting is not enough: of a stranger's text only octets pass
that separate nothing (`_LOOSE` for reasons, `_NAME` for names), all others become `?`, or the property is left out. So the field
is ASCII, and each `=` and `;` in it is ours.

The field is bounded by leaving out what helps to understand a verdict, then signatures beyond the most telling ones, and in the
end the names, but never a verdict.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Final

from poterne.mailauth.arc.outcome import Outcome as ArcOutcome
from poterne.mailauth.arc.outcome import Result as ArcResult
from poterne.mailauth.dkim.outcome import Outcome as DkimOutcome
from poterne.mailauth.dkim.outcome import Result as DkimResult
from poterne.mailauth.dmarc.outcome import Outcome as DmarcOutcome
from poterne.mailauth.dmarc.outcome import Result as DmarcResult
from poterne.mailauth.spf.outcome import Outcome as SpfOutcome

NAME: Final = b"authentication-results"
LINE_MOST: Final = 78
"""RFC 5322 §2.1.1. A single name may be longer."""
REASON_MOST: Final = 120
_NAME: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9_])?")
_IDENTITY: Final = re.compile(r"([A-Za-z0-9._+-]{0,64})@([A-Za-z0-9_](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9_])?)")
_SIGNATURE: Final = re.compile(r"[A-Za-z0-9+/]{1,12}")
_ADDRESS: Final = re.compile(r"[0-9a-fA-F:.]{2,45}")
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9 ._:/@+,-]")
_TOKEN: Final = re.compile(r"[A-Za-z0-9._+-]+")


class IprevResult(Enum):
    """RFC 8601 §2.7.3."""

    PASS = "pass"  # noqa: S105  (the word of RFC 8601)
    FAIL = "fail"
    TEMPERROR = "temperror"
    PERMERROR = "permerror"


@dataclass(frozen=True, slots=True)
class Iprev:
    """Does a name of the client have its address? (RFC 8601 §3)"""

    result: IprevResult
    address: str
    name: str = ""
    """The one that has it."""


@dataclass(frozen=True, slots=True)
class Results:
    """What was looked at; None, or no outcome of SPF, is what was not. A message without signatures has `dkim` empty."""

    spf: Sequence[SpfOutcome] = ()
    """MAIL FROM, HELO."""
    dkim: Sequence[DkimOutcome] | None = None
    dmarc: DmarcOutcome | None = None
    arc: ArcOutcome | None = None
    iprev: Iprev | None = None


class _Detail(Enum):
    ALL = 3
    """With reasons."""
    NAMED = 2
    """All names."""
    TELLING = 1
    """Only the name that the verdict is about."""
    NONE = 0


Words = list[str]
"""A result: `method=result`, then its properties."""


def field(authserv_id: str, results: Results, *, most_bytes: int) -> bytes:
    """The whole field with its CRLF. Longer than `most_bytes` only where the bare verdicts are. Never raises.

    `authserv_id` is ours: a name that the server gave itself.
    """
    text = _text(authserv_id, _words(results, _Detail.ALL, None))
    if len(text) <= most_bytes:
        return text.encode("ascii")
    text = _text(authserv_id, _words(results, _Detail.NAMED, None))
    if len(text) <= most_bytes:
        return text.encode("ascii")
    for detail in (_Detail.TELLING, _Detail.NONE):
        for signatures in range(len(results.dkim or ()) or 1, 0, -1):
            text = _text(authserv_id, _words(results, detail, signatures))
            if len(text) <= most_bytes:
                return text.encode("ascii")
    return text.encode("ascii")


def _text(authserv_id: str, found: list[Words]) -> str:
    first = _first_line(authserv_id)
    if not found:
        return first + " none\r\n"
    lines = [first]
    for words in found:
        lines.extend(_lines(words))
        lines[-1] += ";"
    lines[-1] = lines[-1][:-1]
    return "\r\n\t".join(lines) + "\r\n"


@lru_cache(maxsize=1024)
def _is_name(text: str) -> bool:
    """It separates nothing. (Of names: 253 octets at most, or it is none.)"""
    return _NAME.fullmatch(text) is not None


@lru_cache(maxsize=64)
def _first_line(authserv_id: str) -> str:
    safe = authserv_id if _NAME.fullmatch(authserv_id) else _quoted(_UNSAFE.sub("?", authserv_id[:255]) or "unknown")
    return f"Authentication-Results: {safe};"


def _lines(words: Words) -> list[str]:
    """Folded, and with room for what separates it from the next."""
    line = " ".join(words)
    if len(line) < LINE_MOST - 2:
        return [line]
    lines = []
    line = words[0]
    for word in words[1:]:
        if len(line) + len(word) < LINE_MOST - 3:
            line = f"{line} {word}"
        else:
            lines.append(line)
            line = word
    lines.append(line)
    return lines


def _words(results: Results, detail: _Detail, signatures: int | None) -> list[Words]:
    found: list[Words] = []
    if results.iprev is not None:
        found.append(_iprev(results.iprev, detail))
    found.extend(_spf(one, detail) for one in results.spf)
    if results.dkim is not None:
        found.extend(_all_dkim(results.dkim, results.dmarc, detail, signatures))
    if results.dmarc is not None:
        found.append(_dmarc(results.dmarc, detail))
    if results.arc is not None:
        found.append(_arc(results.arc, detail))
    return found


def _all_dkim(
    outcomes: Sequence[DkimOutcome], verdict: DmarcOutcome | None, detail: _Detail, signatures: int | None
) -> list[Words]:
    if not outcomes:
        return [["dkim=none"]]
    if signatures is not None and signatures < len(outcomes):
        aligned = verdict.aligned_dkim if verdict is not None else ()
        telling = sorted(range(len(outcomes)), key=lambda at: _rank(outcomes[at], aligned))[:signatures]
        outcomes = [outcomes[at] for at in sorted(telling)]
    return [_dkim(one, detail) for one in outcomes]


def _rank(outcome: DkimOutcome, aligned: Sequence[str]) -> int:
    """What counted comes first; then what may count later."""
    if outcome.authenticates:
        return 0 if outcome.domain in aligned else 1
    return 2 if outcome.result is DkimResult.TEMPERROR else 3


def _iprev(iprev: Iprev, detail: _Detail) -> Words:
    words = [f"iprev={iprev.result.value}"]
    if detail is _Detail.NONE:
        return words
    if detail is _Detail.ALL and _NAME.fullmatch(iprev.name):
        words.append(f"({iprev.name})")
    if _ADDRESS.fullmatch(iprev.address):
        words.append(f"policy.iprev={_value(iprev.address)}")
    return words


def _spf(outcome: SpfOutcome, detail: _Detail) -> Words:
    words = [f"spf={outcome.result.value}"]
    if detail is _Detail.NONE:
        return words
    if detail is _Detail.ALL and (problem := outcome.problem):
        words.append(_reason(problem))
    if _is_name(outcome.domain):  # never the local part (RFC 8601 §2.7.2)
        words.append(f"{outcome.identity.property}={outcome.domain}")
    return words


def _dkim(outcome: DkimOutcome, detail: _Detail) -> Words:
    reason = outcome.reason.value
    result = outcome.result.value
    if outcome.testing and outcome.result is DkimResult.PASS:  # as good as unsigned: nobody is to take it for a pass
        result, reason = "policy", "testing"
    words = [f"dkim={result}"]
    if detail is _Detail.NONE:
        return words
    if detail is _Detail.ALL and result != "pass":
        words.append(f"reason={reason}")
    if _is_name(outcome.domain):
        words.append(f"header.d={outcome.domain}")
    if detail is not _Detail.TELLING:
        words.extend(_dkim_detail(outcome))
    return words


def _dkim_detail(outcome: DkimOutcome) -> Words:
    words = []
    if _is_name(outcome.selector):
        words.append(f"header.s={outcome.selector}")
    if outcome.algorithm:
        words.append(f"header.a={outcome.algorithm}")
    if _SIGNATURE.fullmatch(signature := outcome.header_b):  # RFC 6008
        words.append(f"header.b={_value(signature)}")
    if outcome.identity != "@" + outcome.domain and (identity := _IDENTITY.fullmatch(outcome.identity)):
        words.append(f"header.i={identity[0]}")
    return words


def _dmarc(outcome: DmarcOutcome, detail: _Detail) -> Words:
    words = [f"dmarc={outcome.result.value}"]
    if detail is _Detail.NONE:
        return words
    if detail is _Detail.ALL and outcome.result is not DmarcResult.PASS:
        words.append(f"reason={outcome.reason.value}")
    if _is_name(outcome.author_domain):
        words.append(f"header.from={outcome.author_domain}")
    if outcome.policy is not None:
        words.append(f"policy.dmarc={outcome.requested.value}")
    return words


def _arc(outcome: ArcOutcome, detail: _Detail) -> Words:
    words = [f"arc={outcome.result.value}"]
    if detail is _Detail.NONE:
        return words
    if detail is _Detail.ALL:
        if outcome.result is ArcResult.FAIL:
            words.append(f"reason={outcome.reason.value}")
        elif sealers := [name for name in outcome.sealers[-3:] if _NAME.fullmatch(name)]:
            words.append(f"(sealed by {', '.join(sealers)})")
    if outcome.oldest_pass is not None:
        words.append(f"header.oldest-pass={outcome.oldest_pass}")
    return words


def _reason(text: str) -> str:
    return "reason=" + _quoted(" ".join(_UNSAFE.sub("?", text[:REASON_MOST]).split()))


def _value(text: str) -> str:
    """A token as it is; else quoted (RFC 8601 §2.2)."""
    return text if _TOKEN.fullmatch(text) else _quoted(text)


def _quoted(text: str) -> str:
    """Of text without quotes and backslashes."""
    return f'"{text}"'
