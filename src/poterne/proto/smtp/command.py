"""One command line to an event, or to a `Bad` with its code. Knows nothing of state."""

import re
from typing import Final

from poterne.proto.sasl import base64
from poterne.proto.smtp import params, path
from poterne.proto.smtp.events import AuthStart, Bad, Hello, HelloKind, MailFrom, RcptTo
from poterne.proto.smtp.replies import Reply
from poterne.proto.smtp.settings import Offer
from poterne.values.address import AddressError, AddressLiteral

# RFC 5321 §4.1.1.1 wants a domain or a literal. "_" is not in it, but in the names of many honest hosts.
_HELLO_NAME: Final = re.compile(rb"[A-Za-z0-9._:\[\]-]{1,255}")
_MECHANISM: Final = re.compile(r"[A-Z0-9_-]{1,20}")  # RFC 4422 §3.1
_BDAT: Final = re.compile(rb" *([0-9]{1,15})(?: +(LAST))? *", re.IGNORECASE)

NOT_IMPLEMENTED: Final = frozenset({b"EXPN", b"ETRN", b"TURN", b"ATRN", b"SEND", b"SOML", b"SAML"})
FOREIGN: Final = frozenset(
    {b"GET", b"POST", b"PUT", b"HEAD", b"OPTIONS", b"CONNECT", b"DELETE", b"PATCH", b"TRACE", b"PRI", b"PROXY"}
)
"""HTTP on a mail port is a browser that was talked into it (ALPACA and its elders). PROXY is a claim to be somebody else."""

_MAIL_SYNTAX: Final = {
    "command-syntax": Reply(501, "5.5.2", "The syntax is MAIL FROM:<address>"),
    "space-before-path": Reply(501, "5.5.2", "No space is allowed after FROM:"),
    "no-brackets": Reply(501, "5.5.2", "The address must stand between < and >"),
    "path-syntax": Reply(501, "5.1.7", "The path breaks RFC 5321 section 4.1.2"),
    "junk-after-path": Reply(501, "5.5.2", "Something follows the path without a space"),
}
_RCPT_SYNTAX: Final = {
    "command-syntax": Reply(501, "5.5.2", "The syntax is RCPT TO:<address>"),
    "space-before-path": Reply(501, "5.5.2", "No space is allowed after TO:"),
    "no-brackets": _MAIL_SYNTAX["no-brackets"],
    "path-syntax": Reply(501, "5.1.3", "The path breaks RFC 5321 section 4.1.2"),
    "junk-after-path": _MAIL_SYNTAX["junk-after-path"],
}
_HELLO_SYNTAX: Final = Reply(501, "5.5.4", "Give your domain name or address literal")
_NO_PARAMETERS: Final = Bad("parameter-unknown", Reply(555, "5.5.4", "Parameters need EHLO"))
_AUTH_SYNTAX: Final = Bad(
    "command-syntax", Reply(501, "5.5.4", "The syntax is AUTH mechanism [initial-response]"), "AUTH"
)
_AUTH_BASE64: Final = Bad("auth-base64", Reply(501, "5.5.2", "The initial response is not base64"), "AUTH")
_AUTH_MECHANISM: Final = Bad("auth-mechanism", Reply(504, "5.5.4", "This mechanism is not offered"), "AUTH")


def hello(kind: HelloKind, argument: bytes) -> Hello | Bad:
    text = argument.strip(b" ")
    if not _HELLO_NAME.fullmatch(text):
        return Bad("hello-syntax", _HELLO_SYNTAX, kind.value)
    name = text.decode()
    literal = None
    if name[0] == "[":
        try:
            literal = AddressLiteral.parse(name)
        except AddressError:
            return Bad("literal-syntax", _HELLO_SYNTAX, kind.value)
    return Hello(kind, name, literal)


def mail(argument: bytes, offer: Offer, *, tls: bool, esmtp: bool) -> MailFrom | Bad:
    split = _split_path(argument, b"FROM:")
    if isinstance(split, str):
        return Bad(split, _MAIL_SYNTAX[split], "MAIL")
    inner, rest = split
    try:
        given = params.split(rest) if rest else {}
        if given and not esmtp:
            return _NO_PARAMETERS
        smtputf8 = offer.smtputf8 and b"SMTPUTF8" in given
        return params.mail_from(path.reverse_path(inner, smtputf8=smtputf8), given, offer, tls=tls)
    except params.ParamError as error:
        return Bad(error.code, error.reply, "MAIL")
    except AddressError as error:
        return Bad(error.code, path.REVERSE_REPLIES[error.code], "MAIL")


def rcpt(argument: bytes, offer: Offer, *, smtputf8: bool, esmtp: bool) -> RcptTo | Bad:
    split = _split_path(argument, b"TO:")
    if isinstance(split, str):
        return Bad(split, _RCPT_SYNTAX[split], "RCPT")
    inner, rest = split
    try:
        given = params.split(rest) if rest else {}
        if given and not esmtp:
            return _NO_PARAMETERS
        return params.rcpt_to(path.forward_path(inner, smtputf8=smtputf8), given, offer, smtputf8=smtputf8)
    except params.ParamError as error:
        return Bad(error.code, error.reply, "RCPT")
    except AddressError as error:
        return Bad(error.code, path.FORWARD_REPLIES[error.code], "RCPT")


def bdat(argument: bytes) -> tuple[int, bool] | None:
    """Length, and whether LAST was said. None when it cannot be told."""
    match = _BDAT.fullmatch(argument)
    return None if match is None else (int(match[1]), match[2] is not None)


def auth(argument: bytes, offer: Offer) -> AuthStart | Bad:
    words = argument.split(b" ")
    if not 1 <= len(words) <= 2 or not all(words):
        return _AUTH_SYNTAX
    mechanism = words[0].decode("latin-1").upper()
    if not _MECHANISM.fullmatch(mechanism):
        return _AUTH_SYNTAX
    if mechanism not in offer.auth:
        return _AUTH_MECHANISM
    if len(words) == 1:
        return AuthStart(mechanism)
    initial = base64.decode_initial(words[1])
    return _AUTH_BASE64 if initial is None else AuthStart(mechanism, initial)


def _split_path(argument: bytes, keyword: bytes) -> tuple[bytes, bytes] | str:
    """What is between the brackets, and what follows them; or a code of the syntax tables."""
    at = len(keyword)
    if argument[:at].upper() != keyword:
        return "command-syntax"
    match = path.PATH.match(argument, at)
    if match is None:
        first = argument[at : at + 1]
        return "path-syntax" if first == b"<" else "space-before-path" if first == b" " else "no-brackets"
    rest = argument[match.end() :]
    if rest and rest[0] != 32:
        return "junk-after-path"
    return match[1], rest
