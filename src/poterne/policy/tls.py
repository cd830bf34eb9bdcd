"""How mail must travel to one server of a domain: what its DNS, its MTA-STS policy, the sender and our settings demand, joined.

Theory of operation. For each mail exchanger the strictest demand holds:
- TLSA records (DANE) come first and replace MTA-STS (RFC 8461 §2). A lookup that failed is no denial: that server is not used
  (RFC 7672 §2.1.2). Records of which none can be used still demand encryption (§2.2).
- MTA-STS in mode enforce demands that the server is in the policy and has a valid certificate for its name. In mode testing the
  same is tried; what fails is reported, and the mail goes as if there were no policy (RFC 8461 §5).
- REQUIRETLS demands a verified server whose name is proven by DNSSEC or by an MTA-STS policy (RFC 8689 §4.2.1).
- Domains that our settings name demand a verified server; unless its name is proven, its certificate must be for the domain.
- `cleartext = "refused"` demands encryption everywhere.
`optional` (TLS-Required: No, RFC 8689 §4.2.2, and reports about TLS, RFC 8460 §3) makes what the recipient's domain demands
a wish. What our settings demand stays.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final, TypeAlias

from poterne.mailauth.mtasts.policy import Mode, Policy
from poterne.values.dns import Tlsa
from poterne.values.tls import AppliedPolicy, PolicyKind, TlsDemand, TlsFailure, TlsResult


class DaneStatus(Enum):
    """What is known of a server's TLSA records; the value is the stable word."""

    NONE = "none"
    """There are none that are proven, or DNS can't prove it."""
    USABLE = "usable"
    UNUSABLE = "unusable"
    """Proven, and none of them can be used."""
    FAILED = "failed"
    """DNS did not say."""


@dataclass(frozen=True, slots=True)
class Dane:
    """`base`: the TLSA base domain (RFC 7672 §2.2.3). `shown`: all records, for reports."""

    status: DaneStatus = DaneStatus.NONE
    records: tuple[Tlsa, ...] = ()
    base: str = ""
    shown: tuple[str, ...] = ()


NO_DANE: Final = Dane()


@dataclass(frozen=True, slots=True)
class Terms:
    """What the message and our settings ask for."""

    requiretls: bool = False
    """RFC 8689; not for the null reverse-path (§5)."""
    optional: bool = False
    verified_only: bool = False
    cleartext_refused: bool = False


@dataclass(frozen=True, slots=True)
class Destination:
    """Where mail goes. `expanded`: at the end of its aliases. `secure`: DNSSEC proves its MX records, or their lack."""

    domain: str
    expanded: str = ""
    secure: bool = False


@dataclass(frozen=True, slots=True)
class Use:
    """Connect to it on these terms. `fallback`: what is done when they are not met; None: the mail does not go there.

    `failures`: what is wrong already, for the report; the mail goes all the same.
    """

    demand: TlsDemand
    names: tuple[str, ...] = ()
    records: tuple[Tlsa, ...] = ()
    fallback: TlsDemand | None = None
    applied: AppliedPolicy | None = None
    failures: tuple[TlsFailure, ...] = ()


class SkipReason(Enum):
    """Why a server is not used; the value is the stable word."""

    DANE_LOOKUP = "dane-lookup"
    NOT_IN_POLICY = "mx-not-in-policy"
    UNPROVEN = "requiretls-unproven"


@dataclass(frozen=True, slots=True)
class Skip:
    """Do not connect to it now."""

    reason: SkipReason
    applied: AppliedPolicy | None = None
    failures: tuple[TlsFailure, ...] = ()

    @property
    def permanent(self) -> bool:
        """Waiting does not help (RFC 8689 §4.2.1)."""
        return self.reason is SkipReason.UNPROVEN


TlsVerdict: TypeAlias = Use | Skip


def decide(to: Destination, exchanger: str, dane: Dane, sts: Policy | None, terms: Terms) -> TlsVerdict:
    """The terms for one server. `sts`: the policy that counts now. Addresses instead of names are `literal`'s."""
    applied = _applied(to, dane, sts)
    known: tuple[TlsFailure, ...] = ()
    relaxed = terms.optional and not terms.requiretls
    if dane.status is DaneStatus.FAILED:
        known = (TlsFailure(TlsResult.DNSSEC_INVALID, "tlsa-lookup", exchanger),)
        if not relaxed:
            return Skip(SkipReason.DANE_LOOKUP, applied, known)
    if dane.status is DaneStatus.USABLE:
        names = tuple(dict.fromkeys(name for name in (dane.base, to.domain, to.expanded) if name))
        fallback = _floor(terms) if relaxed and not terms.verified_only else None
        return Use(TlsDemand.DANE, names, dane.records, fallback, applied)
    floor = _floor(terms)
    if dane.status is DaneStatus.UNUSABLE:
        known = (TlsFailure(TlsResult.TLSA_INVALID, "no-usable-record", exchanger),)
        floor = floor if relaxed else TlsDemand.REQUIRED
    listed = False
    found = Use(floor, applied=applied, failures=known)
    if sts is not None and sts.mode is not Mode.NONE:
        listed = sts.allows(exchanger)
        lenient = relaxed or sts.mode is Mode.TESTING
        if listed:
            found = Use(TlsDemand.VERIFIED, (exchanger,), (), floor if lenient else None, applied, known)
        else:
            known = (*known, TlsFailure(TlsResult.VALIDATION_FAILURE, SkipReason.NOT_IN_POLICY.value, exchanger))
            if not lenient:
                return Skip(SkipReason.NOT_IN_POLICY, applied, known)
            found = Use(floor, applied=applied, failures=known)
    return _ours(found, to, exchanger, terms, proven=to.secure or listed)


def literal(terms: Terms) -> Use:
    """The terms for a server that is only an address: nothing names it, so nothing can be published about it."""
    if terms.requiretls or terms.verified_only:
        return Use(TlsDemand.VERIFIED)
    return Use(_floor(terms))


def _ours(found: Use, to: Destination, exchanger: str, terms: Terms, *, proven: bool) -> TlsVerdict:
    """The same with what the message and our settings demand."""
    if not (terms.requiretls or terms.verified_only):
        return found
    if terms.requiretls and not proven:
        return Skip(SkipReason.UNPROVEN, found.applied, found.failures)
    name = exchanger if proven else to.domain
    return Use(TlsDemand.VERIFIED, (name,), (), None, found.applied, found.failures)


def _floor(terms: Terms) -> TlsDemand:
    return TlsDemand.REQUIRED if terms.cleartext_refused else TlsDemand.OPPORTUNISTIC


def _applied(to: Destination, dane: Dane, sts: Policy | None) -> AppliedPolicy:
    if dane.status is not DaneStatus.NONE:
        return AppliedPolicy(PolicyKind.TLSA, dane.base, dane.shown)
    if sts is not None and sts.mode is not Mode.NONE:
        return sts.applied(to.domain)
    return AppliedPolicy(PolicyKind.NONE, to.domain)
