"""What a header loses and gains on its way in: fields that only we may write go, fields that a submission lacks come.

Trace and verdict fields are believed by whoever reads the message after us, so nobody else may write them in our name. Nothing
else of a header changes: a field stays or goes whole, in its octets and its place, so that signatures over the others hold.
"""

import re
from collections.abc import Callable
from typing import Final

from poterne.message.header import Field, HeaderIndex, Malformation

_OURS: Final = b"x-poterne-"
_RECEIVING: Final = frozenset({b"return-path"})
_SUBMISSION: Final = frozenset(
    {
        b"return-path", b"delivered-to", b"bcc", b"resent-bcc", b"authentication-results", b"received-spf", b"dkim-signature",
        b"arc-seal", b"arc-message-signature", b"arc-authentication-results",
    }
)  # fmt: skip
_SUBMISSION_PREFIXES: Final = (_OURS, b"x-spam-")
_RESULTS: Final = b"authentication-results"
_AUTHSERV: Final = re.compile(rb"([A-Za-z0-9._-]++)(?:(?:[ \t]++[0-9]++)?+[ \t]*+(?:;|\Z)|[ \t]++(?i:none)\Z)")
"""RFC 8601 §2.2 without comments and quoted strings: the id, perhaps a version, and the results or none."""
_CRLF: Final = b"\r\n"


def cleaned_received(header: HeaderIndex, authserv_id: bytes) -> bytes:
    """The header of mail from elsewhere without Return-Path, X-Poterne-* and Authentication-Results in our name.

    Return-Path is written by whoever delivers, that is us (RFC 5321 §4.4); results are removed by RFC 8601 §5. Delivered-To
    stays: it is what shows a loop, and a forged one turns only its own message back. `authserv_id` is ours, in lower case.
    """
    gone = [
        field
        for field in header.fields
        if field.name in _RECEIVING
        or field.name.startswith(_OURS)
        or (field.name == _RESULTS and _claims(header.unfolded(field), authserv_id))
    ]
    return _without(header, gone) if gone else header.block


def cleaned_submitted(header: HeaderIndex, date: Callable[[], bytes], message_id: Callable[[], bytes]) -> bytes:
    """The header of a submission without what no author may write, with `date` and `message_id` where it has none.

    Bcc goes (RFC 5322 §3.6.3), and what tells of a journey that only begins here: Return-Path, Delivered-To, results and
    signatures of checks, X-Spam-*. `date` and `message_id` make whole fields (RFC 6409 §8.3).
    """
    gone = [
        field for field in header.fields if field.name in _SUBMISSION or field.name.startswith(_SUBMISSION_PREFIXES)
    ]
    block = _without(header, gone) if gone else header.block
    more = (b"" if header.find(b"date") else date()) + (b"" if header.find(b"message-id") else message_id())
    if not more:
        return block
    if header.has(Malformation.NO_END):  # the header is all of the message
        return (block + _CRLF if block and not block.endswith(_CRLF) else block) + more
    return block[:-2] + more + _CRLF


def _claims(value: bytes, authserv_id: bytes) -> bool:
    """Do these results say that they are ours? What is not plain (comments, quotes, other characters) might, so it does."""
    match = _AUTHSERV.match(value)
    return match is None or match[1].rstrip(b".").lower() == authserv_id


def _without(header: HeaderIndex, gone: list[Field]) -> bytes:
    block = header.block
    kept: list[bytes] = []
    at = 0
    for field in gone:
        kept.append(block[at : field.name_start])
        at = field.end
    kept.append(block[at:])
    return b"".join(kept)
