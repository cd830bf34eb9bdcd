"""Who may open a session on a listener."""

from dataclasses import dataclass
from enum import Enum
from typing import Final, final

from poterne.values.networks import NetworkSet


class Reason(Enum):
    """Why a session was not opened; the value is the stable word for logs and metrics."""

    DENIED = "denied"
    """On the listener's deny list."""
    NOT_LISTED = "not-listed"
    """The listener has an allow list, and this address is not on it."""
    HIDDEN = "hidden-origin"
    """On the allow list, but strangers arrive under this address too (`policy.origin`), so the list says nothing of it."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """`reason` is None for who may come in."""

    reason: Reason | None = None

    @property
    def allowed(self) -> bool:
        return self.reason is None


_ALLOWED: Final = Verdict()
_DENIED: Final = Verdict(Reason.DENIED)
_NOT_LISTED: Final = Verdict(Reason.NOT_LISTED)
_HIDDEN: Final = Verdict(Reason.HIDDEN)


@final
class Access:
    """The allow and deny lists of a listener. Deny goes before allow; an empty allow list lets everybody in.

    An address that is none (a peer we can't name) is on no list.
    """

    __slots__ = ("_allow", "_deny", "open")

    def __init__(self, allow: NetworkSet, deny: NetworkSet) -> None:
        self._allow = allow
        self._deny = deny
        self.open = not allow and not deny
        """There is nothing to look up: whoever comes may come in."""

    def decide(self, address: str, *, hidden: bool = False) -> Verdict:
        """May this address open a session? `hidden`: strangers are known to arrive under it."""
        if self.open:
            return _ALLOWED
        if self._deny and address in self._deny:
            return _DENIED
        if not self._allow:
            return _ALLOWED
        if address not in self._allow:
            return _NOT_LISTED
        return _HIDDEN if hidden else _ALLOWED
