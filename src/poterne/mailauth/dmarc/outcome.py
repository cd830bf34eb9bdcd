"""What DMARC says of one message, in the words of RFC 9989 and RFC 8601 §2.7."""

from dataclasses import dataclass
from enum import Enum
from typing import Final

from poterne.values.dmarc import PublishedPolicy


class Result(Enum):
    """The value is the word of Authentication-Results."""

    PASS = "pass"  # noqa: S105  (the word of RFC 9989)
    """A domain that SPF or DKIM proved is aligned with the author's."""
    FAIL = "fail"
    NONE = "none"
    """No record applies to the author's domain."""
    TEMPERROR = "temperror"
    """DNS could not say now what is needed. Never to be taken for any of the others."""
    PERMERROR = "permerror"
    """The author's domain is none, or its record can't be used."""


class Policy(Enum):
    """What a domain wants done with what fails; the value is the word of the record."""

    NONE = "none"
    QUARANTINE = "quarantine"
    REJECT = "reject"

    @property
    def one_level_down(self) -> "Policy":
        """What t=y makes of it (RFC 9989 §4.7)."""
        return Policy.QUARANTINE if self is Policy.REJECT else Policy.NONE


class Reason(Enum):
    """Why; the value is the stable word."""

    ALIGNED = "aligned"
    UNALIGNED = "unaligned"
    """Something is proved, but for other domains than the author's."""
    UNAUTHENTICATED = "unauthenticated"
    """Nothing is proved at all."""
    NO_RECORD = "no-record"
    SEVERAL_RECORDS = "several-records"
    """More than one at the author's domain, which counts as none (RFC 9989 §4.10), and none above it."""
    SYNTAX = "syntax"
    """The record has no p=, or a p=, sp= or np= that is none, and no valid rua= that would make it `p=none`."""
    DOMAIN = "domain"
    """The author's domain is no name that DNS can hold."""
    DNS = "dns"
    """The record, or what the alignment of a proved domain depends on, could not be had."""
    EXISTENCE = "existence"
    """It fails, and DNS could not say whether the author's domain exists, on which the policy depends."""
    SPF_DNS = "spf-dns"
    """Nothing aligned is proved, but SPF of a domain that may be aligned is a temperror."""
    DKIM_DNS = "dkim-dns"
    """The same with a signature whose key could not be had."""

    __hash__ = object.__hash__  # each is one object; the hash of an Enum takes as long as a look into ten tables

    @property
    def result(self) -> Result:
        return _RESULTS[self]


_RESULTS: Final = {
    Reason.ALIGNED: Result.PASS,
    Reason.UNALIGNED: Result.FAIL,
    Reason.UNAUTHENTICATED: Result.FAIL,
    Reason.NO_RECORD: Result.NONE,
    Reason.SEVERAL_RECORDS: Result.NONE,
    Reason.SYNTAX: Result.PERMERROR,
    Reason.DOMAIN: Result.PERMERROR,
    Reason.DNS: Result.TEMPERROR,
    Reason.EXISTENCE: Result.TEMPERROR,
    Reason.SPF_DNS: Result.TEMPERROR,
    Reason.DKIM_DNS: Result.TEMPERROR,
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """Names are A-labels in lower case. Other texts are printable ASCII of bounded length, but strangers wrote them."""

    result: Result
    reason: Reason
    author_domain: str
    """Of the From field. Empty: it is no domain name."""
    organisational_domain: str = ""
    """Of the author. Empty: it could not be found out, or did not matter."""
    policy: PublishedPolicy | None = None
    """As published, of the record that applies."""
    requested: Policy = Policy.NONE
    """What the domain asks for when this author's mail fails, after p, sp or np and t=y. Only a fail makes it count."""
    applied_tag: str = ""
    """Whose value it is: "p", "sp" or "np"."""
    aligned_dkim: tuple[str, ...] = ()
    """The d= that authenticate and align, each once. Of a temperror: those that would align whatever the record says."""
    aligned_spf: str = ""
    """The MAIL FROM domain that authenticates and aligns; "" none."""
    rua: tuple[str, ...] = ()
    """`mailto:` URIs as in the record, without the obsolete size behind `!`."""
    record: str = ""
    """Its text as published, with a `?` for what is not printable, shortened."""
