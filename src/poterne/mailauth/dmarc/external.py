"""Does a mailbox elsewhere want the reports about a domain? (RFC 9990 §4; the steps are those of RFC 7489 §7.1)

Without the question, whoever publishes a record could have the whole world send reports to a victim. A destination of the same
organisation needs none. Any other has to publish `POLICY-DOMAIN._report._dmarc.HOST`; that may name another mailbox of the same
host, and when it names one elsewhere, nothing is sent at all.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Final

from poterne.mailauth.dmarc import record, walk
from poterne.mailauth.dmarc.discover import add
from poterne.mailauth.dmarc.walk import Entry
from poterne.mailauth.spf.check import Question, Steps
from poterne.values.dns import TXT, Answer, Found, TempFail

DESTINATIONS_MOST: Final = record.URIS_MOST
RECORDS_MOST: Final = 8
"""Of one answer: a host with more has one of its own for each domain's reports, and no use for these."""
_LABEL: Final = "._report._dmarc."


class Consent(Enum):
    """The value is the stable word."""

    INTERNAL = "internal"
    """The same organisation: it need not say so."""
    GIVEN = "given"
    REFUSED = "refused"
    """Nothing says that it wants them, or what says so names another host."""
    UNKNOWN = "unknown"
    """DNS can't say it now: not to be sent to, but to be asked again."""
    UNSUPPORTED = "unsupported"
    """It is no mailbox in a domain."""

    @property
    def sends(self) -> bool:
        return self in {Consent.INTERNAL, Consent.GIVEN}


@dataclass(frozen=True, slots=True)
class Destination:
    """One URI of rua=, and what became of it."""

    uri: str
    host: str
    consent: Consent
    to: tuple[str, ...] = ()
    """`mailto:` URIs to send to: this one, or those the host names instead."""


def consents(policy_domain: str, uris: Iterable[str]) -> Steps[tuple[Destination, ...]]:
    """What became of each URI of the record that was found at a domain, in order; DESTINATIONS_MOST are looked at.

    One step with the walks of those hosts that may be of the same organisation, and one with a question for each other host.
    Raises nothing, whatever the answers hold.
    """
    listed = tuple(dict.fromkeys(uris))[:DESTINATIONS_MOST]
    hosts = {uri: _host(uri) for uri in listed}
    policy = walk.read_domain(policy_domain)
    if policy is None:
        return tuple(Destination(uri, hosts[uri], Consent.UNSUPPORTED) for uri in listed)
    known = yield from _same_organisation(policy, {host for host in hosts.values() if host})
    asked = tuple(host for host in dict.fromkeys(hosts.values()) if host and known[host] is not Consent.INTERNAL)
    said: dict[str, Answer[object]] = {}
    if asked:
        answers = yield tuple(Question(name(policy, host), TXT) for host in asked)
        said.update(zip(asked, answers, strict=True))
    return tuple(_destination(uri, hosts[uri], known.get(hosts[uri]), said.get(hosts[uri])) for uri in listed)


def consent(policy_domain: str, uri: str) -> Steps[Destination]:
    """The same for one URI."""
    return (yield from consents(policy_domain, (uri,)))[0]


def name(policy_domain: str, host: str) -> str:
    """Where a host says that it wants the reports about a domain."""
    return f"{policy_domain}{_LABEL}{host}"


def _host(uri: str) -> str:
    """Of a mailbox; empty: it is none, or in no domain."""
    mailbox = record.mailbox(uri)
    return (walk.read_domain(mailbox.domain) or "") if mailbox is not None else ""


def _same_organisation(policy: str, hosts: set[str]) -> Steps[dict[str, Consent]]:
    """Of each host: INTERNAL, or what it is (REFUSED or UNKNOWN) unless it says that it wants them."""
    top = policy.rpartition(".")[2]
    near = sorted(host for host in hosts if host != policy and host.rpartition(".")[2] == top)
    known = {host: Consent.INTERNAL if host == policy else Consent.REFUSED for host in hosts}
    if not near:
        return known
    tree: dict[str, Entry] = {}
    names = walk.missing((policy, *near), tree)
    add(tree, names, (yield tuple(map(walk.question, names))))
    organisation = walk.organisational(policy, tree)
    for host in near:
        other = walk.organisational(host, tree)
        if organisation is None or other is None:
            known[host] = Consent.UNKNOWN
        elif other == organisation:
            known[host] = Consent.INTERNAL
    return known


def _destination(uri: str, host: str, known: Consent | None, answer: Answer[object] | None) -> Destination:
    if known is None:
        return Destination(uri, host, Consent.UNSUPPORTED)
    if known is Consent.INTERNAL:
        return Destination(uri, host, known, (uri,))
    if isinstance(answer, TempFail):
        return Destination(uri, host, Consent.UNKNOWN)
    texts = (
        record.select(text for text in answer.records if isinstance(text, bytes)) if isinstance(answer, Found) else []
    )
    if not texts:
        return Destination(uri, host, known)
    instead: dict[str, None] = {}
    for text in texts[:RECORDS_MOST]:
        found = record.read(text)
        for other in found.rua if found is not None else ():
            if _host(other) != host:
                return Destination(uri, host, Consent.REFUSED)
            instead[other] = None
    return Destination(uri, host, Consent.GIVEN, tuple(instead) or (uri,))
