"""`[dkim]`: the signature that our mail leaves with (RFC 6376)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from poterne.config.fields import setting

_BOTH: Final = "rsa+ed25519"
_DAY_S: Final = 86_400


@dataclass(frozen=True, slots=True)
class Dkim:
    """`[dkim]`: signing of mail that leaves, and the life of the keys. Keys are made by `poterne domain add`."""

    sign: bool = setting(
        True,
        "Mail in the name of our domains leaves with a signature of its author's domain.",
        why="Without one, forwarded mail of ours can't be told from forged mail, and large providers refuse it.",
        risk="Only for a server whose smart host signs.",
    )
    algorithms: str = setting(
        _BOTH,
        "Which keys a domain has: RSA of 2048 bits, which everybody verifies, and Ed25519 (RFC 8463) beside it.",
        choices=(_BOTH, "rsa"),
    )
    rotate_days: int = setting(
        180,
        "Days after which a key gets a successor: the log, an event and `poterne dkim list` say what to publish, and once that "
        "is in DNS the new key signs. 0: never by itself.",
        why="A key that was copied unseen is of use for so long at the most.",
        minimum=0,
        maximum=3_650,
    )
    keep_days: int = setting(
        14,
        "Days that the record of a key stays published after it signed last.",
        why="What it signed may wait for days in the queues of others, and is verified when it arrives.",
        risk="Shorter than mail waits in queues, late mail is taken for forged.",
        minimum=1,
        maximum=365,
    )


def algorithms(dkim: Dkim) -> tuple[str, ...]:
    """The words of a= (RFC 6376 §3.5), in the order of the signatures."""
    return ("rsa-sha256", "ed25519-sha256") if dkim.algorithms == _BOTH else ("rsa-sha256",)


def of_dkim(dkim: Dkim, give_up_s: int) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """What is wrong with it: key, fault, remedy. `give_up_s`: how long our own queue keeps mail."""
    if dkim.keep_days * _DAY_S < give_up_s:
        yield (
            ("dkim", "keep_days"),
            "is less than the time that mail waits in the queue ([queue] give_up_s)",
            f"write keep_days = {-(-give_up_s // _DAY_S) + 2} or more",
        )
