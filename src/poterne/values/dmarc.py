"""What DMARC said of messages, as it is counted and reported (RFC 9990), here and by others about our domains."""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from poterne.values.networks import address_number


@dataclass(frozen=True, slots=True)
class PublishedPolicy:
    """What the domain published when the message came, in the words of the report ("none", "quarantine", "reject"; "r", "s")."""

    domain: str
    """Where the record is."""
    p: str = ""
    sp: str = ""
    np: str = ""
    adkim: str = ""
    aspf: str = ""
    testing: bool = False
    fo: str = ""
    pct: str = ""
    """RFC 7489 only."""
    discovery: str = ""
    """"psl", "treewalk" or "" (unknown)."""


@dataclass(frozen=True, slots=True)
class DkimAuth:
    domain: str
    selector: str
    result: str


@dataclass(frozen=True, slots=True)
class SpfAuth:
    domain: str
    scope: str
    """"mfrom" or "helo"."""
    result: str


@dataclass(frozen=True, slots=True)
class Override:
    """Why what was done is not what the policy asks for."""

    type: str
    comment: str = ""


@dataclass(frozen=True, slots=True)
class DmarcRow:
    """Messages that are alike: from one address, with one result. Words of the report's `record`."""

    source_ip: str
    count: int
    disposition: str
    """"none", "pass", "quarantine" or "reject"."""
    dkim: str
    """Aligned: "pass" or "fail"."""
    spf: str
    header_from: str
    envelope_from: str = ""
    envelope_to: str = ""
    dkim_results: tuple[DkimAuth, ...] = ()
    spf_results: tuple[SpfAuth, ...] = ()
    overrides: tuple[Override, ...] = ()

    @property
    def passes(self) -> bool:
        return "pass" in (self.dkim, self.spf)

    def coarse(self, header_from: str, bits_4: int, bits_6: int) -> "DmarcRow":
        """What is left of it where there is no room for more rows: its network and its results, without what a sender chooses."""
        found = address_number(self.source_ip)
        network, text = self.source_ip, "too many sources to tell apart"
        if found is not None:
            version, number = found
            bits = (32 - bits_4) if version == 4 else (128 - bits_6)
            first = number >> bits << bits
            network = str(IPv4Address(first) if version == 4 else IPv6Address(first))
            text = f"all of {network}/{bits_4 if version == 4 else bits_6}: {text}"
        return DmarcRow(
            network,
            self.count,
            self.disposition,
            self.dkim,
            self.spf,
            header_from,
            overrides=(Override("other", text),),
        )


@dataclass(frozen=True, slots=True)
class DmarcCount:
    """Messages of one UTC day (days since 1970), for the report to the domain that published `policy`."""

    day: int
    policy: PublishedPolicy
    row: DmarcRow


@dataclass(frozen=True, slots=True)
class DmarcReport:
    """A report that somebody sent us about a domain of ours, as far as it could be read. Texts are printable and bounded."""

    organisation: str
    """Who reports."""
    email: str
    report_id: str
    begin: int
    end: int
    policy: PublishedPolicy
    rows: tuple[DmarcRow, ...]
    version: str = ""
    extra_contact: str = ""
    generator: str = ""
    warnings: tuple[str, ...] = ()
    """What had to be passed over or mended to read it."""


@dataclass(frozen=True, slots=True)
class SourceDay:
    """Rows of reports about one domain, added up: one day, one source, one combination of results."""

    day: int
    reporter: str
    source_ip: str
    header_from: str
    count: int
    disposition: str
    dkim: str
    spf: str
    dkim_results: tuple[DkimAuth, ...]
    spf_results: tuple[SpfAuth, ...]
    overrides: tuple[Override, ...]
