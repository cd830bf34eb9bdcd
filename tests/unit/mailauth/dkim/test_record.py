"""Key records (RFC 6376 §3.6.1): what gives a key, and what does not."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from poterne.mailauth.dkim.outcome import Reason
from poterne.mailauth.dkim.record import Key, KeyType, Unusable, read
from tests.unit.mailauth.dkim.signed import ed25519, public_text, record, rsa

ED = public_text(ed25519())


def refused(text: bytes) -> Reason:
    found = read(text)
    assert isinstance(found, Unusable), found
    return found.reason


def rsa_text(modulus: int, exponent: int = 65537) -> bytes:
    public = RSAPublicNumbers(exponent, modulus).public_key()
    data = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return b"v=DKIM1; p=" + base64.b64encode(data)


def test_rsa_keys() -> None:
    found = read(record(rsa(2048), k="rsa"))
    assert isinstance(found, Key)
    assert (found.type, found.bits, found.testing, found.strict) == (KeyType.RSA, 2048, False, False)


def test_rsa_is_the_default_and_pkcs1_is_read() -> None:
    data = rsa(2048).public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)
    found = read(b"p=" + base64.b64encode(data))
    assert isinstance(found, Key)
    assert found.bits == 2048


def test_ed25519_keys() -> None:
    found = read(f"v=DKIM1; k=ed25519; p={ED}; t=s:y".encode())
    assert isinstance(found, Key)
    assert (found.type, found.bits, found.testing, found.strict) == (KeyType.ED25519, 256, True, True)


@pytest.mark.parametrize(
    "text",
    [
        f"v=DKIM1;k=ed25519;p={ED}",
        f" v = DKIM1 ; k = ed25519 ; p = {ED[:10]} {ED[10:20]}\t{ED[20:]} ; ",
        f"k=ed25519; p={ED}",
        f"v=DKIM1; g=; n=a note, with = in it; k=ed25519; x=unknown; p={ED};",
        f"v=DKIM1; k=ed25519; h=sha1:sha256; s=other:email; t=other; p={ED}",
        f"v=DKIM1; k=ed25519; s=*; h= sha256 ; p={ED}",
    ],
)
def test_what_is_read(text: str) -> None:
    assert isinstance(read(text.encode()), Key)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", Reason.KEY_SYNTAX),
        (";", Reason.KEY_SYNTAX),
        ("v=spf1 -all", Reason.KEY_SYNTAX),
        ("some text of a wildcard", Reason.KEY_SYNTAX),
        ("v=DKIM1; k=rsa", Reason.KEY_SYNTAX),
        (f"v=DKIM2; k=ed25519; p={ED}", Reason.KEY_SYNTAX),
        (f"v=dkim1; k=ed25519; p={ED}", Reason.KEY_SYNTAX),
        (f"k=ed25519; v=DKIM1; p={ED}", Reason.KEY_SYNTAX),
        (f"v=DKIM1; k=ed25519; p={ED}; p={ED}", Reason.KEY_SYNTAX),
        (f"v=DKIM1; k=ed25519; x=1; x=1; p={ED}", Reason.KEY_SYNTAX),
        (f"v=DKIM1; k=ed25519; 1x=1; p={ED}", Reason.KEY_SYNTAX),
        (f"v=DKIM1; k=ed25519; nothing; p={ED}", Reason.KEY_SYNTAX),
        (f"v=DKIM1;; k=ed25519; p={ED}", Reason.KEY_SYNTAX),
        (f"v=DKIM1\\; k=ed25519\\; p={ED}", Reason.KEY_SYNTAX),
        (f"v=DKIM1; k=ed25519; n=é; p={ED}", Reason.KEY_SYNTAX),
        (f"v=DKIM1; k=ed25519; n=\0; p={ED}", Reason.KEY_SYNTAX),
        (f"v=DKIM1; k=ed25519; p={ED[:-1]}", Reason.KEY_SYNTAX),
        (f"v=DKIM1; k=ed25519; p={ED[:-4]}", Reason.KEY_SYNTAX),
        (f"v=DKIM1; k=ed25519; p={ED}AAAA", Reason.KEY_SYNTAX),
        (f"v=DKIM1; k=ed25519; p=*{ED}", Reason.KEY_SYNTAX),
        (f"v=DKIM1; k=rsa; p={ED}", Reason.KEY_SYNTAX),
        ("v=DKIM1; p=", Reason.KEY_REVOKED),
        ("v=DKIM1; k=ed25519; p= ;", Reason.KEY_REVOKED),
        (f"v=DKIM1; k=dsa; p={ED}", Reason.KEY_TYPE),
        (f"v=DKIM1; k=; p={ED}", Reason.KEY_TYPE),
        (f"v=DKIM1; k=ed25519; h=sha1; p={ED}", Reason.KEY_HASH),
        (f"v=DKIM1; k=ed25519; h=; p={ED}", Reason.KEY_HASH),
        (f"v=DKIM1; k=ed25519; s=tlsrpt; p={ED}", Reason.KEY_SERVICE),
    ],
)
def test_what_is_not(text: str, reason: Reason) -> None:
    assert refused(text.encode()) is reason


def test_sizes_of_rsa_keys() -> None:
    assert refused(rsa_text((1 << 1022) + 1)) is Reason.KEY_SMALL  # 1023 bits
    assert refused(rsa_text((1 << 511) + 1)) is Reason.KEY_SMALL
    for bits in (1024, 4096, 8192):
        found = read(rsa_text((1 << (bits - 1)) + 1))
        assert isinstance(found, Key)
        assert found.bits == bits
    assert refused(rsa_text((1 << 8192) + 1)) is Reason.KEY_BIG
    assert refused(rsa_text((1 << 2047) + 1, (1 << 64) + 1)) is Reason.KEY_BIG


def test_too_long_is_not_looked_at() -> None:
    assert refused(b"v=DKIM1; n=" + b"x" * 4096 + b"; p=" + ED.encode()) is Reason.KEY_SYNTAX


def test_a_key_of_another_type_in_rsa_s_form() -> None:
    data = (
        ec.generate_private_key(ec.SECP256R1())
        .public_key()
        .public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    )
    assert refused(b"p=" + base64.b64encode(data)) is Reason.KEY_TYPE


def test_the_flag_of_tests_is_known_of_keys_that_are_none() -> None:
    found = read(b"v=DKIM1; t=y; p=")
    assert isinstance(found, Unusable)
    assert found.testing


@given(st.binary(max_size=200))
def test_never_raises(text: bytes) -> None:
    read(text)


@given(
    st.lists(
        st.sampled_from(
            ["v=DKIM1", "k=rsa", "k=ed25519", f"p={ED}", "p=", ";", "; ", " ", "=", "t=y", "h=sha256", "s=", "\t"]
        )
    )
)
def test_never_raises_on_what_looks_like_one(parts: list[str]) -> None:
    read("".join(parts).encode())


@given(st.binary(max_size=400))
def test_never_raises_on_any_key_data(data: bytes) -> None:
    for kind in (b"rsa", b"ed25519"):
        read(b"v=DKIM1; k=" + kind + b"; p=" + base64.b64encode(data))
