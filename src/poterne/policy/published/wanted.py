"""The records that a domain needs when its mail is here, with the reason for each.

Records of the domain's own tree come first in meaning; the host's (A, TLSA, CAA, HELO's SPF) and the reverse names may belong to
zones that somebody else keeps: `ZoneRecord.below` says so, and whoever prints them says it too.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Final

from poterne.mailauth.mtasts import text as sts_text
from poterne.mailauth.mtasts.policy import Policy
from poterne.mailauth.mtasts.record import PREFIX as STS_PREFIX
from poterne.mailauth.tlsrpt.record import PREFIX as TLSRPT_PREFIX
from poterne.values.dkim import KeyState
from poterne.values.dns import reverse_name
from poterne.values.zone import ZoneRecord, txt

CLIENT_LABELS: Final = ("autoconfig", "autodiscover")
HTTPS_PORT: Final = 443
"""Mail programs that look under these names know no other."""
SRV: Final = (
    ("_submissions._tcp", "submissions"),
    ("_imaps._tcp", "imaps"),
    ("_pop3s._tcp", "pop3s"),
    ("_submission._tcp", "submission"),
    ("_imap._tcp", "imap"),
    ("_pop3._tcp", "pop3"),
)
"""Service names of RFC 6186 §3.1 and RFC 8314 §5.1, and what stands behind them here."""


@dataclass(frozen=True, slots=True)
class Selector:
    """A DKIM key that is to be in DNS. `name`: of its record; `comment`: why, for people."""

    name: str
    text: str
    state: KeyState
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a server and one domain of it. Names are A-labels in lower case."""

    domain: str
    hostname: str
    addresses: tuple[str, ...] = ()
    """Public ones that the server is reached under and sends from; () when nobody told it."""
    exchangers: tuple[tuple[int, str], ...] = ()
    dkim: tuple[Selector, ...] = ()
    keys: tuple[bytes, ...] = ()
    """SHA-256 of the public keys: of the certificates for the host name first, then of those that will follow."""
    issuers: tuple[str, ...] = ()
    """What CAA is to allow; () when the certificate's issuer is not a known one."""
    spf: tuple[str, ...] = ()
    """Further terms."""
    dmarc: str = "none"
    rua: tuple[str, ...] = ()
    tls_rua: str = ""
    policy: Policy | None = None
    """MTA-STS; None: nobody serves one."""
    ports: Mapping[str, int] = field(default_factory=dict)
    """Port by the words of `SRV`; those that are not offered are not in it."""
    canary: bytes = b""
    """A message signed with the keys that sign; b"": none does."""
    readers: bool = True
    """Mail programs connect to this server; False: to one behind it, which is not known here."""
    client_host: str = ""
    """The name that they connect to."""
    web_port: int = 0
    """Where they get their settings over HTTPS; 0: nowhere."""

    @property
    def is_exchanger(self) -> bool:
        """Does the world's mail come to this server itself?"""
        return any(name == self.hostname for _, name in self.exchangers)


def spf_text(facts: Facts) -> str:
    """The domain's SPF record."""
    own = (f"ip{ip_address(address).version}:{address}" for address in facts.addresses)
    return " ".join(dict.fromkeys(("v=spf1", "mx", *own, *facts.spf, "-all")))


def host_spf_text(facts: Facts) -> str:
    """SPF of the host name, for HELO."""
    own = (f"ip{ip_address(address).version}:{address}" for address in facts.addresses)
    return " ".join(("v=spf1", "a", *own, "-all"))


def dmarc_text(facts: Facts, policy: str | None = None) -> str:
    """The domain's DMARC record; with another policy than the one of the settings where one is given."""
    tags = ["v=DMARC1", f"p={policy or facts.dmarc}", "np=reject"]
    if facts.rua:
        tags.append("rua=" + ",".join(f"mailto:{_uri(address)}" for address in facts.rua))
    return "; ".join(tags)


def _uri(address: str) -> str:
    """In a tag list and a URI, `!`, `,` and `;` mean something (RFC 9989 §4.5)."""
    return "".join(f"%{ord(c):02X}" if c in "!,;%?# " else c for c in address)


def wanted(facts: Facts) -> tuple[ZoneRecord, ...]:
    """All of them, in the order in which they are explained."""
    return tuple(
        record for part in (_mail, _dkim, _dmarc, _transport, _host, _services, _reverse) for record in part(facts)
    )


def _mail(facts: Facts) -> Iterator[ZoneRecord]:
    for preference, name in facts.exchangers:
        yield ZoneRecord(facts.domain, "MX", f"{preference} {name}.", "mx", "Where mail for the domain is brought.")
    why = "Which servers may send in the domain's name (SPF, RFC 7208)."
    yield txt(facts.domain, spf_text(facts), "spf", why)


def _dkim(facts: Facts) -> Iterator[ZoneRecord]:
    for key in facts.dkim:
        yield txt(
            key.name,
            key.text,
            "dkim",
            f"A key of the domain's mail (DKIM, RFC 6376): {key.comment or key.state.value}.",
        )


def _dmarc(facts: Facts) -> Iterator[ZoneRecord]:
    why = "What others do with mail that only claims to be yours, and where they report it (DMARC, RFC 9989)."
    yield txt(f"_dmarc.{facts.domain}", dmarc_text(facts), "dmarc", why)
    for address in facts.rua:
        host = address.rpartition("@")[2]
        if host != facts.domain and not host.endswith("." + facts.domain):
            name = f"{facts.domain}._report._dmarc.{host}"
            yield txt(name, "v=DMARC1;", "dmarc-report", f"{host} takes the reports about {facts.domain}.")


def _transport(facts: Facts) -> Iterator[ZoneRecord]:
    domain, policy = facts.domain, facts.policy
    if policy is not None:  # also with mode none: else nobody learns that there is no policy any more (RFC 8461 §8.3)
        why = "Others bring mail encrypted, to a server that proves its name (MTA-STS, RFC 8461). The id is that of the policy."
        yield txt(STS_PREFIX + domain, sts_text.record_text(policy), "mta-sts", why)
        yield ZoneRecord(
            f"mta-sts.{domain}", "CNAME", f"{facts.hostname}.", "mta-sts", "Where that policy is fetched, over HTTPS."
        )
    if facts.tls_rua:
        text = f"v=TLSRPTv1; rua=mailto:{_uri(facts.tls_rua)}"
        yield txt(TLSRPT_PREFIX + domain, text, "tlsrpt", "Where others report failed encryption (RFC 8460).")


def _host(facts: Facts) -> Iterator[ZoneRecord]:
    host = facts.hostname
    for address in facts.addresses:
        kind = "AAAA" if ":" in address else "A"
        yield ZoneRecord(host, kind, address, "host", "The server's addresses.")
    if host != facts.domain:
        yield txt(host, host_spf_text(facts), "helo", "SPF for the name that the server says of itself (HELO).")
    if facts.is_exchanger:
        for digest in facts.keys:
            why = "The key of the certificate (DANE, RFC 7672). It counts in a zone that is signed with DNSSEC."
            yield ZoneRecord(f"_25._tcp.{host}", "TLSA", f"3 1 1 {digest.hex()}", "dane", why)
    for issuer in facts.issuers:
        yield ZoneRecord(host, "CAA", f'0 issue "{issuer}"', "caa", "Who may issue certificates for it (RFC 8659).")


def _services(facts: Facts) -> Iterator[ZoneRecord]:
    host = facts.client_host or facts.hostname
    for name, word in SRV if facts.readers else ():
        port = facts.ports.get(word)
        data = f"0 1 {port} {host}." if port else "0 0 0 ."
        why = "Mail programs find the server by these (RFC 6186, RFC 8314); a dot: there is none."
        yield ZoneRecord(f"{name}.{facts.domain}", "SRV", data, "srv", why)
    if facts.web_port and facts.readers:
        why = "Outlook and others get their settings from there, with a certificate that is for the server's own name."
        yield ZoneRecord(f"_autodiscover._tcp.{facts.domain}", "SRV", f"0 1 {facts.web_port} {host}.", "srv", why)
    if facts.web_port == HTTPS_PORT and facts.readers:
        why = "Where Thunderbird (autoconfig) and Outlook (autodiscover) ask; the certificate must be for both names."
        for label in CLIENT_LABELS:
            yield ZoneRecord(f"{label}.{facts.domain}", "CNAME", f"{host}.", "client", why)


def _reverse(facts: Facts) -> Iterator[ZoneRecord]:
    for address in facts.addresses:
        name = reverse_name(address)
        if name is not None:
            why = "The name of the address; who rents it out to you sets it."
            yield ZoneRecord(name, "PTR", f"{facts.hostname}.", "ptr", why)
