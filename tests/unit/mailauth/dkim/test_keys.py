"""Our keys and their records."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat

from poterne.mailauth.dkim import keys
from poterne.mailauth.dkim.keys import UnusableKeyError, load, new_selector, record_strings, record_text
from poterne.mailauth.dkim.record import Key, KeyType, read
from poterne.values.secret import Secret
from tests.unit.mailauth.dkim.signed import our_keys


@pytest.mark.parametrize("kind", list(KeyType))
def test_a_made_key_is_read_again_and_its_record_is_its_own(kind: KeyType) -> None:
    key = our_keys()[list(KeyType).index(kind)]
    assert key.type is kind
    found = read(record_text(key).encode())
    assert isinstance(found, Key)
    assert found.type is kind
    assert found.public == key.private.public_key()
    assert found.strict
    assert not found.testing


def test_a_made_key_is_a_secret_in_pem() -> None:
    pem = keys.generate(KeyType.ED25519)
    assert pem.reveal().startswith(b"-----BEGIN PRIVATE KEY-----\n")
    assert load(pem, "example.org", "s").name == "s._domainkey.example.org"
    assert keys.generate(KeyType.ED25519) != pem


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, password: bytes = b"") -> Secret:
    how = BestAvailableEncryption(password) if password else NoEncryption()
    return Secret(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, how))


def test_what_is_no_key_for_us() -> None:
    small = rsa.generate_private_key(65537, 1024)
    bad = [
        Secret(b""),
        Secret(b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
        pem(small),
        pem(small, b"a passphrase"),
        pem(ec.generate_private_key(ec.SECP256R1())),
    ]
    for one in bad:
        with pytest.raises(UnusableKeyError) as caught:
            load(one, "example.org", "s")
        assert "BEGIN" not in str(caught.value)


def test_selectors_are_of_the_day_and_never_the_same() -> None:
    day = 1_780_000_000  # 28 May 2026
    assert new_selector(KeyType.RSA, day) == "p20260528-rsa"
    assert new_selector(KeyType.ED25519, day) == "p20260528-ed25519"
    taken = {"p20260528-rsa", "p20260528-rsa-2"}
    assert new_selector(KeyType.RSA, day, taken) == "p20260528-rsa-3"


def test_records_fit_in_strings_of_dns() -> None:
    for key in our_keys():
        text = record_text(key)
        strings = record_strings(text)
        assert "".join(strings) == text
        assert max(map(len, strings)) <= 255
        assert len(strings) == (2 if key.type is KeyType.RSA else 1)
    assert record_strings("x" * 255) == ("x" * 255,)


def test_a_damaged_rsa_key_is_refused_or_signs_as_before() -> None:
    pem = keys.generate(KeyType.RSA).reveal().decode().splitlines()
    whole = base64.b64decode("".join(pem[1:-1]))
    refused = 0
    for at in range(0, len(whole), 7):
        damaged = bytearray(whole)
        damaged[at] ^= 0x10
        text = base64.encodebytes(bytes(damaged)).decode()
        try:
            key = keys.load(Secret(f"{pem[0]}\n{text}{pem[-1]}\n".encode()), "example.org", "x").private
        except keys.UnusableKeyError:
            refused += 1
        else:
            assert isinstance(key, RSAPrivateKey)
            key.public_key().verify(key.sign(b"x", PKCS1v15(), SHA256()), b"x", PKCS1v15(), SHA256())
    assert refused >= 30
