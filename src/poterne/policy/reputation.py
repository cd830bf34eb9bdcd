"""What is done with what DNS tells about a server that writes to us: nothing but a note, a delay, or a refusal.

What is not known (yet) is never held against anybody. Of several findings the gravest decides, and each delays.
"""

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final, final

from poterne.config.dns import Reputation as Settings
from poterne.values.address import AddressError, AddressLiteral
from poterne.values.networks import address_number

MAX_SLOW_S: Final = 20
_MAX_NAMED: Final = 3
"""Lists named in one refusal."""


class Reverse(Enum):
    """What names the address has in DNS, and where they lead."""

    UNKNOWN = "unknown"
    CONFIRMED = "confirmed"
    """A name of it leads back to it (RFC 8601 §2.7.3, "iprev")."""
    NONE = "none"
    ELSEWHERE = "elsewhere"
    """It has names; none leads back."""


class Helo(Enum):
    """What the name is that it introduced itself with."""

    UNKNOWN = "unknown"
    MATCHES = "matches"
    """The name, or the address literal, is this peer's."""
    RESOLVES = "resolves"
    """A name in DNS, with other addresses: farms of servers do that."""
    UNRESOLVED = "unresolved"
    """Not in DNS, or without an address."""
    OURS = "ours"
    LOCALHOST = "localhost"
    BARE_ADDRESS = "bare-address"
    FOREIGN_LITERAL = "foreign-literal"
    SINGLE_LABEL = "single-label"


@dataclass(frozen=True, slots=True)
class Listing:
    """A blocklist has this address. `list_name` may be shown to everybody; `text` is the list's own words, for the log."""

    list_name: str
    codes: tuple[str, ...]
    text: str = ""


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that is known of a peer. Not `complete`: some answers were not there in time."""

    peer: str
    reverse: Reverse = Reverse.UNKNOWN
    reverse_name: str = ""
    """Of CONFIRMED."""
    listings: tuple[Listing, ...] = ()
    helo: Helo = Helo.UNKNOWN
    complete: bool = False


class Action(Enum):
    """In the order of their weight."""

    NOTE = "note"
    SLOW = "slow"
    REFUSE = "refuse"


class Reason(Enum):
    """What was found; the value is the stable word for logs and metrics."""

    LISTED = "dnsbl"
    NO_REVERSE = "reverse-none"
    REVERSE_ELSEWHERE = "reverse-elsewhere"
    HELO_OURS = "helo-ours"
    HELO_LOCALHOST = "helo-localhost"
    HELO_BARE_ADDRESS = "helo-bare-address"
    HELO_FOREIGN_LITERAL = "helo-foreign-literal"
    HELO_SINGLE_LABEL = "helo-single-label"
    HELO_UNRESOLVED = "helo-unresolved"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A reply of class 550: an enhanced code and a text for whoever reads the other side's log."""

    enhanced: str
    text: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do, and every reason found, also those that were only noted. `slow_s`: how long the answer to MAIL waits.

    `refusal` is there exactly when the action is REFUSE.
    """

    action: Action
    reasons: tuple[Reason, ...] = ()
    slow_s: int = 0
    refusal: Refusal | None = None


FINE: Final = Verdict(Action.NOTE)


def helo_shape(name: str, peer: str, hostname: str, here: str = "") -> Helo | None:
    """What can be said of a HELO name without DNS; None: look it up. `here` is the address of ours that it connected to."""
    bare = name.removesuffix(".").lower()
    if bare == hostname.lower():
        return Helo.OURS
    if bare.startswith("["):
        return _literal(name, peer, here)
    labels = bare.split(".")
    if address_number(bare) is not None or labels[-1].isdigit() or ":" in bare:
        return Helo.BARE_ADDRESS
    if labels[-1] in {"localhost", "localdomain"}:
        return Helo.LOCALHOST
    return Helo.SINGLE_LABEL if len(labels) == 1 else None


def _literal(text: str, peer: str, here: str) -> Helo:
    try:
        number = address_number(str(AddressLiteral.parse(text).ip))
    except AddressError:
        return Helo.FOREIGN_LITERAL
    if number == address_number(peer):
        return Helo.MATCHES
    return Helo.OURS if here and number == address_number(here) else Helo.FOREIGN_LITERAL


@final
class Rules:
    """The settings, read once."""

    __slots__ = ("_agree", "_dnsbl", "_helo", "_reverse", "_slow_s")

    def __init__(self, settings: Settings) -> None:
        self._dnsbl = Action(settings.dnsbl_action)
        self._agree = settings.dnsbl_agree
        self._reverse = Action(settings.reverse_action)
        self._helo = Action(settings.helo_action)
        self._slow_s = settings.slow_s

    def decide(self, evidence: Evidence) -> Verdict:
        """What to do with this peer."""
        findings = [*self._of_address(evidence), *self._of_helo(evidence.helo)]
        if not findings:
            return FINE
        reasons = tuple(reason for reason, _ in findings)
        refusing = next((reason for reason, action in findings if action is Action.REFUSE), None)
        if refusing is not None:
            return Verdict(Action.REFUSE, reasons, 0, _refusal(refusing, evidence))
        slow_s = min(MAX_SLOW_S, self._slow_s * sum(action is Action.SLOW for _, action in findings))
        return Verdict(Action.SLOW if slow_s else Action.NOTE, reasons, slow_s)

    def _of_address(self, evidence: Evidence) -> list[tuple[Reason, Action]]:
        findings: list[tuple[Reason, Action]] = []
        if evidence.listings:
            alone = len({listing.list_name for listing in evidence.listings}) < self._agree
            findings.append((Reason.LISTED, Action.SLOW if alone and self._dnsbl is Action.REFUSE else self._dnsbl))
        reason = _OF_REVERSE.get(evidence.reverse)
        if reason is not None:
            findings.append((reason, self._reverse))
        return findings

    def _of_helo(self, helo: Helo) -> list[tuple[Reason, Action]]:
        reason = _OF_HELO.get(helo)
        if reason is None:
            return []
        lies = reason is Reason.HELO_OURS and self._helo is not Action.NOTE
        return [(reason, Action.REFUSE if lies else self._helo)]


_OF_REVERSE: Final = {Reverse.NONE: Reason.NO_REVERSE, Reverse.ELSEWHERE: Reason.REVERSE_ELSEWHERE}
_OF_HELO: Final = {
    Helo.OURS: Reason.HELO_OURS,
    Helo.LOCALHOST: Reason.HELO_LOCALHOST,
    Helo.BARE_ADDRESS: Reason.HELO_BARE_ADDRESS,
    Helo.FOREIGN_LITERAL: Reason.HELO_FOREIGN_LITERAL,
    Helo.SINGLE_LABEL: Reason.HELO_SINGLE_LABEL,
    Helo.UNRESOLVED: Reason.HELO_UNRESOLVED,
}
_URL: Final = re.compile(r"https?://[A-Za-z0-9._~:/?#@!$&+,;=%-]{4,150}")
_REVERSE_TEXT: Final = (
    "has no name in DNS that leads back to it: have your provider set its reverse name (PTR), give that name this address, "
    "then send again"
)


def _refusal(reason: Reason, evidence: Evidence) -> Refusal:
    if reason is Reason.LISTED:
        return Refusal("5.7.1", _listed_text(evidence))
    if reason in {Reason.NO_REVERSE, Reason.REVERSE_ELSEWHERE}:
        return Refusal("5.7.25", f"{evidence.peer} {_REVERSE_TEXT}")  # RFC 7372 §3.3
    if reason is Reason.HELO_OURS:
        return Refusal(
            "5.7.1", "You introduced yourself with the name of this server: configure your own, then send again"
        )
    return Refusal(
        "5.7.1",
        "You introduced yourself with a name that DNS does not know: configure your server's full name, then send again",
    )


def _listed_text(evidence: Evidence) -> str:
    listings = evidence.listings[:_MAX_NAMED]
    names = " and ".join(dict.fromkeys(listing.list_name for listing in listings))
    hint = next((found[0] for listing in listings if (found := _URL.search(listing.text))), None)
    where = f"see {hint}" if hint else "look the address up on the pages of that list"
    return f"{evidence.peer} is on the blocklist {names}: {where}, have it removed there, then send again"
