"""What SPF says of one claim, in the words of RFC 7208 §2.6."""

from dataclasses import dataclass
from enum import Enum
from typing import Final


class Result(Enum):
    """The value is the word of Authentication-Results and Received-SPF."""

    NONE = "none"
    """No domain, or one that publishes nothing."""
    NEUTRAL = "neutral"
    PASS = "pass"  # noqa: S105  (the word of RFC 7208)
    FAIL = "fail"
    SOFTFAIL = "softfail"
    TEMPERROR = "temperror"
    """DNS could not say it now. Never to be taken for any of the others."""
    PERMERROR = "permerror"
    """What the domain publishes can't be used."""


class Identity(Enum):
    """Whose domain is asked; the value is the word of Received-SPF (RFC 7208 §9.1)."""

    MAIL_FROM = "mailfrom"
    HELO = "helo"

    @property
    def property(self) -> str:
        """`ptype.property` of Authentication-Results (RFC 8601 §2.7.2)."""
        return f"smtp.{self.value}"


class Reason(Enum):
    """Why; the value is the stable word."""

    MATCHED = "matched"
    """A mechanism did; `matched` names it."""
    DEFAULT = "default"
    """None did, and nothing says what then (RFC 7208 §4.7)."""
    CLIENT = "client"
    """The client has no IP address."""
    DOMAIN = "domain"
    """The claim has no domain name that can have a record (RFC 7208 §4.3)."""
    NO_DOMAIN = "no-domain"
    """The domain does not exist (RFC 7208 §4.3)."""
    NO_RECORD = "no-record"
    SEVERAL_RECORDS = "several-records"
    SYNTAX = "syntax"
    TOO_LONG = "too-long"
    TARGET = "target"
    """A record is asked for under a name that can't be one."""
    TARGET_RECORD = "target-record"
    """An include or a redirect leads to a domain that has no record."""
    LOOKUPS = "lookups"
    """More than 10 terms that need DNS."""
    VOID_LOOKUPS = "void-lookups"
    """More than 2 terms for which DNS has nothing."""
    MX_NAMES = "mx-names"
    """An mx of more than 10 hosts."""
    QUESTIONS = "questions"
    """More questions to DNS than are asked for one evaluation."""
    DNS = "dns"
    TIME = "time"
    __hash__ = object.__hash__  # each is one object; the hash of an Enum takes as long as a look into ten tables


_PROBLEMS: Final = {
    Reason.CLIENT: "the client has no IP address",
    Reason.DOMAIN: "not a domain name that can have a record",
    Reason.NO_DOMAIN: "the domain does not exist",
    Reason.NO_RECORD: "no record",
    Reason.SEVERAL_RECORDS: "more than one record",
    Reason.SYNTAX: "syntax error",
    Reason.TOO_LONG: "the record is too long",
    Reason.TARGET: "not a domain name",
    Reason.TARGET_RECORD: "a domain without record is referred to",
    Reason.LOOKUPS: "more than 10 terms that need DNS",
    Reason.VOID_LOOKUPS: "more than 2 DNS lookups without result",
    Reason.MX_NAMES: "more than 10 MX hosts",
    Reason.QUESTIONS: "too many questions to DNS",
    Reason.DNS: "DNS could not answer",
    Reason.TIME: "DNS took too long",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """All texts are printable ASCII of bounded length, but strangers wrote them: quote them where they go."""

    result: Result
    reason: Reason
    identity: Identity
    domain: str = ""
    """The one that was asked, and the only one that a pass proves anything about, in lower case. Empty: it is no domain name."""
    matched: tuple[str, ...] = ()
    """Terms as published, from the domain's own record to the innermost: `redirect=…`, `include:…`, `ip4:192.0.2.0/24`."""
    where: str = ""
    """The domain whose record decided or is at fault."""
    detail: str = ""
    """The term or the name at fault."""
    explanation: str = ""
    """Of a fail, from the domain itself (RFC 7208 §6.2): its claim, and not to be shown as ours. One line of printable ASCII."""
    lookups: int = 0
    void_lookups: int = 0

    @property
    def mechanism(self) -> str:
        """For Received-SPF: the directive that matched in the record that decided, without qualifier; `default` when none did."""
        for term in self.matched:
            if not term.lower().startswith("redirect="):
                return term.lstrip("+-~?")
        return "default"

    @property
    def problem(self) -> str:
        """What is wrong, with names: for Received-SPF, the comment of Authentication-Results and an answer. Empty: nothing is."""
        text = _PROBLEMS.get(self.reason, "")
        if not text:
            return ""
        at = f" at {self.where}" if self.where and self.where != self.domain else ""
        return f"{text}{at}: {self.detail}" if self.detail else text + at

    @property
    def authenticates(self) -> bool:
        """The domain says that this client may send for it."""
        return self.result is Result.PASS
