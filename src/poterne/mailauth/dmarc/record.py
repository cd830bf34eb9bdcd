"""A record (RFC 9989 §4.7, §4.8): what it says, and what is wrong with it.

Only the version is strict: a text that does not begin with exactly `v=DMARC1` is no record. Behind it, what can't be read is
passed over, and so are tags nobody knows and those that RFC 9989 took out (pct, rf, ri). Choices where the RFC leaves one:

- Names of tags and the words of their values are compared without case, as its grammar has them.
- A tag that stands twice with different values counts as one with a value that can't be read: RFC 6376 §3.2 would throw the whole
  list away, and so a stray `p=none` before the `p=reject`, or behind it, never decides.
- A record without p= and with a valid rua= has p=none, and keeps its sp= and np=. One with a p=, sp= or np= that is none has
  p=none and nothing else. Without a valid rua= neither can be used (§4.10.1).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Final
from urllib.parse import unquote_to_bytes

from poterne.mailauth.dmarc.outcome import Policy
from poterne.values.address import Address, AddressError
from poterne.values.dmarc import PublishedPolicy

RECORD_BYTES_MOST: Final = 8192
TAGS_MOST: Final = 64
URIS_MOST: Final = 10
TEXT_MOST: Final = 512
_SMALL_BYTES: Final = 1024
_KEPT: Final = 2048

_VERSION: Final = re.compile(rb"[vV][ \t]*=[ \t]*DMARC1[ \t]*(?:;|\Z)")
_ALMOST: Final = re.compile(rb"[ \t]*v[ \t]*=[ \t]*dmarc", re.IGNORECASE)
_TAG: Final = re.compile(r"([A-Za-z]+)[ \t]*=[ \t]*([ -~]*)")
_UNPRINTABLE: Final = re.compile(r"[^ -~]")
_URI: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):([!-~]+)")
_SIZE: Final = re.compile(r"![0-9]+[kmgtKMGT]?")
_PCT: Final = re.compile(r"[0-9]{1,2}|100")
_FO: Final = frozenset("01ds")
_POLICIES: Final = {policy.value: policy for policy in Policy}
_WORDS: Final = {"adkim": ("r", "s"), "aspf": ("r", "s"), "t": ("y", "n"), "psd": ("y", "n", "u")}
_KNOWN: Final = frozenset(("v", "p", "sp", "np", "rua", "ruf", "fo", *_WORDS))
_REMOVED: Final = frozenset(("pct", "rf", "ri"))


class Psd(Enum):
    """Whether the domain is a Public Suffix Domain, as it says."""

    YES = "y"
    NO = "n"
    UNKNOWN = "u"


class Problem(Enum):
    """What somebody who published this should know; the value is the stable word. UNUSABLE and those above it have an effect."""

    NO_RECORD = "no-record"
    SEVERAL_RECORDS = "several-records"
    """They count as none."""
    VERSION = "version"
    """It was meant to be a record, but does not begin with exactly `v=DMARC1` and `;`: it counts as none."""
    LEADING_SPACE = "leading-space"
    """The same, for the white space before it."""
    TOO_LONG = "too-long"
    P_INVALID = "p-invalid"
    SP_INVALID = "sp-invalid"
    NP_INVALID = "np-invalid"
    POLICY_NONE = "policy-none"
    """For one of these three, or for want of p=, the policy is p=none, whatever else it says."""
    UNUSABLE = "unusable"
    """For the same reason and want of a valid rua=, there is no DMARC at all."""
    P_MISSING = "p-missing"
    P_LATE = "p-late"
    """p= is not the second tag, where RFC 7489 wants it: older receivers may pass over the record."""
    TAG_SYNTAX = "tag-syntax"
    TAG_TWICE = "tag-twice"
    TAG_UNKNOWN = "tag-unknown"
    TAG_REMOVED = "tag-removed"
    """pct, rf or ri, which RFC 9989 does not know any more."""
    PCT_BELOW_100 = "pct-below-100"
    """Older receivers apply the policy to some of the mail only, the others to all of it."""
    VALUE_INVALID = "value-invalid"
    """Of adkim, aspf, t, psd or fo: the default counts."""
    RUA_INVALID = "rua-invalid"
    """One of its URIs, at least."""
    RUF_INVALID = "ruf-invalid"
    URI_SIZE = "uri-size"
    """A size limit behind `!`, which is obsolete."""
    URIS_MANY = "uris-many"
    OTHER_TEXT = "other-text"
    """There is a TXT record that has nothing to do with DMARC."""


@dataclass(frozen=True, slots=True)
class Record:
    """It begins as a record does. `p` None: it can't be used for anything but to find the Organizational Domain."""

    text: str
    """As published, printable and shortened to TEXT_MOST."""
    p: Policy | None
    sp: Policy | None = None
    np: Policy | None = None
    psd: Psd = Psd.UNKNOWN
    testing: bool = False
    adkim: str = ""
    """"r", "s", or "" where nothing valid is said: that is "r"."""
    aspf: str = ""
    fo: str = ""
    """Empty without ruf= (RFC 9989 §4.7)."""
    rua: tuple[str, ...] = ()
    """Valid URIs of any scheme, without obsolete sizes."""
    rua_mailto: tuple[str, ...] = ()
    """Those of them that are mailboxes."""
    ruf: tuple[str, ...] = ()
    pct: str = ""
    """For reports in the old format. It has no effect."""
    problems: tuple[Problem, ...] = ()

    @property
    def dkim_strict(self) -> bool:
        return self.adkim == "s"

    @property
    def spf_strict(self) -> bool:
        return self.aspf == "s"

    def subdomains(self, *, existing: bool) -> tuple[Policy, str]:
        """What it asks for mail of a subdomain without record of its own, and the tag that says so (RFC 9989 §4.10.1)."""
        if self.np is not None and not existing:
            return self.np, "np"
        if self.sp is not None:
            return self.sp, "sp"
        return self.p or Policy.NONE, "p"

    def published(self, domain: str) -> PublishedPolicy:
        """For the report; `domain` is where the record is."""
        return PublishedPolicy(
            domain,
            self.p.value if self.p else "",
            self.sp.value if self.sp else "",
            self.np.value if self.np else "",
            self.adkim,
            self.aspf,
            self.testing,
            self.fo,
            self.pct,
            "treewalk",
        )


def is_record(text: bytes) -> bool:
    """It begins with `v=DMARC1`, as a tag of its own. White space may stand around the `=`, case counts."""
    return _VERSION.match(text) is not None


def select(texts: Iterable[bytes]) -> list[bytes]:
    """Those of a name's TXT records that are DMARC records; more than one count as none (RFC 9989 §4.10)."""
    return [text for text in texts if _VERSION.match(text)]


def read(text: bytes) -> Record | None:
    """What a TXT record (its strings joined) says. None: it is no DMARC record. Never raises."""
    if _VERSION.match(text) is None:
        return None
    return _read_small(text) if len(text) <= _SMALL_BYTES else _read(text)


def examine(texts: Iterable[bytes]) -> tuple[Problem, ...]:
    """What is wrong with the TXT records at `_dmarc.DOMAIN`, the worst first; empty: nothing. Never raises."""
    found: list[Problem] = []
    records = 0
    for text in texts:
        record = read(text)
        if record is not None:
            records += 1
            found += record.problems
        elif _ALMOST.match(text):
            found.append(
                Problem.LEADING_SPACE if text[:1] in b" \t" and is_record(text.lstrip(b" \t")) else Problem.VERSION
            )
        else:
            found.append(Problem.OTHER_TEXT)
    if records != 1:
        found.append(Problem.SEVERAL_RECORDS if records else Problem.NO_RECORD)
    return tuple(problem for problem in Problem if problem in found)


def mailbox(uri: str) -> Address | None:
    """The address of a `mailto:` URI (RFC 6068), without what stands behind `?`; None: it is another URI, or no address."""
    scheme, _, rest = uri.partition(":")
    if scheme.lower() != "mailto":
        return None
    try:
        return Address.parse(unquote_to_bytes(rest.partition("?")[0]).decode("utf-8"))
    except (AddressError, UnicodeDecodeError):
        return None


@lru_cache(maxsize=_KEPT)
def _read_small(text: bytes) -> Record:
    return _read(text)


def _read(text: bytes) -> Record:
    shown = _UNPRINTABLE.sub("?", text[:TEXT_MOST].decode("latin-1"))
    if len(text) > RECORD_BYTES_MOST:
        return Record(shown, None, problems=(Problem.TOO_LONG, Problem.UNUSABLE))
    problems: set[Problem] = set()
    tags = _tags(text, problems)
    rua = _uris(tags.get("rua"), Problem.RUA_INVALID, problems)
    ruf = _uris(tags.get("ruf"), Problem.RUF_INVALID, problems)
    fo = _fo(tags, problems)
    p, sp, np = _policies(tags, bool(rua), problems)
    words = {name: _word(tags, name, problems) for name in _WORDS}
    pct = tags.get("pct", "")
    if _PCT.fullmatch(pct) is None:
        pct = ""
    elif int(pct) < 100:
        problems.add(Problem.PCT_BELOW_100)
    return Record(
        shown,
        p,
        sp,
        np,
        Psd(words["psd"] or "u"),
        words["t"] == "y",
        words["adkim"],
        words["aspf"],
        fo if ruf else "",
        rua,
        tuple(uri for uri in rua if mailbox(uri) is not None),
        ruf,
        pct,
        tuple(problem for problem in Problem if problem in problems),
    )


def _tags(text: bytes, problems: set[Problem]) -> dict[str, str]:
    """Without `v`, names in lower case. The value of one that stands twice is empty, which none of them may be."""
    tags: dict[str, str] = {}
    parts = text.decode("latin-1").split(";")
    if not parts[-1].strip(" \t"):
        parts.pop()
    if len(parts) > TAGS_MOST:
        problems.add(Problem.TAG_SYNTAX)
    for place, part in enumerate(parts[1:TAGS_MOST]):
        found = _TAG.fullmatch(part.strip(" \t"))
        if found is None:
            problems.add(Problem.TAG_SYNTAX)
            continue
        name, value = found[1].lower(), found[2]
        if name in _REMOVED:
            problems.add(Problem.TAG_REMOVED)
        elif name not in _KNOWN:
            problems.add(Problem.TAG_UNKNOWN)
            continue
        if name == "p" and place:
            problems.add(Problem.P_LATE)
        if name not in tags:
            tags[name] = value
            continue
        problems.add(Problem.TAG_TWICE)
        if tags[name].lower() != value.lower():
            tags[name] = ""
    return tags


def _policies(
    tags: dict[str, str], reports: bool, problems: set[Problem]
) -> tuple[Policy | None, Policy | None, Policy | None]:
    """p, sp and np, as RFC 9989 §4.10.1 makes them. `reports`: there is a valid rua=."""
    found: list[Policy | None] = []
    wrong = False
    for name, problem in (("p", Problem.P_INVALID), ("sp", Problem.SP_INVALID), ("np", Problem.NP_INVALID)):
        policy = _POLICIES.get(tags.get(name, "").lower())
        if policy is None and name in tags:
            problems.add(problem)
            wrong = True
        found.append(policy)
    p, sp, np = found
    if "p" not in tags:
        problems.add(Problem.P_MISSING)
    elif not wrong:
        return p, sp, np
    if not reports:
        problems.add(Problem.UNUSABLE)
        return None, None, None
    problems.add(Problem.POLICY_NONE)
    return (Policy.NONE, None, None) if wrong else (Policy.NONE, sp, np)


def _word(tags: dict[str, str], name: str, problems: set[Problem]) -> str:
    word = tags.get(name)
    if word is None:
        return ""
    word = word.lower()
    if word in _WORDS[name]:
        return word
    problems.add(Problem.VALUE_INVALID)
    return ""


def _fo(tags: dict[str, str], problems: set[Problem]) -> str:
    value = tags.get("fo")
    if value is None:
        return ""
    options = [option.strip(" \t") for option in value.lower().split(":")]
    if len(set(options)) == len(options) and _FO.issuperset(options) and not {"0", "1"}.issubset(options):
        return ":".join(options)
    problems.add(Problem.VALUE_INVALID)
    return ""


def _uris(value: str | None, invalid: Problem, problems: set[Problem]) -> tuple[str, ...]:
    if value is None:
        return ()
    uris: list[str] = []
    for text in value.split(","):
        uri, mark, size = text.strip(" \t").partition("!")
        if mark:
            problems.add(Problem.URI_SIZE)
        found = _URI.fullmatch(uri)
        if (
            found is None
            or (mark and _SIZE.fullmatch(mark + size) is None)
            or (found[1].lower() == "mailto" and mailbox(uri) is None)
        ):
            problems.add(invalid)
        elif len(uris) == URIS_MOST:
            problems.add(Problem.URIS_MANY)
        elif uri not in uris:
            uris.append(uri)
    return tuple(uris)
