"""A client's command to the line that says it, or to the local refusal that says why it cannot be said to this server."""

import re
from collections.abc import Mapping
from typing import Final

from poterne.proto.sasl import base64
from poterne.proto.smtp.client_commands import Auth, Mail, Rcpt, ServerReply
from poterne.proto.smtp.events import Body
from poterne.proto.smtp.path import PATH

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_NAME: Final = re.compile(r"[A-Za-z0-9._:\[\]-]{1,255}")
# RFC 3461 §4: everything but "+", "=" and what is not printable stands for itself.
_XTEXT_SPECIAL: Final = re.compile(r"[^!-*,-<>-~]")
_XTEXT_OCTETS: Final = re.compile(r"(?:\+[0-9A-F]{2})+")

Extensions = Mapping[str, tuple[str, ...]]


def local(code: int, enhanced: str, text: str) -> ServerReply:
    return ServerReply(code, enhanced, (text,), local=True)


def hello(verb: str, name: str) -> bytes:
    """ValueError for a name that is no domain or literal: it is ours."""
    if not _NAME.fullmatch(name):
        raise ValueError("not a domain or address literal")
    return f"{verb} {name}\r\n".encode()


def mail(command: Mail, extensions: Extensions) -> bytes | ServerReply:
    path = _path(command.reverse_path)
    if path is None:
        return local(553, "5.1.7", "The sender address cannot be sent")
    words = [f"MAIL FROM:{path}"]
    if command.size is not None and "SIZE" in extensions:
        most = extensions["SIZE"][0] if extensions["SIZE"] else "0"
        if most.isascii() and most.isdigit() and 0 < int(most[:20]) < command.size:
            return local(552, "5.3.4", "The message is larger than what the server accepts")
        words.append(f"SIZE={command.size}")
    if command.body is not None:
        if "8BITMIME" in extensions:
            words.append(f"BODY={command.body.value}")
        elif command.body is Body.EIGHT_BIT:
            return local(554, "5.6.3", "The message needs 8BITMIME, which the server lacks")
    if command.smtputf8 or not path.isascii():
        if "SMTPUTF8" not in extensions:
            return local(553, "5.6.7", "The message needs SMTPUTF8, which the server lacks")
        words.append("SMTPUTF8")
    if command.requiretls:
        if "REQUIRETLS" not in extensions:
            return local(550, "5.7.30", "The message needs REQUIRETLS, which the server lacks")
        words.append("REQUIRETLS")
    if "DSN" in extensions:
        if command.ret is not None:
            words.append(f"RET={command.ret.value}")
        if command.envid:
            words.append(f"ENVID={xtext(command.envid)}")
    return " ".join(words).encode() + b"\r\n"


def rcpt(command: Rcpt, extensions: Extensions, *, smtputf8: bool) -> bytes | ServerReply:
    path = _path(command.forward_path)
    if path is None or path == "<>":
        return local(553, "5.1.3", "The recipient address cannot be sent")
    if not path.isascii() and not smtputf8:
        return local(553, "5.6.7", "The recipient address needs SMTPUTF8")
    words = [f"RCPT TO:{path}"]
    if "DSN" in extensions:
        if command.notify:
            words.append("NOTIFY=" + ",".join(sorted(n.value for n in command.notify)))
        if command.orcpt is not None:
            words.append(f"ORCPT={command.orcpt[0]};{xtext(command.orcpt[1])}")
    return " ".join(words).encode() + b"\r\n"


def auth(command: Auth, extensions: Extensions, *, tls: bool) -> tuple[bytes, list[bytes]] | ServerReply:
    """The line, and the answers to the challenges that follow."""
    if not tls:
        return local(538, "5.7.11", "Passwords are sent inside TLS only")
    user, password = command.user.encode(), command.password.reveal()
    if b"\0" in user or b"\0" in password:
        return local(501, "5.5.4", "User name or password holds a NUL")
    offered = {name.upper() for name in extensions.get("AUTH", ())}
    wanted = [command.mechanism.upper()] if command.mechanism else ["PLAIN", "LOGIN"]
    mechanism = next((name for name in wanted if name in offered and name in {"PLAIN", "LOGIN"}), None)
    if mechanism is None:
        return local(504, "5.5.4", "The server offers no mechanism that we can use")
    if mechanism == "LOGIN":
        return b"AUTH LOGIN\r\n", [base64.encode(user) + b"\r\n", base64.encode(password) + b"\r\n"]
    response = base64.encode(b"\0" + user + b"\0" + password)
    if len(response) <= 496:  # with "AUTH PLAIN " and CRLF 512 octets, RFC 4954 §4
        return b"AUTH PLAIN " + response + b"\r\n", []
    return b"AUTH PLAIN\r\n", [response + b"\r\n"]


def extensions_of(reply: ServerReply) -> dict[str, tuple[str, ...]]:
    """The EHLO lines after the first: keyword in upper case, and its parameters."""
    found: dict[str, tuple[str, ...]] = {}
    for line in reply.lines[1:]:
        words = line.split()
        if words:
            found[words[0].upper()] = tuple(words[1:])
    return found


def xtext(text: str) -> str:
    """RFC 3461 §4; what is not ASCII goes as its UTF-8 octets."""
    return _XTEXT_SPECIAL.sub(lambda m: "".join(f"+{octet:02X}" for octet in m[0].encode()), text)


def from_xtext(text: str) -> str:
    """What `xtext` was made of."""
    return _XTEXT_OCTETS.sub(lambda m: bytes.fromhex(m[0].replace("+", "")).decode(errors="replace"), text)


def _path(text: str) -> str | None:
    """In brackets; None when it could be read as anything but one path. An injected CRLF ends here."""
    try:
        path = f"<{text}>"
        fits = len(path) <= 256 and not _CONTROL.search(path) and PATH.fullmatch(path.encode())
    except UnicodeEncodeError:
        return None
    return path if fits and (" " not in text or '"' in text) else None
