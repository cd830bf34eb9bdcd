"""What became of a chain of ARC sets, in the words of RFC 8617 §10.1."""

from dataclasses import dataclass
from enum import Enum
from typing import Final

from poterne.mailauth.results.parse import MethodResult


class Result(Enum):
    """The value is the word of Authentication-Results."""

    NONE = "none"
    """There is no chain."""
    PASS = "pass"  # noqa: S105  (the word of RFC 8617)
    FAIL = "fail"


class Reason(Enum):
    """Why; the value is the stable word."""

    NO_CHAIN = "no-chain"
    VERIFIED = "verified"
    TOO_MANY = "too-many"
    """More than 50 sets (RFC 8617 §5.2)."""
    STRUCTURE = "structure"
    """Instances that are missing, or stand twice."""
    INSTANCE = "instance"
    """i= can't be read in one of the fields."""
    SYNTAX = "syntax"
    """A seal or a signature can't be read, or is of no kind that we know."""
    CHAIN_BROKEN = "chain-broken"
    """A sealer says that it failed before (cv=), or says what it can't know."""
    TIME = "time"
    """The newest signature has expired, or is of the future."""
    BODY_HASH = "body-hash"
    """The newest signature is not of this body, or not of all of it."""
    SIGNATURE = "signature"
    """The newest signature is not of these fields."""
    SEAL = "seal"
    """A seal does not match the sets."""
    NO_KEY = "no-key"
    """A key is not there, revoked, too weak or not for this."""
    KEY_UNAVAILABLE = "key-unavailable"
    """A key can't be had now: nothing is proven, and nothing disproven."""


@dataclass(frozen=True, slots=True)
class Hop:
    """One set. Names are A-labels in lower case. Unless the chain passes, anybody may have written it."""

    instance: int
    sealer: str
    """d= of its seal: who answers for what it claims."""
    selector: str
    signer: str
    """d= of its message signature."""
    authserv_id: str = ""
    claimed: tuple[MethodResult, ...] = ()
    """Results that the sealer says it saw when the message came to it."""

    def claims(self, method: str, result: str) -> bool:
        """It says so, in one of its results for that method."""
        return any(one.method == method and one.result == result for one in self.claimed)


@dataclass(frozen=True, slots=True)
class Outcome:
    result: Result
    reason: Reason
    hops: tuple[Hop, ...] = ()
    """From the first sealer to the last; empty when the sets could not be read."""
    instance: int = 0
    """The set at fault."""
    oldest_pass: int | None = None
    """From which instance on the message is as it was signed; 0: all signatures match (RFC 8617 §5.2). None: unknown."""

    @property
    def sealers(self) -> tuple[str, ...]:
        """Domains, first to last. All of them have to be trusted for a pass to mean anything."""
        return tuple(hop.sealer for hop in self.hops)

    @property
    def temporary(self) -> bool:
        """Asked again later, it may be another."""
        return self.reason is Reason.KEY_UNAVAILABLE


NONE: Final = Outcome(Result.NONE, Reason.NO_CHAIN)
