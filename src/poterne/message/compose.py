"""Fields that the server adds to a message, and small messages that it writes itself. Pure: time and ids are given.

What a peer told (its HELO name, a DNS name) may hold anything. It enters a field only after `_token`: no CR, LF, `;`, `(` or
other octet that could end the clause, the comment or the field survives, so nobody forges a trace field.
"""

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from poterne.message.date import format_date

_FOLD_AT: Final = 78
"""RFC 5322 §2.1.1: a line should have no more octets, without its CRLF."""
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._:/+=\[\]-]")
_UNSAFE_ADDRESS: Final = re.compile(r"[\x00-\x1f\x7f<>\x80-\x9f\u2028\u2029\ud800-\udfff]")
_MAX_TOKEN: Final = 255


def with_protocol(*, extended: bool, tls: bool, authenticated: bool, utf8: bool = False, lmtp: bool = False) -> str:
    """The `with` type of a Received field: SMTP, ESMTP, ESMTPS, ESMTPSA, LMTPS, UTF8SMTPSA … (RFC 3848, RFC 6531 §4.3)."""
    if not extended and not lmtp:
        return "SMTP"
    base = "LMTP" if lmtp else "SMTP"
    if utf8:
        base = "UTF8" + base
    elif not lmtp:
        base = "ESMTP"
    return base + ("S" if tls else "") + ("A" if authenticated else "")


@dataclass(frozen=True, slots=True)
class Hop:
    """One reception, as its Received field tells it (RFC 5321 §4.4)."""

    helo: str
    """As the peer said it."""
    peer_ip: str
    """Textual IPv4 or IPv6 address; empty when there is none (a local submission)."""
    by: str
    """Our own host name."""
    protocol: str
    """From `with_protocol`."""
    id: str
    """Our queue or trace id."""
    unix_s: int
    offset_minutes: int = 0
    peer_name: str = ""
    """The verified reverse name, empty when unknown."""
    tls: str = ""
    """Version and cipher for people, empty without TLS."""
    recipient: str = ""
    """The only recipient; empty when there are several, for one must not learn of the others (RFC 5321 §7.2)."""


def received(hop: Hop) -> bytes:
    """A Received field with its CRLF, folded at 78 octets; whatever the peer's names hold, it is one field."""
    address = ""
    if hop.peer_ip:
        literal = f"IPv6:{hop.peer_ip}" if ":" in hop.peer_ip else hop.peer_ip
        address = f"({_token(hop.peer_name or 'unknown')} [{_token(literal)}])"
    clauses = [f"from {_token(hop.helo)}", address, f"by {_token(hop.by)}"]
    if hop.tls:
        # A comment may hold spaces, each word is made safe.
        clauses.append("(" + " ".join(_token(word) for word in hop.tls.split()) + ")")
    clauses += [f"with {_token(hop.protocol)}", f"id {_token(hop.id)}"]
    if hop.recipient:
        clauses.append(f"for <{_safe_address(hop.recipient)}>")
    clauses[-1] += ";"
    clauses.append(format_date(hop.unix_s, hop.offset_minutes))
    return _folded("Received:", clauses)


def return_path(reverse_path: str) -> bytes:
    """`Return-Path: <…>` with its CRLF; empty for the null reverse-path (RFC 5321 §4.4)."""
    return f"Return-Path: <{_safe_address(reverse_path)}>\r\n".encode()


_PADDING: Final = b"X-Poterne-Padding: "
_DOTS: Final = b"." * 56 + b"\r\n "
PADDING_LEAST: Final = len(_PADDING) + len(b".\r\n")
"""Octets that `padded` needs beside the fields, or none."""


def padded(fields: bytes, size: int) -> bytes:
    """The fields and one more, so that all are `size` octets: for room that was left before they were known.

    `size` is that of the fields, or PADDING_LEAST more at least; else ValueError.
    """
    left = size - len(fields)
    if not left:
        return fields
    if left < PADDING_LEAST:
        raise ValueError("the room is too small for its fields")
    count = left - len(_PADDING) - 2
    dots = (_DOTS * (count // len(_DOTS) + 1))[:count]
    cut = dots[-3:].find(b"\r")  # a fold must not be the end
    if cut >= 0:
        dots = dots[: cut - 3] + b"." * (3 - cut)
    return fields + _PADDING + dots + b"\r\n"


def message_id(unique: str, domain: str) -> str:
    """`<unique@domain>`, RFC 5322 §3.6.4. The caller makes `unique` so."""
    return f"<{_token(unique)}@{_token(domain)}>"


def message_id_field(unique: str, domain: str) -> bytes:
    """`Message-ID: <unique@domain>` with its CRLF."""
    return f"Message-ID: {message_id(unique, domain)}\r\n".encode()


def date_field(unix_s: int, offset_minutes: int = 0) -> bytes:
    """`Date: …` with its CRLF."""
    return f"Date: {format_date(unix_s, offset_minutes)}\r\n".encode()


def _token(text: str) -> str:
    """The text with every octet but letters, digits and `._:/+=[]-` as `?`, bounded, never empty."""
    return _UNSAFE.sub("?", text[:_MAX_TOKEN]) or "?"


def _safe_address(address: str) -> str:
    """An address that cannot leave its angle brackets or its line. Checked addresses do not change."""
    return _UNSAFE_ADDRESS.sub("?", address[:1024])


def _folded(name: str, clauses: Sequence[str]) -> bytes:
    """The field, a fold between clauses where a line would grow too long. A longer clause stands alone."""
    lines: list[str] = []
    line = name
    for clause in clauses:
        if not clause:
            continue
        if len(line) + 1 + len(clause.encode()) > _FOLD_AT and line != name:
            lines.append(line)
            line = "\t" + clause
        else:
            line += " " + clause
    lines.append(line)
    return ("\r\n".join(lines) + "\r\n").encode()


@dataclass(frozen=True, slots=True)
class Mailbox:
    """Who stands in From or To."""

    address: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Letter:
    """A text message that the server writes: a notice, a welcome, a sample."""

    sender: Mailbox
    to: tuple[Mailbox, ...]
    subject: str
    text: str
    unix_s: int
    message_id: str
    """With its angle brackets, see `message_id`."""
    offset_minutes: int = 0
    auto_submitted: bool = True
    """RFC 3834 §5: say that no person wrote it."""
    extra: tuple[tuple[str, str], ...] = ()
    """More fields: name, text."""


def compose(letter: Letter) -> bytes:
    """The letter as RFC 5322 octets, 7-bit, lines of at most 78, CRLF. Names and texts of any content stay in their field."""
    fields = [
        f"From: {_mailbox(letter.sender)}",
        "To: " + ",\r\n ".join(_mailbox(one) for one in letter.to),
        f"Subject: {_unstructured(letter.subject)}",
        f"Date: {format_date(letter.unix_s, letter.offset_minutes)}",
        f"Message-ID: {_safe_line(letter.message_id)}",
        "MIME-Version: 1.0",
    ]
    if letter.auto_submitted:
        fields.append("Auto-Submitted: auto-generated")
    fields += [f"{_field_name(name)}: {_unstructured(text)}" for name, text in letter.extra]
    text = letter.text.replace("\r\n", "\n").replace("\r", "\n")
    if not text.endswith("\n"):
        text += "\n"
    plain = text.isascii() and "\0" not in text and all(len(line) <= _FOLD_AT for line in text.split("\n"))
    if plain:
        fields += ["Content-Type: text/plain; charset=us-ascii", "Content-Transfer-Encoding: 7bit"]
        body = text.encode("ascii")
    else:
        fields += ["Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: quoted-printable"]
        body = binascii.b2a_qp(text.encode("utf-8", "replace"))
    return "\r\n".join([*fields, "", ""]).encode() + body.replace(b"\n", b"\r\n")


_ATOMS: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]*")
_PRINTABLE: Final = re.compile(r"[ -~]*")


def _mailbox(mailbox: Mailbox) -> str:
    address = _safe_address(mailbox.address)
    name = " ".join(mailbox.name.split())
    if not name:
        return f"<{address}>"
    if _PRINTABLE.fullmatch(name) is None or "=?" in name or len(name) > 50:
        return f"{_words(name)}\r\n <{address}>"
    if _ATOMS.fullmatch(name) is None:
        name = '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return f"{name} <{address}>"


def _unstructured(text: str) -> str:
    text = " ".join(text.split())
    if _PRINTABLE.fullmatch(text) is not None and len(text) <= 60 and "=?" not in text:
        return text
    return _words(text)


def _words(text: str) -> str:
    """RFC 2047 encoded words of at most 75 octets, folded; a character is never cut (§5)."""
    words: list[str] = []
    piece = b""
    for char in text:
        octets = char.encode("utf-8", "replace")
        if len(piece) + len(octets) > 33:  # 33 octets make 44 of base64, 56 with the frame: fits behind a field name
            words.append(_word(piece))
            piece = b""
        piece += octets
    words.append(_word(piece))
    return "\r\n ".join(words)


def _word(octets: bytes) -> str:
    return f"=?utf-8?b?{base64.b64encode(octets).decode('ascii')}?="


def _field_name(name: str) -> str:
    if re.fullmatch(r"[!-9;-~]+", name) is None:
        raise ValueError("not a field name")
    return name


def _safe_line(text: str) -> str:
    return re.sub(r"[^!-~]", "", text)
