"""Autodiscover as Outlook does it for IMAP and POP3: a POST with a little XML, and settings in the schema "outlook 2006a".

Source: [MS-OXDSCLI] §2.2.3, §2.2.4, §3.1.5. A refusal has status 200 and an Error element, as clients expect it.

The request is a stranger's: it is read in one piece that HTTP bounds, in UTF-8, without DTD and entities, with bounded depth, and
nothing but two texts is kept.
"""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from html import escape
from typing import Final, final
from xml.parsers import expat

from poterne.proto.autoconfig.offer import Door, Offer, Protocol

CONTENT_TYPE: Final = "text/xml"
PATH: Final = "/autodiscover/autodiscover.xml"
"""In lower case; clients write it in several ways."""
SCHEMA: Final = "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a"
_ENVELOPE: Final = "http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006"
_DEPTH_MOST: Final = 8
_TEXT_MOST: Final = 1024
_ADDRESS: Final = "emailaddress"
_WANTED: Final = "acceptableresponseschema"


class Error(IntEnum):
    """[MS-OXDSCLI] §2.2.4.1.1.1.1."""

    ADDRESS = 500
    REQUEST = 600
    SCHEMA = 601


_WORDS: Final = {
    Error.ADDRESS: "The email address cannot be found.",
    Error.REQUEST: "Invalid request",
    Error.SCHEMA: "Provider is not available",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request asks for, as it is written there."""

    address: str
    schema: str


class _Refused(Exception):  # noqa: N818  (what is read here is refused, nothing failed)
    """It is not read on."""


@final
class _Reading:
    def __init__(self) -> None:
        self.found: dict[str, str] = {}
        self._path: list[str] = []
        self._text = ""

    def start(self, name: str, _attributes: object) -> None:
        self._path.append(name.rpartition(":")[2].lower())
        self._text = ""
        if len(self._path) > _DEPTH_MOST:
            raise _Refused

    def end(self, _name: str) -> None:
        self.found.setdefault(self._path.pop(), self._text.strip())
        self._text = ""

    def text(self, text: str) -> None:
        self._text += text
        if len(self._text) > _TEXT_MOST:
            raise _Refused

    def refuse(self, *_: object) -> None:
        raise _Refused


def read(body: bytes) -> Asked | None:
    """What is asked for; None when it can't be read. Never raises."""
    reading = _Reading()
    parser = expat.ParserCreate("utf-8")
    parser.buffer_text = True
    parser.StartElementHandler = reading.start
    parser.EndElementHandler = reading.end
    parser.CharacterDataHandler = reading.text
    parser.StartDoctypeDeclHandler = reading.refuse
    parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
    try:
        parser.Parse(body, True)
    except (_Refused, expat.ExpatError, ValueError):
        return None
    address = reading.found.get(_ADDRESS)
    return None if not address else Asked(address, reading.found.get(_WANTED, ""))


def settings(offer: Offer, address: str) -> bytes:
    """The answer for an address of ours."""
    lines = [
        f'  <Response xmlns="{SCHEMA}">',
        "    <Account>",
        "      <AccountType>email</AccountType>",
        "      <Action>settings</Action>",
    ]
    for protocol in Protocol:
        door = offer.best(protocol)
        if door is not None:
            lines += ["      <Protocol>", *_protocol(door, escape(address)), "      </Protocol>"]
    return _document([*lines, "    </Account>", "  </Response>"])


def refusal(error: Error, now: dt.datetime) -> bytes:
    lines = [
        "  <Response>",
        f'    <Error Time="{now:%H:%M:%S.%f}" Id="0">',
        f"      <ErrorCode>{error.value}</ErrorCode>",
        f"      <Message>{_WORDS[error]}</Message>",
        "      <DebugData/>",
        "    </Error>",
        "  </Response>",
    ]
    return _document(lines)


def _protocol(door: Door, address: str) -> Iterator[str]:
    yield f"        <Type>{door.protocol.name}</Type>"
    yield f"        <Server>{escape(door.host)}</Server>"
    yield f"        <Port>{door.port}</Port>"
    yield "        <DomainRequired>off</DomainRequired>"
    yield f"        <LoginName>{address}</LoginName>"
    yield "        <SPA>off</SPA>"
    yield "        <SSL>on</SSL>"
    yield f"        <Encryption>{'SSL' if door.implicit else 'TLS'}</Encryption>"
    yield "        <AuthRequired>on</AuthRequired>"
    if door.protocol is Protocol.SMTP:
        yield "        <UsePOPAuth>on</UsePOPAuth>"
        yield "        <SMTPLast>off</SMTPLast>"


def _document(lines: list[str]) -> bytes:
    head = ['<?xml version="1.0" encoding="utf-8"?>', f'<Autodiscover xmlns="{_ENVELOPE}">']
    return "\n".join((*head, *lines, "</Autodiscover>", "")).encode("utf-8")
