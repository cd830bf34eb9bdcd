"""`[imap]`, and what is wrong with it."""

from collections.abc import Iterator
from dataclasses import dataclass

from poterne.config.fields import made, setting
from poterne.values.capabilities import CapabilityError, checked

Danger = tuple[tuple[str, ...], str, str]


@dataclass(frozen=True, slots=True)
class Imap:
    """`[imap]`: reading with IMAP."""

    max_append_bytes: int = setting(
        52_428_800, "Largest message a client may APPEND.", minimum=65_536, maximum=2_097_152_000
    )
    login_timeout_s: int = setting(60, "Seconds a client has to sign in.", minimum=10, maximum=600)
    idle_timeout_s: int = setting(
        1800,
        "Seconds without a command before the connection ends (RFC 9051 §5.4: 30 minutes at least).",
        minimum=1800,
        maximum=86_400,
    )
    max_bad_commands: int = setting(
        20, "Wrong commands after which the connection ends (3 before sign-in).", minimum=3, maximum=10_000
    )
    max_searched_mailboxes: int = setting(
        1000,
        "Mailboxes that one ESEARCH may search (RFC 7377); beyond, it is refused.",
        minimum=1,
        maximum=100_000,
        why="A search of many mailboxes is one command, but as much work as each of them alone.",
    )
    utf8_needs_enable: bool = setting(
        False,
        "Refuse an APPEND whose header is UTF-8 from clients that have not said ENABLE UTF8=ACCEPT.",
        why="RFC 9755 §4 demands it, but programs that copy mail (mbsync, imapsync) never say so, and would lose such mail.",
        risk="With it, moving mail in from another server fails for each message with such a header.",
    )
    without: list[str] = made(
        list,
        'Capabilities that no client is offered, for example ["COMPRESS", "NOTIFY"]: what mail programs here are broken in.',
        why="A fault of one program is better kept from one account: poterne account imap ADDRESS --without NAME.",
        risk="Mail programs get slower, or poll. What needs a capability goes with it. Open sessions keep what they had.",
    )


def of_imap(imap: Imap) -> Iterator[Danger]:
    """Key, what is wrong, remedy."""
    try:
        checked(imap.without)
    except CapabilityError as error:
        yield ("imap", "without"), error.what, error.remedy
