"""All reports that a mail, or a file, holds. Never raises, whatever the octets; time and memory are bounded by `Limits`."""

import re
from collections.abc import Iterator
from typing import Final

from poterne.mailauth.reports_in import aggregate, failure, tls, unpack
from poterne.mailauth.reports_in.outcome import FailureReport, Fault, Limits, Reading, ReportError
from poterne.message.decode import transfer_decoded
from poterne.message.limits import Limits as MessageLimits
from poterne.message.scan import Scanner
from poterne.values.dmarc import DmarcReport
from poterne.values.mime import Part
from poterne.values.reports import TlsReport

DOCUMENTS_MOST: Final = 10
"""Read of one mail. Reports come one in a mail."""
_SCAN: Final = MessageLimits(depth=12, parts=100, header_bytes=64 * 1024, all_headers_bytes=256 * 1024)
_XML: Final = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml|<!--|<(?:[A-Za-z0-9_-]{1,32}:)?feedback[\s>])", re.IGNORECASE)
_UTF16_XML: Final = (b"\xff\xfe<\x00", b"\xfe\xff\x00<", b"<\x00?\x00", b"\x00<\x00?")
_JSON: Final = re.compile(rb"(?:\xef\xbb\xbf)?\s*\{")
_UTF16_JSON: Final = (b"\xff\xfe{\x00", b"\xfe\xff\x00{")
_DOCTYPE: Final = re.compile(rb"(?:\xef\xbb\xbf)?\s*<!DOCTYPE(?!\s+html)", re.IGNORECASE)
_HIDDEN_BASE64: Final = re.compile(rb"\s*(?:H4sI|UEsDB|PD94bWwg)")
"""gzip, zip and `<?xml `, in a part that does not say that it is base64."""
_HEAD: Final = 512
_HTML: Final = re.compile(rb"\s*(?:<!doctype\s+html|<html)", re.IGNORECASE)


def mail(octets: bytes, limits: Limits, now: int) -> Reading:
    """Of a message as it was stored."""
    if len(octets) > limits.report_bytes:
        return Reading(faults=(Fault.TOO_LARGE,))
    octets = octets.lstrip(b" \t\r\n")
    found = _Found(limits, now)
    for part in _leaves(Scanner(_SCAN).scan_whole(octets).root):
        found.part(octets, part)
        if found.full:
            break
    return found.reading()


def file(octets: bytes, limits: Limits, now: int) -> Reading:
    """Of a file that may be a report as it is, packed or not, or a message. Lines may end in LF."""
    if len(octets) > limits.report_bytes:
        return Reading(faults=(Fault.TOO_LARGE,))
    if unpack.looks_packed(octets) or _bare(octets[:_HEAD]):
        found = _Found(limits, now)
        found.document(octets)
        return found.reading()
    if b"\r\n" not in octets[:4096]:
        octets = octets.replace(b"\n", b"\r\n")
    return mail(octets, limits, now)


def _bare(head: bytes) -> bool:
    """XML or JSON by its first octets."""
    xml = _XML.match(head) or _DOCTYPE.match(head) or head.startswith(_UTF16_XML)
    return bool(xml) or _is_json(head)


def _is_json(head: bytes) -> bool:
    return bool(_JSON.match(head)) or head.startswith(_UTF16_JSON)


def _leaves(part: Part) -> Iterator[Part]:
    """Parts without parts; of an enclosed message too, for reports are forwarded. Its failure report comes before the message."""
    if part.children:
        for child in part.children:
            yield from _leaves(child)
    elif part.message is not None:
        yield from _leaves(part.message)
    else:
        yield part


class _Found:
    """What was read so far."""

    def __init__(self, limits: Limits, now: int) -> None:
        self._limits: Final = limits
        self._now: Final = now
        self._dmarc: Final[list[DmarcReport]] = []
        self._tls: Final[list[TlsReport]] = []
        self._failures: Final[list[FailureReport]] = []
        self._faults: Final[list[Fault]] = []

    @property
    def full(self) -> bool:
        return len(self._dmarc) + len(self._tls) + len(self._faults) >= DOCUMENTS_MOST or bool(self._failures)

    def part(self, message: bytes, part: Part) -> None:
        body = message[part.body_start : part.body_end]
        if (part.type, part.subtype) == (b"message", b"feedback-report"):
            read = failure.read(transfer_decoded(body, part.encoding, failure.READ_MOST))
            if read is not None:
                self._failures.append(read)
            return
        if part.type in {b"image", b"audio", b"video"}:
            return
        encoding = part.encoding
        if encoding not in {b"base64", b"quoted-printable"} and _HIDDEN_BASE64.match(body):
            encoding = b"base64"
        head = transfer_decoded(body[: 2 * _HEAD], encoding)[:_HEAD]
        if _HTML.match(head) or not (unpack.looks_packed(head) or _bare(head)):
            return
        self.document(transfer_decoded(body, encoding, self._limits.report_bytes))

    def document(self, octets: bytes) -> None:
        try:
            head = next(unpack.document(octets, self._limits), b"")[:_HEAD]
            if _is_json(head):
                self._tls.append(tls.read(unpack.document(octets, self._limits), self._limits, self._now))
            else:
                self._dmarc.append(
                    aggregate.read(lambda: unpack.document(octets, self._limits), self._limits, self._now)
                )
        except ReportError as error:
            self._faults.append(error.fault)

    def reading(self) -> Reading:
        faults = tuple(self._faults)
        if not (faults or self._dmarc or self._tls or self._failures):
            faults = (Fault.NOTHING,)
        return Reading(tuple(self._dmarc), tuple(self._tls), tuple(self._failures), faults)
