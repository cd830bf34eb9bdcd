"""Why a message from a stranger is taken, kept apart or refused, as stable words, and the facts that texts about it need."""

from dataclasses import dataclass
from enum import Enum


class Reason(Enum):
    """What decided; the value is the stable word for logs, metrics and the message's field."""

    TRUSTED_PEER = "trusted-peer"
    """A server of ours brought it, or one that the settings name: nothing is judged."""
    PROVEN = "proven"
    """The author's domain answers for it."""
    NO_POLICY = "no-policy"
    """It is not proven, and nobody asks for anything then."""
    DMARC_REJECT = "dmarc-reject"
    """The author is not proven, and the domain asks for such mail to be rejected."""
    DMARC_QUARANTINE = "dmarc-quarantine"
    OWN_DOMAIN = "own-domain"
    """The author is of a domain of ours, which does not answer for it."""
    OWN_REVERSE_PATH = "own-reverse-path"
    """The same with the reverse path: bounces would go to somebody who wrote nothing."""
    LOOKALIKE = "lookalike"
    PROVEN_LOOKALIKE = "proven-lookalike"
    DISPLAY_NAME = "display-name"
    SPF_FAIL = "spf-fail"
    UNAUTHENTICATED = "unauthenticated"
    NO_SUCH_DOMAIN = "no-such-domain"
    """The author's domain is not in DNS: nobody is there who could have written it, or could be answered."""
    AUTHOR_DOMAIN = "author-domain"
    """No name that DNS can hold, so nobody can answer for it."""
    DNS = "dns"
    """What the decision depends on could not be had now."""


class Sign(Enum):
    """What speaks for an honest sender although the author is not proven; the value is the stable word."""

    SEALER = "arc-sealer"
    """A named sealer saw the author proven."""
    FORWARDER = "forwarder"
    NAMED_LIST = "named-list"
    KNOWN_LIST = "known-list"
    """A list with a history."""


@dataclass(frozen=True, slots=True)
class Found:
    """A sign, and the domain or address that gives it."""

    sign: Sign
    by: str


@dataclass(frozen=True, slots=True)
class Told:
    """Facts for texts. Strangers wrote them: texts cut them and show what is printable ASCII only."""

    author: str = ""
    """Domain."""
    spf: str = ""
    """What SPF and DKIM came to, in words."""
    dkim: str = ""
    policy: str = ""
    tag: str = ""
    record_at: str = ""
    record: str = ""
    imitated: str = ""
    """The domain, address or name of ours that is meant to be seen."""
    reverse_path: str = ""
    """Domain."""
    unknown: str = ""
    """What DNS could not say: "dmarc", "spf" or "dkim"."""
