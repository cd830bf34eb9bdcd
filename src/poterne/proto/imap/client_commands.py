"""What a client says. Each command is the octets that begin it and those for each "+" of the server."""

import re
from base64 import b64encode
from dataclasses import dataclass, field
from typing import Final

from poterne.values.secret import Secret

_ATOM: Final = re.compile(rb"[!#$&'+-\[^-z|}~]{1,1000}\Z").match
_QUOTABLE: Final = re.compile(rb"[\x01-\x09\x0b\x0c\x0e-\x7f]{0,1000}\Z").match
_SPECIAL: Final = re.compile(rb'["\\]')


@dataclass(frozen=True, slots=True)
class Command:
    """`first` goes behind the tag; each of `then` is what the next "+" asks for. Ends of lines are added."""

    name: str
    first: Secret
    then: tuple[Secret, ...] = field(default=())


def plain(name: str, *words: bytes) -> Command:
    """A command of words that are sent as they are."""
    return Command(name, Secret(b" ".join((name.encode("ascii"), *words))))


def with_strings(name: str, *strings: bytes, behind: bytes = b"") -> Command:
    """A command whose arguments are strings: quoted, or literals where they cannot be."""
    pieces = [name.encode("ascii")]
    for one in strings:
        pieces[-1] += b" "
        if _QUOTABLE(one):
            pieces[-1] += b'"%b"' % _SPECIAL.sub(rb"\\\g<0>", one)
        else:
            pieces[-1] += b"{%d}" % len(one)
            pieces.append(one)
    pieces[-1] += behind
    first, *then = (Secret(piece) for piece in pieces)
    return Command(name, first, tuple(then))


def login(user: bytes, password: Secret) -> Command:
    """RFC 9051 §6.2.3."""
    return with_strings("LOGIN", user, password.reveal())


def authenticate(mechanism: str, response: Secret, *, initial: bool) -> Command:
    """RFC 9051 §6.2.2 for mechanisms of one message. `initial`: the server takes it in the command (SASL-IR).

    A challenge that follows is an error to be read (RFC 7628 §3.2.3): it is answered with nothing.
    """
    coded = b64encode(response.reveal())
    words = b"AUTHENTICATE " + mechanism.encode("ascii")
    if initial:
        return Command("AUTHENTICATE", Secret(words + b" " + (coded or b"=")), (Secret(b""),))
    return Command("AUTHENTICATE", Secret(words), (Secret(coded), Secret(b"")))


def plain_response(user: bytes, password: Secret, acting_for: bytes = b"") -> Secret:
    """PLAIN (RFC 4616): `user` signs in, as `acting_for` if that is given."""
    return Secret(b"\0".join((acting_for, user, password.reveal())))


def bearer_response(user: bytes, token: Secret) -> Secret:
    """XOAUTH2, as large providers have it."""
    return Secret(b"user=%b\1auth=Bearer %b\1\1" % (user, token.reveal()))


def fetch(uids: bytes, items: bytes) -> Command:
    """`uids`: a sequence set. RFC 9051 §6.4.9."""
    return plain("UID", b"FETCH", uids, items)
