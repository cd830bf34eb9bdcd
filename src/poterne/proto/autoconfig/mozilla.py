"""The configuration file of Thunderbird, and of what reads the same: clientConfig, version 1.1.

Format: Thunderbird's "Autoconfiguration" pages, and the IETF draft "mail autoconfig". Clients put the address where it says
%EMAILADDRESS%, so that one file serves a whole domain.
"""

from collections.abc import Iterator
from html import escape
from typing import Final

from poterne.proto.autoconfig.offer import Door, Offer, Protocol
from poterne.proto.autoconfig.texts import LANGUAGES, say

CONTENT_TYPE: Final = "text/xml"
PATH: Final = "/mail/config-v1.1.xml"
WELL_KNOWN_PATH: Final = "/.well-known/autoconfig/mail/config-v1.1.xml"


def document(offer: Offer, domain: str) -> bytes:
    """The file for a domain (A-labels)."""
    return "\n".join((*_lines(offer, escape(domain)), "")).encode("utf-8")


def _lines(offer: Offer, domain: str) -> Iterator[str]:
    yield '<?xml version="1.0" encoding="UTF-8"?>'
    yield '<clientConfig version="1.1">'
    yield f'  <emailProvider id="{domain}">'
    yield f"    <domain>{domain}</domain>"
    yield f"    <displayName>{domain}</displayName>"
    yield f"    <displayShortName>{domain}</displayShortName>"
    for door in offer.doors:
        side = "outgoing" if door.protocol is Protocol.SMTP else "incoming"
        yield f'    <{side}Server type="{door.protocol.value}">'
        yield from _door(door)
        yield f"    </{side}Server>"
    yield f'    <documentation url="{escape(offer.web)}/">'
    for language in LANGUAGES:
        yield f'      <descr lang="{language}">{escape(say("title", language))}</descr>'
    yield "    </documentation>"
    yield "  </emailProvider>"
    yield "</clientConfig>"


def _door(door: Door) -> Iterator[str]:
    yield f"      <hostname>{escape(door.host)}</hostname>"
    yield f"      <port>{door.port}</port>"
    yield f"      <socketType>{'SSL' if door.implicit else 'STARTTLS'}</socketType>"
    yield "      <authentication>password-cleartext</authentication>"
    yield "      <username>%EMAILADDRESS%</username>"
