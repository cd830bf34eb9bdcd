"""Sender Rewriting Scheme: the reverse-path of forwarded mail under our own domain, and back for what returns to it.

Theory of operation. Whoever receives forwarded mail checks whether *we* may send for the reverse-path's domain (SPF, RFC 7208),
so it must be one of ours; and a bounce must still find the sender. Three forms, all signed and dated by us:

- `SRS0=HASH=TT=domain=local@via-domain`: the sender `local@domain`. TT is the day, modulo 1024, as two base32 digits.
- `SRS1=TTHASH=first==rest@via-domain`: the sender's path was `SRS0=rest@first` already, of another forwarder; or an SRS1 path of
  another one, whose part is dropped. The bounce goes to `first`, which undoes its own. However many forward, it grows only once.
- `SRS2=HASH=TT=local@via-domain`: ours alone, for what has no room in 64 octets of local part (RFC 5321 §4.5.3.1.1). It hides the
  sender: nothing here could be undone without a table of every mail forwarded. A bounce to it is about mail that
  `local@via-domain` forwarded, and is for whoever answers for that address. So are senders that no RCPT TO may name (`a%b@c`).

HASH is 40 bits of HMAC-SHA256 in base32, which survives hosts that fold case, over all that follows it and our domain, in lower
case. A path is believed for 21 days; bounces come within five, mostly. To guess a hash takes 2^40 SMTP recipients.

What a path is good for, once known: to have us send a message with the null reverse-path to the address in it. So only null
reverse-paths should be let through, and mail that failed authentication must not be forwarded (`policy.forward`).
"""

import base64
import hashlib
import hmac
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, final

from poterne.values.address import MAX_LOCAL_PART, Address, AddressError, domain_name, routing_fault
from poterne.values.secret import Secret

MAX_AGE_DAYS: Final = 21
MIN_KEY_BYTES: Final = 16
_DAY_S: Final = 86_400
_STAMPS: Final = 1024
_DIGITS: Final = "abcdefghijklmnopqrstuvwxyz234567"
_HASH: Final = r"[a-z2-7]{8}"
_STAMP: Final = r"[a-z2-7]{2}"
_OURS: Final = re.compile(
    rf"srs(?:([02])=({_HASH})=({_STAMP})|(1)=({_STAMP})({_HASH}))=(.+)", re.IGNORECASE | re.DOTALL
)
_SRS0: Final = re.compile(r"srs0([-+=][^=]+=[^=]+=[^=]+=.+)", re.IGNORECASE | re.DOTALL)
"""Of anybody: the separator behind SRS0 belongs to the rest."""
_SRS1: Final = re.compile(r"srs1[-+=][^=]+=([^=]+)=([-+=][^=]+=[^=]+=[^=]+=.+)", re.IGNORECASE | re.DOTALL)
_SRS0_REST: Final = re.compile(r"([^=]+)=([-+=].+)", re.DOTALL)


class SrsFault(Enum):
    """Why a path is not believed, though it has the form of ours; the value is the stable word."""

    HASH = "srs-hash"
    """Not made by us for this address, or with a key that is gone."""
    EXPIRED = "srs-expired"


@dataclass(frozen=True, slots=True)
class Original:
    """Who a bounce is for."""

    reverse_path: str


@dataclass(frozen=True, slots=True)
class Hidden:
    """It is about mail that `via` forwarded; the sender is not known any more."""

    via: str


@final
class Srs:
    """Signs with the first key, believes all of them: a key may be replaced while bounces to the last one are on their way.

    ValueError without a key, or for one of less than MIN_KEY_BYTES.
    """

    __slots__ = ("_keys",)

    def __init__(self, keys: Sequence[Secret]) -> None:
        self._keys: Final = tuple(key.reveal() for key in keys)
        if not self._keys or min(map(len, self._keys)) < MIN_KEY_BYTES:
            raise ValueError(f"an SRS key has at least {MIN_KEY_BYTES} octets")

    def rewrite(self, reverse_path: str, via: str, now: int, *, local: bool = False) -> str:
        """The reverse-path of mail that the address `via` of ours forwards. Always returns.

        The null path stays null; `local` (its domain is one of ours) leaves it as it is.
        """
        if not reverse_path or local:
            return reverse_path
        via_local, _, via_domain = via.rpartition("@")
        stamp = _stamp(now)
        found = self._readable(reverse_path, via_domain, stamp)
        if found is None:
            kept = via_local if len(via_local.encode()) <= MAX_LOCAL_PART - len("SRS2=12345678=12=") else "postmaster"
            found = Address(f"SRS2={self._sign('2', stamp, kept, via_domain)}={stamp}={kept}", via_domain)
        return str(found)

    def reverse(self, address: Address, now: int) -> Original | Hidden | SrsFault | None:
        """What a path under one of our domains stands for; None when it has not the form of ours. Always returns."""
        match = _OURS.fullmatch(address.local_part)
        if match is None:
            return None
        kind = match[1] or match[4]
        signature, stamp, rest = match[2] or match[6], match[3] or match[5], match[7]
        original = _undone(kind, rest, address.domain)
        if original is None:
            return None
        if not self._signed(signature, kind, stamp, rest, address.domain):
            return SrsFault.HASH
        return original if _fresh(stamp, now) else SrsFault.EXPIRED

    def _readable(self, reverse_path: str, via_domain: str, stamp: str) -> Address | None:
        """SRS0 or SRS1, when it fits and can be undone."""
        try:
            address = Address.parse(reverse_path)
        except AddressError:
            return None
        chained = _chained(address)
        if chained is not None:
            local_part = f"SRS1={stamp}{self._sign('1', stamp, chained, via_domain)}={chained}"
        else:
            rest = f"{address.domain}={address.local_part}"
            local_part = f"SRS0={self._sign('0', stamp, rest, via_domain)}={stamp}={rest}"
        return _fitting(local_part, via_domain)

    def _sign(self, kind: str, stamp: str, rest: str, domain: str) -> str:
        return _hash(self._keys[0], kind, stamp, rest, domain)

    def _signed(self, signature: str, kind: str, stamp: str, rest: str, domain: str) -> bool:
        given = signature.upper()
        good = False
        for key in self._keys:
            good |= hmac.compare_digest(_hash(key, kind, stamp, rest, domain), given)
        return good


def _hash(key: bytes, kind: str, stamp: str, rest: str, domain: str) -> str:
    folded = unicodedata.normalize("NFC", f"{kind}={stamp}={rest}@{domain}".lower())
    return base64.b32encode(hmac.digest(key, folded.encode(errors="replace"), hashlib.sha256)[:5]).decode("ascii")


def _stamp(now: int) -> str:
    day = now // _DAY_S % _STAMPS
    return (_DIGITS[day >> 5] + _DIGITS[day & 31]).upper()


def _fresh(stamp: str, now: int) -> bool:
    """A day ahead is believed too: clocks of several nodes differ around midnight."""
    day = _DIGITS.index(stamp[0].lower()) << 5 | _DIGITS.index(stamp[1].lower())
    return (now // _DAY_S - day + 1) % _STAMPS <= MAX_AGE_DAYS + 1


def _chained(address: Address) -> str | None:
    """`first=rest` for SRS1, when another forwarder rewrote this path already and its host can be named."""
    match = _SRS0.fullmatch(address.local_part)
    if match is not None:
        return f"{address.domain}={match[1]}"
    match = _SRS1.fullmatch(address.local_part)
    if match is None:
        return None
    try:
        return f"{domain_name(match[1])}={match[2]}"
    except AddressError:
        return None


def _undone(kind: str, rest: str, our_domain: str) -> Original | Hidden | None:
    """What the signed text says, None when it says nothing."""
    if kind == "2":
        return Hidden(f"{rest}@{our_domain}")
    if kind == "1":
        match = _SRS0_REST.fullmatch(rest)
        domain, local_part = (match[1], f"SRS0{match[2]}") if match is not None else ("", "")
    else:
        domain, _, local_part = rest.partition("=")
    address = _fitting(local_part, domain) if domain and local_part else None
    return None if address is None else Original(str(address))


def _fitting(local_part: str, domain: str) -> Address | None:
    """The address; None when it is too long, or none that RCPT TO may name."""
    try:
        made = Address.parse(str(Address(local_part, domain)))
    except AddressError:
        return None
    return None if routing_fault(made) else made
