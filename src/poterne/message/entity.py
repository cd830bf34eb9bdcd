"""What one header block says about its MIME entity (RFC 2045, 2183, 2392, 3282, 2557), and the envelope of a message."""

import hashlib
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final, NamedTuple

from poterne.message import params as parametered
from poterne.message.address import parse_addresses
from poterne.values.mime import Disposition, Envelope, MailAddress

Fields = dict[bytes, bytes]
"""Lower-case name to raw unfolded value of the first field of that name."""

Params = tuple[tuple[bytes, bytes], ...]
"""Lower-case names and values, in order."""

MIME_FIELDS: Final = frozenset(
    {
        b"content-type",
        b"content-transfer-encoding",
        b"content-id",
        b"content-description",
        b"content-disposition",
        b"content-md5",
        b"content-language",
        b"content-location",
    }
)
MESSAGE_FIELDS: Final = MIME_FIELDS | {
    b"date",
    b"subject",
    b"from",
    b"sender",
    b"reply-to",
    b"to",
    b"cc",
    b"bcc",
    b"in-reply-to",
    b"message-id",
    b"references",
}

_TOKEN: Final = re.compile(rb"[!#-'*+.0-9A-Z^_`a-z{|}~-]+")
_MSG_ID: Final = re.compile(rb"<([^<>]++)>")
_USUAL_ENCODINGS: Final = frozenset({b"7bit", b"8bit", b"base64", b"quoted-printable"})
_WHITESPACE: Final = b" \t\r\n"


def logical_lines(block: bytes) -> list[bytes]:
    """The fields of a header block, unfolded (RFC 5322 §2.2.3: a CRLF before white space goes). CRLF only is a line end."""
    if b"\r\n " in block:
        block = block.replace(b"\r\n ", b" ")
    if b"\r\n\t" in block:
        block = block.replace(b"\r\n\t", b"\t")
    return block.split(b"\r\n")


def collect(
    block: bytes, wanted: frozenset[bytes], listed: frozenset[bytes] = frozenset()
) -> tuple[Fields, tuple[tuple[bytes, bytes], ...]]:
    """The first field of each wanted name, and every field of the listed names in order.

    Lines that are no field are passed over; `header.index` reports them.
    """
    found: Fields = {}
    pairs: list[tuple[bytes, bytes]] = []
    if not listed and b" :" not in block and b"\t:" not in block:
        for line in logical_lines(block):
            name, colon, value = line.partition(b":")
            name = name.lower()
            if name in wanted and colon and name not in found:
                found[name] = value.strip(b" \t")
        return found, ()
    # RFC 5322 §4.5: obsolete syntax allows white space before the colon.
    for line in logical_lines(block):
        name, colon, value = line.partition(b":")
        name = name.rstrip(b" \t").lower()
        if not colon:
            continue
        if name in wanted and name not in found:
            found[name] = value.strip(b" \t")
        if name in listed:
            pairs.append((name, value.strip(b" \t")))
    return found, tuple(pairs)


def media_type(value: bytes) -> tuple[bytes, bytes] | None:
    """Type and subtype of a lower-case `type/subtype`, None when it is not one (RFC 2045 §5.1)."""
    kind, slash, subtype = value.partition(b"/")
    if not slash:
        return None
    kind, subtype = kind.rstrip(_WHITESPACE), subtype.strip(_WHITESPACE)
    subtype = subtype.split(None, 1)[0] if subtype else subtype
    if _TOKEN.fullmatch(kind) is None or _TOKEN.fullmatch(subtype) is None:
        return None
    return kind, subtype


class ContentType(NamedTuple):
    type: bytes
    subtype: bytes
    params: Params
    complete: bool
    """False when the field had more parameters than the limit."""


def content_type(value: bytes, max_params: int) -> ContentType | None:
    """A Content-Type field's unfolded value, None when it has no readable type (RFC 2045 §5.1, §5.2).

    Most mail has one of a few hundred short values: those are remembered.
    """
    return _short_content_type(value, max_params) if len(value) <= _SHORT else _content_type(value, max_params)


_SHORT: Final = 64


def _content_type(value: bytes, max_params: int) -> ContentType | None:
    media, params, complete = parametered.parse(value, max_params)
    parsed = media_type(media)
    return None if parsed is None else ContentType(parsed[0], parsed[1], params, complete)


_short_content_type = lru_cache(maxsize=512)(_content_type)


def transfer_encoding(value: bytes | None) -> bytes:
    """Content-Transfer-Encoding in lower case without comments; b"7bit" when absent or empty (RFC 2045 §6.1)."""
    if not value:
        return b"7bit"
    if value in _USUAL_ENCODINGS:
        return value
    if b"(" in value:
        value = parametered.without_comments(value)
    return value.strip(_WHITESPACE).lower() or b"7bit"


def disposition(value: bytes, max_params: int) -> tuple[Disposition | None, bool]:
    """Content-Disposition, None when it has no kind; and whether all parameters were kept."""
    kind, params, complete = parametered.parse(value, max_params)
    return (Disposition(kind, params) if kind else None), complete


def languages(value: bytes) -> tuple[bytes, ...]:
    """The tags of Content-Language, RFC 3282 §2. At most 32."""
    if b"(" in value:
        value = parametered.without_comments(value)
    return tuple(tag for tag in (tag.strip(_WHITESPACE) for tag in value.split(b",", 32)[:32]) if tag)


def envelope(fields: Fields, max_addresses: int) -> tuple[Envelope, bool]:
    """The envelope of RFC 9051 §7.5.2 and whether every address was kept. Sender and Reply-To default to From."""
    complete = True

    def addresses(name: bytes) -> tuple[MailAddress, ...]:
        nonlocal complete
        value = fields.get(name)
        if not value:
            return ()
        parsed = parse_addresses(value, max_addresses)
        complete = complete and parsed.complete
        return parsed.addresses

    get = fields.get
    from_ = addresses(b"from")
    return (
        Envelope(
            get(b"date"),
            get(b"subject"),
            from_,
            addresses(b"sender") or from_,
            addresses(b"reply-to") or from_,
            addresses(b"to"),
            addresses(b"cc"),
            addresses(b"bcc"),
            get(b"in-reply-to"),
            get(b"message-id"),
        ),
        complete,
    )


def message_id_hash(message_id: bytes) -> int:
    """63 bits that stand for a message id (without `<>`) in the store: **a stored format, it never changes**.

    First 8 octets of BLAKE2b with an 8-octet digest, big endian, shifted right by one. A keyless cryptographic hash: it must
    be the same in every process and year, and nobody shall craft two ids that thread together.
    """
    return int.from_bytes(hashlib.blake2b(message_id, digest_size=8).digest()) >> 1


def message_ids(value: bytes | None) -> list[bytes]:
    """The ids of a Message-ID, In-Reply-To or References value, without `<>` and inner white space, in order."""
    if not value:
        return []
    ids: list[bytes] = _MSG_ID.findall(value)
    if b" " in value or b"\t" in value:
        return [b"".join(one.split()) for one in ids]
    return ids


def reference_hashes(fields: Fields, max_ids: int) -> tuple[int, ...]:
    """Own id, then References in order, then what In-Reply-To adds; each once (RFC 5256 §3, RFC 5322 §3.6.4).

    Beyond `max_ids` the oldest References stays (it names the thread) with the newest ones.
    """
    own = message_ids(fields.get(b"message-id"))[:1]
    ids = _unique(own + message_ids(fields.get(b"references")) + message_ids(fields.get(b"in-reply-to")))
    if len(ids) > max_ids:
        ids = ids[:2] + ids[2 - max_ids :]
    return tuple([message_id_hash(one) for one in ids])


def _unique(ids: Iterable[bytes]) -> list[bytes]:
    return list(dict.fromkeys(ids))
