"""The sets of a chain, strictly (RFC 8617 §4): fields by instance, with what their tags say. Any doubt, and there is no chain."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from poterne.mailauth.arc.outcome import Reason
from poterne.mailauth.dkim import parse as dkim
from poterne.mailauth.dkim import tags
from poterne.mailauth.dkim.parse import VALUE_BYTES_MOST, Signature
from poterne.message.header import Field, HeaderIndex

SETS_MOST: Final = 50
"""RFC 8617 §4.2.1."""
RESULTS: Final = b"arc-authentication-results"
MESSAGE_SIGNATURE: Final = b"arc-message-signature"
SEAL: Final = b"arc-seal"
_OURS: Final = frozenset({RESULTS, MESSAGE_SIGNATURE, SEAL})
_SEAL_TAGS: Final = (b"a", b"b", b"d", b"s", b"t")
_NO_BODY: Final = {b"h": b"from", b"bh": b"A" * 43 + b"="}
"""What a seal does not have (RFC 8617 §4.1.3), and a signature must."""
_CFWS: Final = rb"(?:[ \t]|\r\n[ \t]|\([^()\\\r\n]*+\))*+"
_INSTANCE: Final = re.compile(rb"%bi%b=%b([0-9]{1,2})%b;" % (_CFWS, _CFWS, _CFWS, _CFWS))


@dataclass(frozen=True, slots=True)
class Set:
    """The three fields of an instance."""

    instance: int
    results: Field
    payload_start: int
    """Where Authentication-Results begin in the block."""
    message_signature: Field
    signature: Signature | None
    """None: it can't be read."""
    seal_field: Field
    seal: Signature
    """Its algorithm, its names and b=; the rest of it does not count."""


@dataclass(frozen=True, slots=True)
class Broken:
    """No chain that could be verified, and which set is at fault (0: none in particular)."""

    reason: Reason
    instance: int = 0


class _BrokenError(Exception):
    """Stops reading; never leaves this module."""

    def __init__(self, reason: Reason, instance: int = 0) -> None:
        self.broken: Final = Broken(reason, instance)


Tags = dict[bytes, bytes]


def read(header: HeaderIndex) -> tuple[Set, ...] | Broken | None:
    """The sets, from the first to the last; None: there are none. Never raises.

    Costs three look-ups for a message without.
    """
    results, signatures, seals = header.find(RESULTS), header.find(MESSAGE_SIGNATURE), header.find(SEAL)
    if not (results or signatures or seals):
        return None
    if max(len(results), len(signatures), len(seals)) > SETS_MOST:
        return Broken(Reason.TOO_MANY)
    try:
        return _sets(header.block, results, signatures, seals)
    except _BrokenError as error:
        return error.broken


def _sets(
    block: bytes, results: Sequence[Field], signatures: Sequence[Field], seals: Sequence[Field]
) -> tuple[Set, ...]:
    by_results = _by_instance([(_payload(block, found), found) for found in results])
    by_signature = _by_instance([(_tagged(block, found), found) for found in signatures])
    by_seal = _by_instance([(_tagged(block, found), found) for found in seals])
    most = len(results)
    if not len(by_signature) == len(by_seal) == most:
        raise _BrokenError(Reason.STRUCTURE)
    sets: list[Set] = []
    for instance in range(1, most + 1):
        if not (instance in by_results and instance in by_signature and instance in by_seal):
            raise _BrokenError(Reason.STRUCTURE, instance)
        start, result_field = by_results[instance]
        signature_tags, signature_field = by_signature[instance]
        seal_tags, seal_field = by_seal[instance]
        sets.append(
            Set(
                instance, result_field, start, signature_field, _signature(signature_tags), seal_field,
                _seal(seal_tags, instance),
            )
        )  # fmt: skip
    return tuple(sets)


T = TypeVar("T")


def _by_instance(found: list[tuple[tuple[int, T], Field]]) -> dict[int, tuple[T, Field]]:
    by_instance: dict[int, tuple[T, Field]] = {}
    for (instance, said), one in found:
        if instance in by_instance:
            raise _BrokenError(Reason.STRUCTURE, instance)
        by_instance[instance] = said, one
    return by_instance


def _payload(block: bytes, found: Field) -> tuple[int, int]:
    """Which instance, and where what follows it begins."""
    instance = _INSTANCE.match(block, found.value_start, found.end)
    if instance is None or found.end - found.value_start > VALUE_BYTES_MOST:
        raise _BrokenError(Reason.INSTANCE)
    return _position(instance[1]), instance.end()


def _tagged(block: bytes, found: Field) -> tuple[int, Tags]:
    value = block[found.value_start : found.end].removesuffix(b"\r\n")
    said = tags.read(value) if len(value) <= VALUE_BYTES_MOST else None
    if said is None:
        raise _BrokenError(Reason.SYNTAX)
    return _position(said.pop(b"i", b"")), said


def _position(digits: bytes) -> int:
    """RFC 8617 §3.9, §4.2.1."""
    number = tags.number(digits, 2) or 0
    if not 1 <= number <= SETS_MOST:
        raise _BrokenError(Reason.INSTANCE)
    return number


def _signature(said: Tags) -> Signature | None:
    signature = dkim.from_tags(said)
    if not isinstance(signature, Signature) or not _OURS.isdisjoint(signature.fields):  # RFC 8617 §4.1.2
        return None
    return signature


def _seal(said: Tags, instance: int) -> Signature:
    """Its cv= is as its instance demands (RFC 8617 §5.2)."""
    status = said.get(b"cv", b"").lower()
    if status not in {b"none", b"pass", b"fail"} or b"h" in said:
        raise _BrokenError(Reason.SYNTAX, instance)
    if status != (b"none" if instance == 1 else b"pass"):
        raise _BrokenError(Reason.CHAIN_BROKEN, instance)
    signature = dkim.from_tags({name: said[name] for name in _SEAL_TAGS if name in said} | _NO_BODY)
    if not isinstance(signature, Signature):
        raise _BrokenError(Reason.SYNTAX, instance)
    return signature
