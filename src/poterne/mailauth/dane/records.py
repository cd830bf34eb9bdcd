"""Which TLSA records can be used (RFC 7672 §3.1, RFC 7671 §9)."""

import warnings
from collections.abc import Iterable
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_der_public_key

from poterne.values.dns import Tlsa

DANE_TA: Final = 2
DANE_EE: Final = 3
CERTIFICATE: Final = 0
PUBLIC_KEY: Final = 1
FULL: Final = 0
SHA256: Final = 1
SHA512: Final = 2
RECORDS_MOST: Final = 50
_SIZES: Final = {SHA256: 32, SHA512: 64}
_FULL_MOST: Final = 16 * 1024


def usable(records: Iterable[Tlsa]) -> tuple[Tlsa, ...]:
    """Those that a server can be held against; () of a non-empty set means: encrypt, whoever answers (RFC 7672 §2.2).

    Usages 0 and 1 say nothing between mail servers (§3.1.3). Of several digests for one usage and selector only the
    strongest counts, so that a weak one is of no use to an attacker (RFC 7671 §9).
    """
    sound = [record for record in dict.fromkeys(records) if _sound(record)][:RECORDS_MOST]
    strongest: dict[tuple[int, int], int] = {}
    for record in sound:
        if record.matching != FULL:
            key = (record.usage, record.selector)
            strongest[key] = max(strongest.get(key, 0), record.matching)
    return tuple(
        record
        for record in sound
        if record.matching == FULL or record.matching == strongest[record.usage, record.selector]
    )


def _sound(record: Tlsa) -> bool:
    if record.usage not in {DANE_TA, DANE_EE} or record.selector not in {CERTIFICATE, PUBLIC_KEY}:
        return False
    if record.matching != FULL:
        return _SIZES.get(record.matching) == len(record.data)
    if len(record.data) > _FULL_MOST:
        return False
    try:
        with warnings.catch_warnings():  # of odd certificates
            warnings.simplefilter("ignore")
            if record.selector == CERTIFICATE:
                x509.load_der_x509_certificate(record.data)
            else:
                load_der_public_key(record.data)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return False
    return True


def presented(record: Tlsa) -> str:
    """Presentation format, as reports want it (RFC 8460 §4.5)."""
    return f"{record.usage} {record.selector} {record.matching} {record.data.hex().upper()}"
