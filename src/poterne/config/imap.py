"""`[imap]`, and what is wrong with it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from poterne.config.fields import made, setting
from poterne.values.capabilities import CapabilityError, checked

_URI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[!-~]{1,1000}").fullmatch
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
    max_watched_mailboxes: int = setting(
        2000,
        "Mailboxes that an account may have for its clients to be notified of changes in them (NOTIFY, RFC 5465).",
        minimum=10,
        maximum=100_000,
        why="Each change is held against them; a client that may not watch them is told so, and still sees all by asking.",
    )
    utf8_needs_enable: bool = setting(
        False,
        "Refuse an APPEND whose header is UTF-8 from clients that have not said ENABLE UTF8=ACCEPT.",
        why="RFC 9755 §4 demands it, but programs that copy mail (mbsync, imapsync) never say so, and would lose such mail.",
        risk="With it, moving mail in from another server fails for each message with such a header.",
    )
    compress: bool = setting(
        True,
        "Let clients compress the connection after sign-in (COMPRESS=DEFLATE, RFC 4978).",
        why="Lists of messages and their text become two to six times shorter, which a phone on a bad line feels. Passwords "
        "are never in it: it begins after sign-in.",
        risk="Compressed, the length of what is encrypted tells something of its content. Who can watch the line, send mail "
        "to its reader, and do both hundreds of times for each letter guessed might find out what stands in mail beside "
        "theirs (CRIME). Lengths are blurred by chance and large messages are compressed by themselves, which makes it "
        "slower, not impossible. Turn it off where such an adversary is likely.",
    )
    compress_most: int = setting(
        2_000,
        "Connections of one worker that may compress; others are told that it is not possible now, and go on without.",
        minimum=0,
        maximum=1_000_000,
        why="Each holds up to 36 KiB more while it is idle (most often 5), and up to 210 while its client sends much.",
    )
    metadata_value_bytes: int = setting(
        16_384,
        "Octets of one METADATA value.",
        minimum=1024,
        maximum=65_536,
        why="RFC 5464 §4.1 wants 1024 at least. Programs keep colours, comments and filters there, not files.",
    )
    metadata_entries: int = setting(
        1000,
        "METADATA entries: shared ones of an account and all its mailboxes; and private ones that an account keeps, wherever.",
        minimum=10,
        maximum=100_000,
        risk="Each may be as large as metadata_value_bytes, and does not count for the quota.",
    )
    admin_contact: str = setting(
        "",
        'How users reach who runs this server: "mailto:help@example.org", "tel:+33-1-23-45-67-89" or another URI. Programs '
        "see it as the METADATA entry /shared/admin.",
    )
    server_comment: str = setting("", "What programs may show of this server: the METADATA entry /shared/comment.")
    share_across_domains: bool = setting(
        False,
        "Accounts of one domain may share mailboxes with accounts of another domain, by address.",
        why="A server often serves several organisations: nothing of one is to be seen in another by mistake.",
        risk="With it, a user can find out which addresses exist in the other domains of this server.",
    )
    without: list[str] = made(
        list,
        'Capabilities that no client is offered, for example ["COMPRESS", "NOTIFY"]: what mail programs here are broken in.',
        why="A fault of one program is better kept from one account: poterne account imap ADDRESS --without NAME.",
        risk="Mail programs get slower, or poll. What needs a capability goes with it. Open sessions keep what they had.",
    )


def of_imap(imap: Imap) -> Iterator[Danger]:
    """Key, what is wrong, remedy."""
    if imap.admin_contact and not _URI(imap.admin_contact):
        yield ("imap", "admin_contact"), "is not a URI", 'write for example "mailto:help@example.org"'
    try:
        checked(imap.without)
    except CapabilityError as error:
        yield ("imap", "without"), error.what, error.remedy
