"""Messages as they arrived, verified with the keys of their domain."""

import re
from collections.abc import Iterable

from poterne.admin import dkim
from poterne.mailauth.dkim.outcome import Outcome, Result
from poterne.mailauth.dkim.verify import Verifier
from poterne.message.header import index
from poterne.values.dkim import DkimKey
from poterne.values.dns import Answer, Found


def answers(keys: Iterable[DkimKey]) -> dict[str, Answer[bytes]]:
    """What DNS says when their records are published."""
    return {
        one.name: Found((one.value.encode(),), one.name, secure=False, ttl_s=300) for one in dkim.records(list(keys))
    }


def outcomes(octets: bytes, keys: Iterable[DkimKey], now_s: int) -> tuple[Outcome, ...]:
    """One for each signature, in the order of the header."""
    header = index(octets)
    verifier = Verifier(header, now_s)
    verifier.feed(octets[header.end :])
    return verifier.finish(answers(keys))


def passed(octets: bytes, keys: Iterable[DkimKey], now_s: int) -> list[tuple[str, str]]:
    """(d=, a=) of all signatures, each of which must pass and cover all that readers see."""
    found = outcomes(octets, keys, now_s)
    assert all(one.result is Result.PASS and not one.unsigned and not one.extendable for one in found), found
    return [(one.domain, one.algorithm) for one in found]


def selectors(octets: bytes) -> list[str]:
    return re.findall(r" s=([^;]+);", octets.partition(b"\r\n\r\n")[0].decode())
