"""The TXT record at `_smtp._tls.DOMAIN` (RFC 8460 §3): who wants reports about mail to a domain."""

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import unquote_to_bytes

from poterne.values.address import Address, AddressError

PREFIX: Final = "_smtp._tls."
URIS_MOST: Final = 5
_VERSION: Final = re.compile(rb"v=TLSRPTv1[ \t]*;")
_DELIMITER: Final = re.compile(rb"[ \t]*;[ \t]*")
_FIELD: Final = re.compile(rb"([A-Za-z0-9][A-Za-z0-9_.-]{0,31})=([\x20\x21-\x3a\x3c-\x7e]+)")
_URI: Final = re.compile(r"(?i:mailto|https):[!-+\--~]+")
_MOST: Final = 4096


def addresses(records: Iterable[bytes]) -> tuple[str, ...] | None:
    """The `rua` URIs (`mailto:` and `https:`), in their order; None: no report is wanted, or it can't be read. Never raises."""
    ours = [record for record in records if _VERSION.match(record)]
    if len(ours) != 1 or len(ours[0]) > _MOST:
        return None
    fields = _DELIMITER.split(ours[0].rstrip(b" \t"))[1:]
    if fields and not fields[-1]:
        fields.pop()
    uris: tuple[str, ...] | None = None
    for text in fields:
        field = _FIELD.fullmatch(text)
        if field is None:
            return None
        if field[1] == b"rua" and uris is None:
            listed = [uri.strip(" \t") for uri in field[2].decode("ascii").split(",")]
            uris = tuple(uri for uri in listed if _URI.fullmatch(uri))
    return uris or None


def mailboxes(uris: Iterable[str]) -> tuple[Address, ...]:
    """The mailboxes of the `mailto:` URIs among them (RFC 6068), each once; header fields that a URI asks for are not written."""
    found: dict[str, Address] = {}
    for uri in uris:
        scheme, _, rest = uri.partition(":")
        if scheme.lower() != "mailto":
            continue
        try:
            address = Address.parse(unquote_to_bytes(rest.partition("?")[0]).decode("utf-8"))
        except (AddressError, UnicodeDecodeError):
            continue
        found.setdefault(address.key, address)
    return tuple(found.values())[:URIS_MOST]
