"""All that is known of a message from a stranger when it is decided what becomes of it, and the rules that hold for it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from poterne.config.inbound import Inbound
from poterne.mailauth.arc import outcome as arc_outcome
from poterne.mailauth.dkim import outcome as dkim_outcome
from poterne.mailauth.dmarc import outcome as dmarc_outcome
from poterne.mailauth.spf import outcome as spf_outcome
from poterne.policy import listed
from poterne.policy.lookalike import Lookalike
from poterne.values.address import AddressError, domain_name
from poterne.values.history import ListSeen
from poterne.values.networks import NetworkError, NetworkSet, parse_network

DAY_S: Final = 86_400


@dataclass(frozen=True, slots=True)
class Rules:
    """`[inbound]`, prepared: made once, when the settings are read. Names that are none are passed over."""

    settings: Inbound
    neighbours: frozenset[str] = field(init=False)
    sealers: frozenset[str] = field(init=False)
    lists: frozenset[str] = field(init=False)
    forwarders: frozenset[str] = field(init=False)
    forwarding_networks: NetworkSet = field(init=False, compare=False)

    def __post_init__(self) -> None:
        settings = self.settings
        networks = [entry for entry in settings.forwarders if _is_network(entry)]
        for name, value in (
            ("neighbours", names(settings.known_neighbours)),
            ("sealers", names(settings.arc_sealers)),
            ("lists", names(settings.lists)),
            ("forwarders", names(entry for entry in settings.forwarders if entry not in networks)),
            ("forwarding_networks", NetworkSet(networks)),
        ):
            object.__setattr__(self, name, value)

    @property
    def list_age_s(self) -> int:
        return self.settings.list_age_days * DAY_S

    @property
    def quarantine_s(self) -> int:
        """How long what nobody releases is kept."""
        return self.settings.quarantine_days * DAY_S


def names(entries: Iterable[str]) -> frozenset[str]:
    """Domains as lower-case A-labels."""
    found = set()
    for entry in entries:
        try:
            found.add(domain_name(entry))
        except AddressError:
            continue
    return frozenset(found)


def _is_network(entry: str) -> bool:
    try:
        parse_network(entry)
    except NetworkError:
        return False
    return True


DEFAULT: Final = Rules(Inbound())


@dataclass(frozen=True, slots=True)
class Evidence:
    """One message, as one recipient sees it: only `forwarders` differ between recipients. Names are A-labels in lower case."""

    author_domain: str
    """Of the From field, which has one domain: anything else is refused before."""
    dmarc: dmarc_outcome.Outcome
    mail_from: spf_outcome.Outcome
    """Of the null path: what RFC 7208 §2.4 makes of it."""
    helo: spf_outcome.Outcome
    dkim: tuple[dkim_outcome.Outcome, ...] = ()
    arc: arc_outcome.Outcome = arc_outcome.NONE
    received_at: int = 0
    peer_ip: str = ""
    peer_names: tuple[str, ...] = ()
    """Names of the address in DNS that lead back to it."""
    peer_trusted: bool = False
    """A server of ours, or one that a listener or a relay rule names: its mail is not judged."""
    author_exists: bool = True
    """False: DNS says that there is no such domain. Where it says nothing now, it counts as existing."""
    reverse_path_domain: str = ""
    """"" for the null path."""
    own_domain: str = ""
    """The served domain that the author's is, or is below (`ours.Ours.own`)."""
    own_reverse_path: str = ""
    """The same of the reverse path's domain."""
    lookalike: Lookalike | None = None
    displayed: str = ""
    """What the author's name shows of ours (`ours.Ours.impersonated`)."""
    list_id: str = ""
    """`listed.list_id` of the List-Id field, when there is one and only one."""
    lists: tuple[ListSeen, ...] = ()
    """What is known of this list with each of `candidates`."""
    forwarders: tuple[str, ...] = ()
    """Of this recipient: `Account.forwarders`."""
    rules: Rules = DEFAULT

    @property
    def candidates(self) -> tuple[str, ...]:
        """Domains with which the history of `list_id` matters: those that answer for it, or may once DNS can be asked."""
        found = [one.domain for one in self.dkim if one.authenticates or one.result is dkim_outcome.Result.TEMPERROR]
        if self.mail_from.result in {spf_outcome.Result.PASS, spf_outcome.Result.TEMPERROR}:
            found.append(self.mail_from.domain)
        return listed.answering(self.list_id, found)

    @property
    def undecided(self) -> bool:
        """Something could not be had from DNS. It need not matter."""
        return (
            self.dmarc.result is dmarc_outcome.Result.TEMPERROR
            or self.mail_from.result is spf_outcome.Result.TEMPERROR
            or self.helo.result is spf_outcome.Result.TEMPERROR
            or self.arc.temporary
            or any(one.result is dkim_outcome.Result.TEMPERROR for one in self.dkim)
        )
