"""Relaying for listed hosts: what `policy.relay` decides, with the counts it needs and the words it is told in."""

from collections.abc import Callable, Sequence
from typing import Final, final

from poterne.observe import Log
from poterne.policy.origin import Origins
from poterne.policy.relay import Allow, RelayEvidence, RelayPolicy, RelayReason
from poterne.proto.smtp.replies import Reply
from poterne.session.smtp.refused import Refused
from poterne.values.address import Address
from poterne.values.ids import TraceId
from poterne.values.networks import NetworkSet
from poterne.values.relay import RelayRule

HOUR_S: Final = 3600
_HIDDEN: Final = (
    "Addresses are hidden on their way to this server, so nobody relays by address: sign in on a submission port"
)
REPLIES: Final = {
    RelayReason.NOT_LISTED: Reply(
        550, "5.7.1", "We do not relay: this server takes mail for its own domains only. Send through your own provider"
    ),
    RelayReason.HIDDEN_ORIGIN: Reply(550, "5.7.1", _HIDDEN),
    RelayReason.NULL_SENDER: Reply(550, "5.7.1", "We relay for this host with a sender address only"),
    RelayReason.SENDER_DOMAIN: Reply(
        550, "5.7.1", "We relay for this host, but not from this sender domain: its administrator can list it"
    ),
    RelayReason.RECIPIENT_DOMAIN: Reply(
        550, "5.7.1", "We relay for this host, but not to this domain: its administrator can list it"
    ),
    RelayReason.RATE: Reply(451, "4.7.1", "This host has sent as much as it may in an hour: try again later"),
}


@final
class Relays:
    """The relay rules of a process, how much of each was used this hour, and where connections come from."""

    def __init__(self, rules: Sequence[RelayRule], origins: Origins, clock: Callable[[], float], log: Log) -> None:
        self._policy: Final = RelayPolicy(rules)
        self._hosts: Final = NetworkSet(host for rule in rules for host in rule.hosts)
        self._origins: Final = origins
        self._clock: Final = clock
        self._log: Final = log
        self._hour_began = 0.0
        self._used: dict[str, int] = {}

    def hidden(self, peer: str) -> bool:
        """Do strangers arrive under this address?"""
        return self._origins.hidden(peer)

    def listed(self, peer: str) -> bool:
        """Is it a server of ours that a rule names?"""
        return peer in self._hosts and not self._origins.hidden(peer)

    def greeted(self, peer: str, name: str, trace: TraceId) -> None:
        """A stranger called itself `name`; what that says of addresses is told loudly, once per period."""
        event = self._origins.saw(peer, name, self._clock())
        if event is not None:
            self._log.error(
                "security.origin-hidden",
                peer=event.address,
                trace=trace,
                connections=event.connections,
                names=event.names,
                remedy="strangers arrive under this address (NAT, container, proxy): it is in no allow list and relays "
                "nothing until addresses get through; use the host's network, or a proxy that speaks PROXY v2",
            )

    def judge(self, peer: str, sender: Address | None, recipient: Address) -> RelayRule | Refused:
        """By which rule a recipient elsewhere is taken from somebody who has not signed in, or why not."""
        now = self._clock()
        if not 0 <= now - self._hour_began < HOUR_S:
            self._hour_began = now
            self._used.clear()
        domain = None if sender is None else sender.domain
        verdict = self._policy.decide(
            RelayEvidence(peer, domain, recipient.domain, self._origins.hidden(peer)), self._used
        )
        if isinstance(verdict, Allow):
            self._used[verdict.rule.name] = self._used.get(verdict.rule.name, 0) + 1
            return verdict.rule
        return Refused(verdict.reason.value, REPLIES[verdict.reason])
