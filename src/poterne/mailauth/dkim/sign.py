"""Signing a message for its author's domain while it passes (RFC 6376 §5, RFC 8463).

Each key gives one field: relaxed/relaxed, which survives what honest relays do, all of the body (never l=), and the fields
below. Those of ALWAYS are in h= once more than they stand in the message, so that nobody adds a second Subject, or a Reply-To
where there was none. Those that mailing lists add are signed, and oversigned, only where they are there already: to sign their
absence would break the signature of whoever writes to a list that changes nothing else.
"""

import base64
from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Final, final

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256

from poterne.mailauth.dkim.canonical import BodyHashes, Canonical, field, relaxed_value
from poterne.mailauth.dkim.keys import SigningKey
from poterne.message.header import HeaderIndex

ALWAYS: Final = (
    b"from", b"to", b"cc", b"subject", b"date", b"message-id", b"reply-to", b"mime-version", b"content-type",
    b"content-transfer-encoding", b"in-reply-to", b"references", b"auto-submitted",
)  # fmt: skip
PRESENT: Final = (
    b"sender", b"content-id", b"content-description", b"content-disposition", b"list-id", b"list-help", b"list-unsubscribe",
    b"list-unsubscribe-post", b"list-subscribe", b"list-post", b"list-owner", b"list-archive",
)  # fmt: skip
_INSTANCES_MOST: Final = 16
"""Of one name: what stands more often is signed no more than that, from the bottom up."""
_FOLD_AT: Final = 78
_FORM: Final = Canonical.RELAXED
_NAME: Final = b"dkim-signature:"


@final
class Signer:
    """Signs one message. `feed` it the body, then `finish` for the fields to put before the message."""

    __slots__ = ("_body", "_fields", "_header", "_keys", "_now_s")

    def __init__(self, keys: Sequence[SigningKey], header: HeaderIndex, now_s: int) -> None:
        """`header`: as it will be sent; what is put before it later (Received, Return-Path) is not signed."""
        self._keys: Final = keys
        self._header: Final = header
        self._now_s: Final = now_s
        self._fields: Final = signed_fields(header)
        self._body: Final = BodyHashes(((_FORM, None),) if keys else ())

    def feed(self, chunk: bytes) -> None:
        """The next octets of the body, as they will be sent: after any conversion, before dot-stuffing."""
        self._body.feed(chunk)

    def finish(self) -> bytes:
        """A DKIM-Signature field per key, folded, each with its CRLF. Once only. RSA takes 0.6 ms of CPU for each."""
        if not self._keys:
            return b""
        self._body.finish()
        body_hash = base64.b64encode(self._body.digest(_FORM)).decode("ascii")
        signed = _canonical(self._header, self._fields)
        return b"".join(self._sign(key, signed, body_hash) for key in self._keys)

    def _sign(self, key: SigningKey, signed: bytes, body_hash: str) -> bytes:
        names = ":\0".join(name.decode("ascii") for name in self._fields).split("\0")
        tokens = (
            "v=1;", f" a={key.type.algorithm};", " c=relaxed/relaxed;", f" d={key.domain};", f" s={key.selector};",
            f" t={self._now_s};", f" h={names[0]}", *names[1:-1], f"{names[-1]};", f" bh={body_hash};", " b=",
        )  # fmt: skip
        line = _folded("DKIM-Signature: ", tokens)
        data = signed + _NAME + relaxed_value(line.partition(b":")[2])
        if isinstance(key.private, RSAPrivateKey):
            signature = key.private.sign(data, PKCS1v15(), SHA256())
        else:
            signature = key.private.sign(sha256(data).digest())  # RFC 8463 §3: of the hash
        text = base64.b64encode(signature).decode("ascii")
        width = _FOLD_AT - 1
        first = _FOLD_AT - (len(line) - line.rfind(b"\n") - 1)
        pieces = [text[:first], *(text[at : at + width] for at in range(first, len(text), width))]
        return line + "\r\n ".join(pieces).encode("ascii") + b"\r\n"


def signed_fields(header: HeaderIndex) -> tuple[bytes, ...]:
    """The names for h=, in its order."""
    names: list[bytes] = []
    for name in ALWAYS:
        names += [name] * (min(len(header.find(name)), _INSTANCES_MOST) + 1)
    for name in PRESENT:
        there = len(header.find(name))
        if there:
            names += [name] * (min(there, _INSTANCES_MOST) + 1)
    return tuple(names)


def _canonical(header: HeaderIndex, names: Iterable[bytes]) -> bytes:
    parts: list[bytes] = []
    taken: dict[bytes, int] = {}
    for name in names:
        instances = header.find(name)
        nth = taken[name] = taken.get(name, 0) + 1
        if nth <= len(instances):
            parts.append(field(header, instances[-nth], _FORM))
    return b"".join(parts)


def _folded(start: str, tokens: Iterable[str]) -> bytes:
    """The tokens behind the start, with folds before them where a line would pass 78 octets."""
    lines: list[str] = []
    line = start
    for token in tokens:
        if len(line) + len(token) > _FOLD_AT and line.strip():
            lines.append(line.rstrip(" "))
            line = " " + token.lstrip(" ")
        else:
            line += token
    lines.append(line)
    return "\r\n".join(lines).encode("ascii")
