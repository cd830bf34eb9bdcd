"""From what a program writes to what SMTP takes.

Theory of operation. Programs write lines that end in LF, leave out fields, and name people without a domain ("root"). So:

- the header is split from the text at the first empty line, or before the first line that is no field;
- Bcc goes; From is added where it is missing: who -f says, else the user who runs this, as sendmail has always done;
- addresses without a domain get that of this machine, in the envelope and in the header;
- each line ends in CRLF. A CR inside a header line becomes a space: as a line end it would let whoever fills in a form add
  fields to the message.

Date, Message-ID, and everything that must be trusted, is the server's.
"""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

from poterne.sendmail.addresses import AddressesError, Found, addresses
from poterne.sendmail.arguments import Request
from poterne.sendmail.exits import EX_CONFIG, EX_DATAERR, EX_USAGE, Failure

MAX_BYTES: Final = 256 * 1024 * 1024
"""No server of ours takes more; what a program that never stops writes must not fill the memory."""
_CHUNK: Final = 65536
_LONE_DOT: Final = re.compile(rb"(?:\A|(?<=\n))\.\r*(?:\n|\Z)")
_FIELD: Final = re.compile(rb"[!-9;-~]+[ \t]*:")
_MBOX: Final = re.compile(rb">?From [^ :\r\n][^\n]*\n")
_LINE_END: Final = re.compile(rb"\r*\n|\r")
_FOLD: Final = re.compile(rb"\r*\n")
_PLAIN_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]*")
_LOGIN: Final = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
_RECIPIENTS: Final = (b"to", b"cc", b"bcc")
_RESENT: Final = (b"resent-to", b"resent-cc", b"resent-bcc")
_HIDDEN: Final = frozenset({b"bcc", b"resent-bcc"})
_PEOPLE: Final = frozenset(
    {b"from", b"sender", b"reply-to", b"to", b"cc", b"resent-from", b"resent-sender", b"resent-to", b"resent-cc"}
)


class Letter(NamedTuple):
    """What is handed over. `data` has CRLF line ends and no dots doubled."""

    sender: str
    """"" is the null sender."""
    recipients: tuple[str, ...]
    data: bytes
    smtputf8: bool
    notify: str = ""
    ret: str = ""
    envid: str = ""


class Field(NamedTuple):
    name: bytes
    """In lower case."""
    text: bytes
    """All of it, name and folded lines, with CRLF between the lines."""


def read(take: Callable[[int], bytes], *, dot_ends: bool) -> bytes:
    """The message as it was written: all that `take` gives, or up to a line with a dot alone when that ends it."""
    data = bytearray()
    while piece := take(_CHUNK):
        line_start = data.rfind(b"\n") + 1
        data += piece
        if len(data) > MAX_BYTES:
            raise Failure(EX_DATAERR, f"the message is larger than {MAX_BYTES} octets")
        dot = _LONE_DOT.search(data, line_start) if dot_ends else None
        if dot is not None and dot[0].endswith(b"\n"):  # else it may be the beginning of a longer line
            return bytes(data[: dot.start()])
    if dot_ends and (dot := _LONE_DOT.search(data, data.rfind(b"\n") + 1)):
        del data[dot.start() :]
    return bytes(data)


def compose(raw: bytes, request: Request, domain: str) -> Letter:
    """The letter that the caller means. Raises Failure."""
    fields, body = split(raw)
    given = [_qualified(found, domain) for text in request.recipients for found in _parsed(text, "recipient", EX_USAGE)]
    named = [*given, *(_from_header(fields, domain) if request.from_header else ())]
    recipients = tuple(dict.fromkeys(named))
    if not recipients:
        raise Failure(EX_USAGE, "nobody to send to: the message names no recipient in To, Cc or Bcc")
    kept = [_completed(field, domain) for field in fields if field.name not in _HIDDEN]
    sender = _sender(request.sender, kept, domain)
    if sender and not any(field.name == b"from" for field in kept):
        kept.insert(0, Field(b"from", f"From: {mailbox(request.name, sender)}".encode()))
    header = b"".join(field.text + b"\r\n" for field in kept)
    smtputf8 = not (header.isascii() and all(a.isascii() for a in (sender, *recipients))) and _is_utf8(header)
    data = header + b"\r\n" + body
    return Letter(sender, recipients, data, smtputf8, request.notify, request.ret, request.envid)


def split(raw: bytes) -> tuple[list[Field], bytes]:
    """The fields of the header, and the text with CRLF line ends."""
    fields: list[list[bytes]] = []
    mbox = _MBOX.match(raw)
    at = mbox.end() if mbox else 0
    while at < len(raw):
        end = raw.find(b"\n", at)
        end = len(raw) if end < 0 else end + 1
        line = raw[at:end].rstrip(b"\r\n")
        if line[:1] in {b" ", b"\t"} and fields:
            fields[-1].append(line)
        elif _FIELD.match(line):
            fields.append([line])
        else:
            at = at if line else end
            break
        at = end
    return [_field(lines) for lines in fields], _crlf(raw[at:])


def _field(lines: Sequence[bytes]) -> Field:
    text = b"\r\n".join(line.replace(b"\r", b" ") for line in lines)
    return Field(text.partition(b":")[0].rstrip(b" \t").lower(), text)


def _crlf(text: bytes) -> bytes:
    if not text:
        return text
    text = _LINE_END.sub(b"\r\n", text) if b"\r" in text else text.replace(b"\n", b"\r\n")
    return text if text.endswith(b"\r\n") else text + b"\r\n"


def _is_utf8(header: bytes) -> bool:
    try:
        header.decode()
    except UnicodeDecodeError:
        return False
    return True


# -- people ------------------------------------------------------------------------------------------------------------


def _value(field: Field) -> str:
    """What stands behind the colon, without folding; octets that are no UTF-8 survive."""
    return _FOLD.sub(b"", field.text.partition(b":")[2]).decode("utf-8", "surrogateescape")


def _parsed(text: str, what: str, status: int) -> list[Found]:
    try:
        return addresses(text)
    except AddressesError as error:
        raise Failure(status, f"{what}: {error}") from None


def _qualified(found: Found, domain: str) -> str:
    if found.has_domain:
        return found.address
    if not domain:
        text = (
            f"{found.address} has no domain: write {found.address}@example.org, or put your domain into /etc/mailname"
        )
        raise Failure(EX_CONFIG, text)
    return f"{found.address}@{domain}"


def _from_header(fields: Sequence[Field], domain: str) -> Iterator[str]:
    """Who is named in To, Cc and Bcc; of a resent message, in its Resent fields (RFC 5322 §3.6.6)."""
    names = _RESENT if any(field.name in _RESENT for field in fields) else _RECIPIENTS
    for field in fields:
        if field.name in names:
            label = field.name.decode().title()
            yield from (_qualified(found, domain) for found in _parsed(_value(field), label, EX_DATAERR))


def _completed(field: Field, domain: str) -> Field:
    """The field with a domain behind each address that has none. What can't be read is left for the server to judge."""
    if field.name not in _PEOPLE or not domain:
        return field
    text = _value(field)
    try:
        bare = [found for found in addresses(text) if not found.has_domain]
    except AddressesError:
        return field
    if not bare:
        return field
    for found in reversed(bare):
        text = f"{text[: found.end]}@{domain}{text[found.end :]}"
    return Field(field.name, field.text.partition(b":")[0] + b":" + text.encode("utf-8", "surrogateescape"))


def _sender(given: str | None, fields: Sequence[Field], domain: str) -> str:
    """The reverse-path: -f, else whoever the message says sent it, else the user who runs this; "" when it has no domain."""
    if given is not None:
        if given.strip() in {"", "<>"}:
            return ""
        found = _parsed(given, "-f", EX_USAGE)
        if len(found) != 1:
            raise Failure(EX_USAGE, "-f takes one address")
        return _qualified(found[0], domain)
    for name in (b"resent-sender", b"resent-from", b"sender", b"from"):
        for field in fields:
            if field.name == name and (authors := _parsed(_value(field), name.decode().title(), EX_DATAERR)):
                return _qualified(authors[0], domain)
    return f"{_login()}@{domain}" if domain else ""


def _login() -> str:
    """Who runs this program, as its user is called."""
    import pwd  # noqa: PLC0415  (seldom asked)

    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        name = ""
    return name if _LOGIN.fullmatch(name) else f"uid-{os.getuid()}"


def mailbox(name: str, address: str) -> str:
    """`Name <address>`, the name quoted or encoded (RFC 2047) where it must be."""
    shown = " ".join("".join(c if c.isprintable() else " " for c in name).split())
    if not shown:
        return address
    if not shown.isascii():
        shown = " ".join(_encoded_words(shown))
    elif not _PLAIN_NAME.fullmatch(shown):
        shown = '"' + shown.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return f"{shown} <{address}>"


def _encoded_words(text: str) -> Iterator[str]:
    """Whole characters in each word, and at most 75 octets a word."""
    import base64  # noqa: PLC0415  (seldom needed)

    for at in range(0, len(text), 10):
        yield f"=?utf-8?B?{base64.b64encode(text[at : at + 10].encode(errors='replace')).decode()}?="
