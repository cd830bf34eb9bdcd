"""Chains with everything that can be wrong with them, made by a plain reading of RFC 8617, not by what is tested."""

import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from poterne.mailauth.arc.outcome import Outcome
from poterne.mailauth.arc.verify import Verifier
from poterne.message.header import index
from poterne.values.dns import Answer
from tests.unit.mailauth.dkim.signed import (
    BODY,
    FIELDS,
    NOW,
    Private,
    canonical_body,
    canonical_field,
    ed25519,
    found,
    record,
    signed_octets,
)

Changed = Callable[[str], str]
PAYLOAD = "mx{i}.example; spf=pass smtp.mailfrom=example.org; dmarc=pass header.from=example.org"


def same(text: str) -> str:
    return text


def sealer(instance: int) -> str:
    return f"hop{instance}.example"


def _made(key: Private, data: bytes) -> str:
    if isinstance(key, RSAPrivateKey):
        return base64.b64encode(key.sign(data, padding.PKCS1v15(), hashes.SHA256())).decode()
    return base64.b64encode(key.sign(hashlib.sha256(data).digest())).decode()


def _signed(key: Private, field: str, before: bytes) -> bytes:
    """The field with its signature behind `b=` at its end."""
    unsigned = field.encode() + b"\r\n"
    own = canonical_field(unsigned, "relaxed").removesuffix(b"\r\n")
    return (field + _made(key, before + own)).encode() + b"\r\n"


def seal(
    arc: Sequence[Sequence[bytes]],
    fields: Sequence[bytes] = FIELDS,
    body: bytes = BODY,
    *,
    key: Private | None = None,
    instance: int | None = None,
    status: str | None = None,
    results: Changed = same,
    signature: Changed = same,
    seal: Changed = same,
    names: str = "from:to:subject:date",
) -> list[bytes]:
    """One more set: its three fields in the order in which they are sealed. What changes a text does it before it is signed."""
    key = key or ed25519()
    kind = "rsa-sha256" if isinstance(key, RSAPrivateKey) else "ed25519-sha256"
    i = instance or len(arc) + 1
    status = status or ("none" if i == 1 else "pass")
    first = results(f"ARC-Authentication-Results: i={i}; " + PAYLOAD.format(i=i)).encode() + b"\r\n"
    body_hash = base64.b64encode(hashlib.sha256(canonical_body(body, "relaxed")).digest()).decode()
    text = signature(
        f"ARC-Message-Signature: i={i}; a={kind}; c=relaxed/relaxed; d={sealer(i)}; s=sel; t={NOW}; h={names}; "
        f"bh={body_hash}; b="
    )
    second = _signed(key, text, signed_octets(fields, names.split(":"), "relaxed"))
    before = b"".join(canonical_field(field, "relaxed") for one in [*arc, [first, second]] for field in one)
    third = _signed(key, seal(f"ARC-Seal: i={i}; a={kind}; cv={status}; d={sealer(i)}; s=sel; t={NOW}; b="), before)
    return [first, second, third]


def chain(
    hops: int, fields: Sequence[bytes] = FIELDS, body: bytes = BODY, key: Private | None = None
) -> list[list[bytes]]:
    arc: list[list[bytes]] = []
    for _ in range(hops):
        arc.append(seal(arc, fields, body, key=key))
    return arc


def message(arc: Sequence[Sequence[bytes]], fields: Sequence[bytes] = FIELDS, body: bytes = BODY) -> bytes:
    """Newest set on top, and in each the seal on top."""
    return b"".join(b"".join(reversed(one)) for one in reversed(arc)) + b"".join(fields) + b"\r\n" + body


def answers(hops: int = 60, key: Private | None = None) -> dict[str, Answer[bytes]]:
    return {f"sel._domainkey.{sealer(i)}": found(record(key or ed25519())) for i in range(1, hops + 1)}


def verify(
    data: bytes, said: Mapping[str, Answer[bytes]] | None = None, *, now_s: int = NOW, chunk: int = 1 << 30
) -> Outcome:
    header = index(data)
    verifier = Verifier(header, now_s)
    for at in range(header.end, len(data), chunk):
        verifier.feed(data[at : at + chunk])
    return verifier.finish(answers() if said is None else said)
