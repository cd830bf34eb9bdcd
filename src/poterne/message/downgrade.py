"""A message re-encoded so that a strict or old server can take it (RFC 6152 §3, RFC 2045 §6).

Only bodies are changed, each as little as needed: text becomes quoted-printable, other data base64, and the labels follow. What
each part says stays the same, octet for octet, after decoding. Refused where that would harm: inside signed or encrypted parts
(RFC 1847 §2.1), under a DKIM signature, in types that may not be encoded (RFC 2046 §5.2), and in headers.
"""

import binascii
import re
from dataclasses import dataclass
from typing import Final

from poterne.message.scan import Scanner
from poterne.values.mime import Part

_LINE: Final = 998
_ENCODING: Final = re.compile(
    rb"^content-transfer-encoding[ \t]*:(?:[^\r]|\r\n[ \t])*\r\n", re.IGNORECASE | re.MULTILINE
)
_SEALED: Final = frozenset({b"signed", b"encrypted"})
_SEALED_LEAVES: Final = (b"pkcs7-", b"x-pkcs7-", b"pgp-")
_IDENTITY: Final = frozenset({b"7bit", b"8bit", b"binary"})
_BASE64: Final = re.compile(rb"[A-Za-z0-9+/]*={0,2}")
_WANTED: Final = frozenset({b"dkim-signature", b"mime-version"})

_PUBLIC: Final = {
    "dkim": "re-encoding it would break its DKIM signature",
    "sealed": "re-encoding it would break its signature or encryption",
    "header": "they are in its header, which is not changed",
    "type": "they are in a part whose type may not be encoded",
    "structure": "its structure cannot be read",
    "encoding": "the part that has them is encoded wrongly already",
}


class DowngradeError(Exception):
    """It cannot be done without harm. `code`: a stable word of ours; `public` ends the sentence "The message has …, and"."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code
        self.public = _PUBLIC[code]


@dataclass(frozen=True, slots=True)
class _Edit:
    start: int
    end: int
    text: bytes


def downgrade(data: bytes, *, seven_bit: bool) -> bytes:
    """The message with no line over 998 octets, and with `seven_bit` in ASCII only. Raises DowngradeError.

    Costs several times the message in memory; the caller limits the size.
    """
    scanned = Scanner(wanted_fields=_WANTED).scan_whole(data)
    fields = {name for name, _ in scanned.fields}
    if b"dkim-signature" in fields:
        raise DowngradeError("dkim")
    if scanned.truncated:
        raise DowngradeError("structure")
    edits: list[_Edit] = []
    _walk(data, scanned.root, edits, seven_bit=seven_bit, sealed=False)
    if edits and b"mime-version" not in fields:
        edits.append(_Edit(0, 0, b"MIME-Version: 1.0\r\n"))
    changed = _apply(data, edits)
    if _unfit(changed, seven_bit=seven_bit):
        raise DowngradeError("header")  # or around the parts of a multipart: nothing else is left
    return changed


def ascii_headers(data: bytes) -> bool:
    """Whether no header in the message, of a part or of an embedded message either, has an octet above 127."""
    scanned = Scanner().scan_whole(data)
    return not scanned.truncated and _ascii_headers(data, scanned.root)


def _ascii_headers(data: bytes, part: Part) -> bool:
    inner = (*part.children, part.message) if part.message is not None else part.children
    return data[part.header_start : part.body_start].isascii() and all(_ascii_headers(data, each) for each in inner)


def _unfit(text: bytes, *, seven_bit: bool) -> bool:
    return (seven_bit and not text.isascii()) or any(len(line) > _LINE for line in text.split(b"\r\n"))


def _walk(data: bytes, part: Part, edits: list[_Edit], *, seven_bit: bool, sealed: bool) -> bool:
    """Collect the edits that this part needs; whether there are any."""
    if not _unfit(data[part.body_start : part.body_end], seven_bit=seven_bit):
        return False
    sealed = sealed or (part.type == b"multipart" and part.subtype in _SEALED)
    inner = (part.message,) if part.message is not None else part.children
    if not inner:
        if sealed or part.subtype.startswith(_SEALED_LEAVES):
            raise DowngradeError("sealed")
        edits.extend(_leaf(data, part))
        return True
    # No `any` over a generator: every part is to be looked at.
    changed = [_walk(data, each, edits, seven_bit=seven_bit, sealed=sealed) for each in inner]
    if seven_bit and part.encoding in {b"8bit", b"binary"} and any(changed):
        edits.append(_label(data, part, b"7bit"))
    return any(changed)


def _leaf(data: bytes, part: Part) -> tuple[_Edit, ...]:
    body = data[part.body_start : part.body_end]
    if part.encoding == b"base64":
        return (_Edit(part.body_start, part.body_end, _rewrapped(body)),)
    if part.type in {b"message", b"multipart"}:
        raise DowngradeError("type")
    if part.encoding == b"quoted-printable":
        return (_Edit(part.body_start, part.body_end, _quoted(binascii.a2b_qp(body))),)
    if part.encoding not in _IDENTITY:
        raise DowngradeError("encoding")
    if part.type == b"text":
        label, text = b"quoted-printable", _quoted(body)
    else:
        label, text = b"base64", _wrapped(binascii.b2a_base64(body, newline=False))
    return _label(data, part, label), _Edit(part.body_start, part.body_end, text)


def _quoted(text: bytes) -> bytes:
    quoted = binascii.b2a_qp(text, istext=True)
    # Soft line breaks follow the line ends that it finds; a single line has none.
    return quoted if b"\n" in text else quoted.replace(b"\n", b"\r\n")


def _rewrapped(body: bytes) -> bytes:
    text = b"".join(body.split())
    if len(text) % 4 or _BASE64.fullmatch(text) is None:
        raise DowngradeError("encoding")
    return _wrapped(text)


def _wrapped(text: bytes) -> bytes:
    return b"\r\n".join([text[at : at + 76] for at in range(0, len(text), 76)])


def _label(data: bytes, part: Part, encoding: bytes) -> _Edit:
    """Says the new encoding where the old one was said, else first in the part's header."""
    header = data[part.header_start : part.body_start]
    field = b"Content-Transfer-Encoding: " + encoding + b"\r\n"
    found = _ENCODING.search(header)
    if found is None:
        return _Edit(part.header_start, part.header_start, field)
    return _Edit(part.header_start + found.start(), part.header_start + found.end(), field)


def _apply(data: bytes, edits: list[_Edit]) -> bytes:
    pieces: list[bytes] = []
    at = 0
    for edit in sorted(edits, key=lambda edit: (edit.start, edit.end)):
        pieces += (data[at : edit.start], edit.text)
        at = edit.end
    pieces.append(data[at:])
    return b"".join(pieces)
