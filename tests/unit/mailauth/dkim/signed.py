"""Signed messages with everything that can be wrong with them, made by a plain reading of RFC 6376, not by what is tested."""

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from poterne.mailauth.dkim import keys
from poterne.mailauth.dkim.keys import SigningKey
from poterne.mailauth.dkim.outcome import Outcome
from poterne.mailauth.dkim.record import KeyType
from poterne.mailauth.dkim.verify import Verifier
from poterne.message.header import index
from poterne.values.dns import Answer, Found

NOW = 1_780_000_000
NAME = "sel._domainkey.example.org"
FIELDS = (
    b"From: Ann <ann@example.org>\r\n",
    b"To: Bob <bob@example.net>,\r\n Eve <eve@example.net>\r\n",
    b"Subject: a  subject\t of  words\r\n",
    b"Date: Mon, 1 Jun 2026 10:00:00 +0000\r\n",
)
BODY = b"Hello  Bob,\r\n\r\n\tit is\t late. \r\n\r\n\r\n"

Private = Ed25519PrivateKey | RSAPrivateKey


def canonical_body(body: bytes, form: str) -> bytes:
    lines = body.split(b"\r\n")
    if form == "relaxed":
        lines = [re.sub(rb"[ \t]+", b" ", line) for line in lines]
        lines = [line.removesuffix(b" ") for line in lines]
    while lines and not lines[-1]:
        lines.pop()
    if not lines:
        return b"" if form == "relaxed" else b"\r\n"
    return b"".join(line + b"\r\n" for line in lines)


def canonical_field(field: bytes, form: str) -> bytes:
    if form == "simple":
        return field
    name, _, value = field.partition(b":")
    value = re.sub(rb"[ \t]+", b" ", value.replace(b"\r\n", b""))
    return name.strip(b" \t").lower() + b":" + value.strip(b" ") + b"\r\n"


def signed_octets(fields: Iterable[bytes], names: Iterable[str], form: str) -> bytes:
    left = list(fields)
    parts = []
    for name in names:
        for at in range(len(left) - 1, -1, -1):
            if left[at].partition(b":")[0].strip().lower() == name.strip().lower().encode():
                parts.append(canonical_field(left.pop(at), form))
                break
    return b"".join(parts)


@lru_cache
def ed25519() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


@lru_cache
def rsa(bits: int = 2048) -> RSAPrivateKey:
    return generate_private_key(65537, bits)


def public_text(key: Private) -> str:
    if isinstance(key, RSAPrivateKey):
        data = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    else:
        data = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return base64.b64encode(data).decode()


def record(key: Private, **tags: str) -> bytes:
    kind = "rsa" if isinstance(key, RSAPrivateKey) else "ed25519"
    said = {"v": "DKIM1", "k": kind, "p": public_text(key)} | tags
    return "; ".join(f"{name}={value}" for name, value in said.items()).encode()


def signature_field(
    key: Private, fields: Iterable[bytes], body: bytes, tags: Mapping[str, str | None], separator: str = "; "
) -> bytes:
    """The field; `tags` replaces what would be said, None leaves a tag out."""
    kind = "rsa-sha256" if isinstance(key, RSAPrivateKey) else "ed25519-sha256"
    base: dict[str, str | None] = {
        "v": "1", "a": kind, "c": "relaxed/relaxed", "d": "example.org", "s": "sel", "h": "from:to:subject:date",
    }  # fmt: skip
    said = base | dict(tags)
    header_form, _, body_form = str(said["c"] or "simple").partition("/")
    text = canonical_body(body, body_form or "simple")
    length = str(said.get("l") or "")
    if length.isdigit():
        text = text[: int(length)]
    said.setdefault("bh", base64.b64encode(hashlib.sha256(text).digest()).decode())
    said = {name: value for name, value in said.items() if value is not None}
    given = said.pop("b", "")
    field = ("DKIM-Signature: " + separator.join(f"{name}={value}" for name, value in said.items())).encode()
    if "b" in tags and tags["b"] is None:
        return field + b"\r\n"
    field += separator.encode() + b"b="
    if given:
        return field + given.encode() + b"\r\n"
    data = signed_octets(fields, str(said.get("h", "")).split(":"), header_form)
    data += canonical_field(field + b"\r\n", header_form).removesuffix(b"\r\n")
    if isinstance(key, RSAPrivateKey):
        made = key.sign(data, padding.PKCS1v15(), hashes.SHA256())
    else:
        made = key.sign(hashlib.sha256(data).digest())
    return field + base64.b64encode(made) + b"\r\n"


def message(
    tags: Mapping[str, str | None] | None = None,
    *,
    key: Private | None = None,
    fields: Iterable[bytes] = FIELDS,
    body: bytes = BODY,
    separator: str = "; ",
) -> bytes:
    fields = tuple(fields)
    field = signature_field(key or ed25519(), fields, body, tags or {}, separator)
    return field + b"".join(fields) + b"\r\n" + body


def found(*records: bytes) -> Answer[bytes]:
    return Found(records, NAME, secure=False, ttl_s=300)


def verify(
    data: bytes, answers: Mapping[str, Answer[bytes]] | None = None, *, now_s: int = NOW, chunk: int = 1 << 30
) -> tuple[Outcome, ...]:
    header = index(data)
    verifier = Verifier(header, now_s)
    for at in range(header.end, len(data), chunk):
        verifier.feed(data[at : at + chunk])
    return verifier.finish({NAME: found(record(ed25519()))} if answers is None else answers)


@lru_cache
def our_keys() -> tuple[SigningKey, ...]:
    """One of each type, for example.org."""
    return tuple(keys.load(keys.generate(kind), "example.org", keys.new_selector(kind, NOW)) for kind in KeyType)


def our_answers() -> dict[str, Answer[bytes]]:
    return {key.name: found(keys.record_text(key).encode()) for key in our_keys()}
