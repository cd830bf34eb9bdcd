"""`[reports]`: reports about authentication, those that we send and those that come, and what is wrong in these settings."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from poterne.config.fields import setting

_LOCAL_PART: Final = re.compile(r"[A-Za-z0-9!#$%&'*/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*/=?^_`{|}~-]+)*")
_LOCAL_PART_MOST: Final = 64
_OF_PEOPLE: Final = frozenset(("postmaster", "abuse"))
"""Roles that others write to (RFC 5321 §4.5.1, RFC 2142)."""


@dataclass(frozen=True, slots=True)
class Reports:
    """`[reports]`: DMARC (RFC 9990) and TLS (RFC 8460) reports."""

    send: bool = setting(
        True,
        "Once a day, tell domains that ask for it in their DMARC record what came in their name: numbers, no content and no "
        "recipient. Reports about TLS have a setting of their own, in [outbound_tls].",
        why="It is how they find out who forges them, and which of their own servers they forgot.",
    )
    format: str = setting(
        "rfc9990",
        'Form of the DMARC reports that we send. "rfc9990": the standard. "rfc7489": what was before it, for who is known to '
        "read nothing else.",
        choices=("rfc9990", "rfc7489"),
        why="Who reads reports by the names of their elements reads both.",
    )
    dmarc_address: str = setting(
        "dmarc-reports",
        "Local part, in each of our domains, that DMARC reports are sent from and that others send theirs to. What comes there "
        "is read by the server. Empty: nothing is read, and we send as postmaster.",
    )
    tls_address: str = setting(
        "tls-reports",
        "The same for reports about TLS that others send.",
    )
    organisation: str = setting(
        "",
        "Name of the organisation that stands in our reports. Empty: the domain that sends them.",
    )
    contact: str = setting(
        "",
        "Where whoever wonders about our reports finds help, as they show it: an address, or a web page. Empty: nothing.",
    )
    keep_days: int = setting(
        400,
        "Days that what reports of others said is kept.",
        why="A year can be compared with the one before it.",
        minimum=7,
        maximum=3_650,
    )
    unproven: str = setting(
        "keep",
        'Reports that come without a proof of who sent them (no DKIM signature that fits, no SPF). "keep": they count, and are '
        'shown as unproven. "ignore": they are thrown away.',
        choices=("keep", "ignore"),
        why="Some honest reporters do not sign their own reports.",
        risk='"keep": whoever knows the address can invent numbers; nothing is decided by them but advice to you.',
    )
    alarms: bool = setting(
        True,
        "Tell the postmaster of a domain by mail, once, when its mail comes from a new source, when less of it passes DMARC than "
        "before, and when reports stop coming.",
    )
    max_report_mib: int = setting(10, "Largest report, as it comes; what is larger is not read.", minimum=1, maximum=50)
    max_expanded_mib: int = setting(
        32,
        "Largest report, unpacked. What expands further, or 250 times, is not read.",
        minimum=1,
        maximum=256,
        why="A mail of 1 MiB can expand to 1 GiB.",
    )
    max_rows: int = setting(
        20_000,
        "Records read of one report; the others are left out, with a warning.",
        minimum=100,
        maximum=50_000,
        why="So many take a second of a processor.",
    )


def of_reports(settings: Reports) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """What is wrong in this table: (key, what, what to do)."""
    for key, text in (("dmarc_address", settings.dmarc_address), ("tls_address", settings.tls_address)):
        if text and (len(text) > _LOCAL_PART_MOST or _LOCAL_PART.fullmatch(text) is None):
            yield ("reports", key), f'"{text}" is not the local part of an address', 'write for example "reports"'
        elif text.lower() in _OF_PEOPLE:
            what = f'mail for "{text}" is for somebody to read, and would be thrown away where it is no report'
            yield ("reports", key), what, 'write for example "reports"'
    if settings.dmarc_address and settings.dmarc_address.lower() == settings.tls_address.lower():
        yield (
            ("reports", "tls_address"),
            "both kinds of reports would come to the same address",
            "give each kind a name of its own",
        )
    for key, text in (("organisation", settings.organisation), ("contact", settings.contact)):
        if len(text) > _TEXT_MOST or not text.isprintable():
            yield ("reports", key), f"not one line of {_TEXT_MOST} characters at most", "shorten it"


_TEXT_MOST: Final = 200
