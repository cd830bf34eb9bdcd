"""What every SASL mechanism gives."""

from dataclasses import dataclass
from typing import Protocol, TypeAlias

from poterne.values.secret import Secret


@dataclass(frozen=True, slots=True)
class Challenge:
    """Send this, then hand the client's response to `Exchange.step`."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Credentials:
    """The client's claim, to be checked by the caller. The exchange is over.

    `authcid` is who signs in; `authzid` whom the client wants to act as, "" when not given: anything but "" or the same
    identity must be refused unless the account was granted it (RFC 4616 §2).
    """

    authcid: str
    password: Secret
    authzid: str = ""


@dataclass(frozen=True, slots=True)
class Malformed:
    """The response breaks the mechanism's syntax. The exchange is over; `code` is for logs and counters."""

    code: str


Step: TypeAlias = Challenge | Credentials | Malformed


class Exchange(Protocol):
    """One authentication attempt. `start`, then `step` while the answer is a Challenge. Never raises on what a peer sent."""

    def start(self, initial: Secret | None) -> Step:
        """`initial` is the decoded initial response, None when there was none (not the same as an empty one)."""

    def step(self, response: Secret) -> Step:
        """The client's answer to the last challenge."""
