"""Parameters of MAIL and RCPT: one table each, keyword to reader. A keyword that was not offered is unknown (555).

Errors are `ParamError` with a code and the fitting reply. `notify_text` and `orcpt_text` write what is sent on.
"""

import re
from collections.abc import Callable
from typing import Final

from poterne.proto.smtp.events import Body, MailFrom, Notify, RcptTo, Ret
from poterne.proto.smtp.path import Path
from poterne.proto.smtp.replies import Reply
from poterne.proto.smtp.settings import Offer

_ESMTP_VALUE: Final = re.compile(rb"[!-<>-~\x80-\xff]+")  # RFC 5321 §4.1.2, RFC 6531 §3.3
_KEYWORD: Final = re.compile(rb"[A-Za-z0-9][A-Za-z0-9-]*")
_DIGITS: Final = re.compile(rb"[0-9]{1,20}")  # RFC 1870 §6
_XTEXT: Final = re.compile(rb"(?:[!-*,-<>-~]|\+[0-9A-F]{2})*")  # RFC 3461 §4
_XCHAR: Final = re.compile(rb"\+([0-9A-F]{2})")
_PRINTABLE: Final = re.compile(r"[ -~]*")
_PRINTABLE_UTF8: Final = re.compile(r"[ -~\u00a0-\u2027\u202a-\U0010ffff]*")
_UTF8_CHAR: Final = re.compile(r"\\x\{([0-9A-F]{2,6})\}")  # RFC 6533 §3
_ATOM: Final = re.compile(rb"[A-Za-z0-9-]+")
_NOT_XCHAR: Final = re.compile(r"[^!-*,-<>-~]")
_NOT_QCHAR: Final = re.compile(r"[^!-*,-<>-\[\]-~]")  # RFC 6533 §3
_ORCPT_MAX: Final = 500
"""RFC 3461 §5.4."""

_BAD_VALUE: Final = Reply(501, "5.5.4", "A parameter has a value that it cannot have")
_UNKNOWN: Final = Reply(555, "5.5.4", "A parameter is not known here")
_TWICE: Final = Reply(501, "5.5.4", "A parameter is given twice")
_SYNTAX: Final = Reply(501, "5.5.4", "The parameters break RFC 5321 section 4.1.2")
_TOO_BIG: Final = Reply(552, "5.3.4", "The message is larger than what is accepted here")
_NEEDS_TLS: Final = Reply(530, "5.7.0", "REQUIRETLS needs TLS")


class ParamError(Exception):
    def __init__(self, code: str, reply: Reply) -> None:
        super().__init__(code)
        self.code = code
        self.reply = reply


def split(text: bytes) -> dict[bytes, bytes | None]:
    """`SP keyword[=value]`… into a dict with upper-case keywords."""
    found: dict[bytes, bytes | None] = {}
    for item in text.split(b" "):
        if not item:  # more than one space does no harm
            continue
        keyword, equals, value = item.partition(b"=")
        if not _KEYWORD.fullmatch(keyword) or (equals and not _ESMTP_VALUE.fullmatch(value)):
            raise ParamError("parameter-syntax", _SYNTAX)
        name = keyword.upper()
        if name in found:
            raise ParamError("parameter-twice", _TWICE)
        found[name] = value if equals else None
    return found


def mail_from(path: Path, params: dict[bytes, bytes | None], offer: Offer, *, tls: bool) -> MailFrom:
    """The event, or ParamError. SMTPUTF8 was looked at before, since the path depends on it."""
    if not params:
        return MailFrom(path)
    values: dict[str, object] = {}
    for name, value in params.items():
        reader = _MAIL.get(name)
        if reader is None or not _offered(name, offer):
            raise ParamError("parameter-unknown", _UNKNOWN)
        values[name.decode().lower()] = reader(value)
    size = values.get("size")
    if isinstance(size, int) and size > offer.size_bytes:
        raise ParamError("too-big", _TOO_BIG)
    if "requiretls" in values and not tls:
        raise ParamError("requiretls-without-tls", _NEEDS_TLS)
    return MailFrom(path, **values)  # type: ignore[arg-type]  # each reader gives the type of its field


def rcpt_to(path: Path, params: dict[bytes, bytes | None], offer: Offer, *, smtputf8: bool) -> RcptTo:
    """The event, or ParamError."""
    if not params:
        return RcptTo(path)
    if not offer.dsn or not params.keys() <= {b"NOTIFY", b"ORCPT"}:
        raise ParamError("parameter-unknown", _UNKNOWN)
    notify = _notify(params[b"NOTIFY"]) if b"NOTIFY" in params else frozenset[Notify]()
    orcpt = _orcpt(params[b"ORCPT"], smtputf8=smtputf8) if b"ORCPT" in params else None
    return RcptTo(path, notify, orcpt)


def _offered(name: bytes, offer: Offer) -> bool:
    if name in {b"RET", b"ENVID"}:
        return offer.dsn
    if name == b"SMTPUTF8":
        return offer.smtputf8
    if name == b"REQUIRETLS":
        return offer.requiretls
    return bool(offer.auth) if name == b"AUTH" else True


def _size(value: bytes | None) -> int:
    if value is None or not _DIGITS.fullmatch(value):
        raise ParamError("parameter-value", _BAD_VALUE)
    return int(value)


def _body(value: bytes | None) -> Body:
    try:
        return Body((value or b"").decode("ascii").upper())
    except ValueError:
        raise ParamError("parameter-value", _BAD_VALUE) from None


def _ret(value: bytes | None) -> Ret:
    try:
        return Ret((value or b"").decode("ascii").upper())
    except ValueError:
        raise ParamError("parameter-value", _BAD_VALUE) from None


def _flag(value: bytes | None) -> bool:
    if value is not None:
        raise ParamError("parameter-value", _BAD_VALUE)
    return True


def xtext(value: bytes | None, most: int) -> str:
    """Decoded xtext of RFC 3461 §4 that is printable ASCII and at most so long; ParamError otherwise."""
    if not value or len(value) > most or not _XTEXT.fullmatch(value):
        raise ParamError("parameter-value", _BAD_VALUE)
    text = _XCHAR.sub(lambda m: bytes((int(m[1], 16),)), value).decode("latin-1")
    if not _PRINTABLE.fullmatch(text):  # an encoded line end would come out in a report's header
        raise ParamError("parameter-value", _BAD_VALUE)
    return text


def _envid(value: bytes | None) -> str:
    return xtext(value, 100)  # RFC 3461 §5.4


def _auth(value: bytes | None) -> str:
    return xtext(value, 500)


def _notify(value: bytes | None) -> frozenset[Notify]:
    try:
        names = (value or b"").decode("ascii").upper().split(",")
        found = frozenset(Notify(name) for name in names)
    except ValueError:
        raise ParamError("parameter-value", _BAD_VALUE) from None
    if len(found) < len(names) or (Notify.NEVER in found and len(found) > 1):
        raise ParamError("parameter-value", _BAD_VALUE)
    return found


def _orcpt(value: bytes | None, *, smtputf8: bool) -> tuple[str, str]:
    kind, semicolon, address = (value or b"").partition(b";")
    if not semicolon or not _ATOM.fullmatch(kind) or len(address) > _ORCPT_MAX:
        raise ParamError("parameter-value", _BAD_VALUE)
    name = kind.decode().lower()
    if name != "utf-8":
        return name, xtext(address, _ORCPT_MAX)
    return name, _utf8_address(address, smtputf8=smtputf8)


def _utf8_address(value: bytes, *, smtputf8: bool) -> str:
    """RFC 6533 §3: xtext, or UTF-8 (only with SMTPUTF8), and in either of them hexadecimal code points in braces."""
    try:
        text = _XCHAR.sub(lambda m: bytes((int(m[1], 16),)), value).decode() if smtputf8 else xtext(value, _ORCPT_MAX)
        text = _UTF8_CHAR.sub(lambda m: chr(int(m[1], 16)), text)
        text.encode()  # lone surrogates
    except (ValueError, OverflowError):
        raise ParamError("parameter-value", _BAD_VALUE) from None
    if not text or not _PRINTABLE_UTF8.fullmatch(text):
        raise ParamError("parameter-value", _BAD_VALUE)
    return text


_MAIL: Final[dict[bytes, Callable[[bytes | None], object]]] = {
    b"SIZE": _size,
    b"BODY": _body,
    b"SMTPUTF8": _flag,
    b"REQUIRETLS": _flag,
    b"RET": _ret,
    b"ENVID": _envid,
    b"AUTH": _auth,
}


def notify_text(event: RcptTo) -> str:
    """NOTIFY as it is sent on (RFC 3461 §4.1), always in the same order; "" when it was not given."""
    return ",".join(value.value for value in Notify if value in event.notify) if event.notify else ""


def orcpt_text(event: RcptTo) -> str:
    """ORCPT as it is sent on: `type;xtext` (RFC 3461 §4.2), always ASCII; "" when it was not given.

    Type utf-8 is in the form that servers without SMTPUTF8 take too (RFC 6533 §3); "" when it is too long for a parameter then.
    """
    if event.orcpt is None:
        return ""
    kind, address = event.orcpt
    if kind == "utf-8":
        text = _NOT_QCHAR.sub(lambda m: f"\\x{{{ord(m[0]):02X}}}", address)
    else:
        text = _NOT_XCHAR.sub(lambda m: f"+{ord(m[0]):02X}", address)
    return f"{kind};{text}" if len(text) <= _ORCPT_MAX else ""
