"""Delivered-To: which of our addresses a message came through. An address that finds itself there already is in a loop.

Each final delivery and each forward writes its address on top; nobody takes these fields away. A forged one turns back only its
own message. Plus-tags are one mailbox: `ann+a@…` and `ann+b@…` that forward to each other are a loop too.
"""

import re
from typing import Final

from poterne.message.header import HeaderIndex
from poterne.values.address import Address, AddressError

MAX_DELIVERED_TO: Final = 50
"""A message with more of them is in a loop, whoever's."""
_FIELD: Final = b"delivered-to"
_UNSAFE: Final = re.compile(r"[\x00-\x20\x7f-\xa0<>\u2028\u2029\ud800-\udfff]")
_MAX_VALUE: Final = 1024


def delivered_to(address: str) -> bytes:
    """`Delivered-To: address` with its CRLF; whatever the address holds, it is one field."""
    return f"Delivered-To: {_safe(address)}\r\n".encode()


def _safe(address: str) -> str:
    return _UNSAFE.sub("?", address[:_MAX_VALUE])


def folded(address: str) -> str:
    """What loops go by: the address in lower case without its tag. No address: the text in lower case."""
    try:
        key = Address.parse(address).key
    except AddressError:
        return address.strip().lower()
    local_part, _, domain = key.rpartition("@")
    return f"{local_part.partition('+')[0] or local_part}@{domain}"


def passed_through(header: HeaderIndex) -> frozenset[str]:
    """The addresses of its Delivered-To fields, `folded`; of the first MAX_DELIVERED_TO. Always returns."""
    values = [value[:_MAX_VALUE] for value in header.values(_FIELD)[:MAX_DELIVERED_TO]]
    return frozenset(folded(_bare(value)) for value in values)


def loops(header: HeaderIndex, via: str) -> bool:
    """Did the message pass through this address of ours before, or through too many?"""
    fields = header.find(_FIELD)
    if not fields:
        return False
    return len(fields) > MAX_DELIVERED_TO or folded(_safe(via)) in passed_through(header)


def _bare(value: bytes) -> str:
    """The address without angle brackets, which some write."""
    text = value.decode("utf-8", "replace").strip()
    return text[1:-1] if text[:1] == "<" and text[-1:] == ">" else text
