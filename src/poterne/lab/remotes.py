"""The lab's remote organisations, as data: each has one way of behaving, which its name tells."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from poterne.lab.sink import SEVEN_BIT, Manner

GREY_S: Final = 20.0
SLOW_S: Final = 1.5
FIRST_ADDRESS: Final = 11
"""The organisations are 127.0.0.11 and up."""


class Certificate(Enum):
    """What the exchanger shows after STARTTLS."""

    NONE = "none"
    """It does not offer STARTTLS."""
    GOOD = "good"
    OTHER_NAME = "other-name"
    EXPIRED = "expired"


class Tlsa(Enum):
    """What the zone, then proven by DNSSEC, says of the certificate (RFC 7672)."""

    NONE = "none"
    MATCH = "match"
    OTHER = "other"
    BOGUS = "bogus"
    """The lookup fails: SERVFAIL, as a validating resolver says of what it can't prove."""


@dataclass(frozen=True, slots=True)
class Remote:
    """`expected`: what becomes of mail to it, in a few words. `enforce`: an MTA-STS policy that wants it verified."""

    domain: str
    expected: str
    certificate: Certificate = Certificate.GOOD
    enforce: bool = False
    tlsa: Tlsa = Tlsa.NONE
    manner: Manner = field(default_factory=Manner)
    null_mx: bool = False
    listens: bool = True

    @property
    def exchanger(self) -> str:
        return f"mx.{self.domain}"

    @property
    def address(self) -> str:
        return f"127.0.0.{FIRST_ADDRESS + REMOTES.index(self)}"


REMOTES: Final = (
    Remote("clear.test", "delivered without encryption: none is offered", Certificate.NONE),
    Remote("stripped.test", "waits: MTA-STS wants TLS, STARTTLS is gone", Certificate.NONE, enforce=True),
    Remote("sts.test", "delivered, the server verified as MTA-STS wants", enforce=True),
    Remote("wrong-name.test", "waits: the certificate is for another name", Certificate.OTHER_NAME, enforce=True),
    Remote("expired.test", "waits: the certificate has expired", Certificate.EXPIRED, enforce=True),
    Remote("dane.test", "delivered, the server verified by DANE", tlsa=Tlsa.MATCH),
    Remote("dane-wrong.test", "waits: DANE names another certificate", tlsa=Tlsa.OTHER),
    Remote("dane-bogus.test", "waits: what DANE says can't be proven", tlsa=Tlsa.BOGUS),
    Remote("grey.test", "waits a minute (greylisting), then delivered", manner=Manner(grey_s=GREY_S)),
    Remote("storm.test", "waits: it says 451 to all", manner=Manner(replies={"MAIL": "451 4.3.2 the disk is full"})),
    Remote("slow.test", "delivered, after a dozen seconds", manner=Manner(delay_s=SLOW_S)),
    Remote("dead.test", "waits: nobody listens there", listens=False),
    Remote("tarpit.test", "waits: it never greets", manner=Manner(silent=True)),
    Remote("reset.test", "waits: the connection breaks after the message", manner=Manner(reset_at_end=True)),
    Remote("nobody.test", "comes back: it says in DNS that it takes no mail", null_mx=True, listens=False),
    Remote("refuses.test", "comes back: 550", manner=Manner(replies={"RCPT": "550 5.1.1 nobody has that name here"})),
    Remote("seven-bit.test", "delivered, re-encoded in ASCII", manner=Manner(extensions=SEVEN_BIT)),
)


def zone(remote: Remote, mx_port: int, policy_address: str, tlsa: str) -> str:
    """What the organisation publishes. `tlsa`: the data of its certificate's record."""
    return "\n".join(_records(remote, mx_port, policy_address, tlsa)) + "\n"


def _records(remote: Remote, mx_port: int, policy_address: str, tlsa: str) -> Iterator[str]:
    yield "$TTL 300"
    yield f"@ SOA ns.{remote.domain}. postmaster.{remote.domain}. 1 3600 900 604800 300"
    yield f"@ NS ns.{remote.domain}."
    yield f"ns A {policy_address}"
    yield f'@ TXT "v=spf1 {"" if remote.null_mx else "mx "}-all"'
    yield '_dmarc TXT "v=DMARC1; p=reject"'
    yield '*._domainkey TXT "v=DKIM1; p="'  # it signs nothing, and says so
    if remote.null_mx:
        yield "@ MX 0 ."
        return
    yield f"@ MX 10 {remote.exchanger}."
    yield f"mx A {remote.address}"
    if remote.enforce:
        yield '_mta-sts TXT "v=STSv1; id=lab1"'
        yield f"mta-sts A {policy_address}"
    if remote.enforce or remote.tlsa is not Tlsa.NONE:
        yield f'_smtp._tls TXT "v=TLSRPTv1; rua=mailto:tls-reports@{remote.domain}"'
    if remote.tlsa in {Tlsa.MATCH, Tlsa.OTHER}:
        yield f"_{mx_port}._tcp.mx TLSA {tlsa if remote.tlsa is Tlsa.MATCH else '3 1 1 ' + '5a' * 32}"
