"""Whose mail it is: every message that waits to go out has one answerable origin."""

from dataclasses import dataclass
from enum import Enum

from poterne.values.ids import AccountId


class OriginKind(Enum):
    """By what right a message may leave; the value is the stable word."""

    ACCOUNT = "account"
    """Submitted by somebody who signed in."""
    SENDER = "sender"
    """Sent by an approved script (`Sender`)."""
    RELAY = "relay"
    """Relayed for a listed host (`[relay.NAME]`)."""
    FORWARD = "forward"
    """Came in for one of our addresses, which forwards it."""
    ROUTE = "route"
    """Came in for an internal server behind us (`[route.NAME]`)."""
    SYSTEM = "system"
    """Written by this server: notices and reports."""


@dataclass(frozen=True, slots=True)
class Origin:
    """`name`: the account's address, the sender's name, the rule's, the forwarding address, the route's; "" for our own."""

    kind: OriginKind
    name: str
    account_id: AccountId | None = None
    """Who is told when it fails: the account, or the owner of the sender or of the forwarding address. None: nobody."""

    @property
    def key(self) -> str:
        """One text for it: what fairness, limits and incidents go by."""
        return f"{self.kind.value}:{self.name}"
