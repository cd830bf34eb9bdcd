"""Our signing keys as they are kept, and the life that each has."""

from dataclasses import dataclass
from enum import Enum

from poterne.values.secret import Secret


class KeyState(Enum):
    """In the order of a key's life; the value is the stable word."""

    NEXT = "next"
    """To be published. It signs nothing before it was seen in DNS."""
    ACTIVE = "active"
    """It signs."""
    RETIRED = "retired"
    """It signs nothing any more, and stays published until what it signed has arrived."""


@dataclass(frozen=True, slots=True)
class DkimKey:
    """A key pair of a domain. Domain and selector are A-labels in lower case. Times are Unix seconds."""

    domain: str
    selector: str
    algorithm: str
    """`rsa-sha256` or `ed25519-sha256`."""
    private: Secret
    """PEM, PKCS #8."""
    state: KeyState
    created_at: int
    changed_at: int
    """When it got into its state."""
    seen_at: int = 0
    """When it was first seen in DNS as it should be; 0: never."""
