"""Chains made here, with everything wrong that can be, against records made from them."""

import datetime as dt
import hashlib
from dataclasses import dataclass

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import example, given
from hypothesis import strategies as st

from poterne.mailauth.dane.records import presented, usable
from poterne.mailauth.dane.verify import Verdict, verify
from poterne.values.dns import Tlsa

NOW = dt.datetime(2026, 6, 1, tzinfo=dt.UTC)
NAMES = ("mx.example.com", "example.com")


@dataclass
class Made:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def spki(self) -> bytes:
        return self.certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    def record(self, usage: int, selector: int, matching: int) -> Tlsa:
        data = self.spki if selector else self.der
        found = (data, hashlib.sha256(data).digest(), hashlib.sha512(data).digest())
        return Tlsa(usage, selector, matching, found[matching])


def make(
    name: str,
    issuer: Made | None = None,
    *,
    ca: bool = True,
    length: int | None = None,
    names: tuple[str, ...] = (),
    days: tuple[int, int] = (-10, 10),
    extensions: tuple[tuple[x509.ExtensionType, bool], ...] = (),
    basic: bool = True,
) -> Made:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW + dt.timedelta(days=days[0]))
        .not_valid_after(NOW + dt.timedelta(days=days[1]))
    )
    if basic:
        builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=length), critical=True)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(one) for one in names]), False)
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return Made(builder.sign((issuer.key if issuer else key), hashes.SHA256()), key)


ROOT = make("root")
MIDDLE = make("middle", ROOT, length=0)
LEAF = make("leaf", MIDDLE, ca=False, names=("mx.example.com",))
CHAIN = [LEAF.der, MIDDLE.der, ROOT.der]
STRANGER = make("stranger", ca=False, names=("mx.example.com",))


@pytest.mark.parametrize("selector", [0, 1])
@pytest.mark.parametrize("matching", [0, 1, 2])
@pytest.mark.parametrize("usage", [2, 3])
def test_every_kind_of_record(usage: int, selector: int, matching: int) -> None:
    named = LEAF if usage == 3 else ROOT
    records = usable([named.record(usage, selector, matching)])
    assert len(records) == 1
    assert verify(records, CHAIN, NAMES, NOW) is Verdict.MATCH
    assert verify(records, [STRANGER.der, ROOT.der], NAMES, NOW) is Verdict.MISMATCH
    wrong = usable([STRANGER.record(usage, selector, matching)])
    assert verify(wrong, CHAIN, NAMES, NOW) is Verdict.MISMATCH


def test_ee_ignores_names_dates_and_everything() -> None:
    old = make("old", ca=False, names=("other.test",), days=(-20, -10))
    assert verify([old.record(3, 1, 1)], [old.der], NAMES, NOW) is Verdict.MATCH
    assert verify([old.record(3, 1, 1)], [LEAF.der, old.der], NAMES, NOW) is Verdict.MISMATCH


def test_an_intermediate_authority_and_any_order() -> None:
    assert verify([MIDDLE.record(2, 0, 1)], [LEAF.der, MIDDLE.der], NAMES, NOW) is Verdict.MATCH
    assert verify([ROOT.record(2, 0, 1)], [LEAF.der, ROOT.der, MIDDLE.der], NAMES, NOW) is Verdict.MATCH


def test_the_authority_must_be_presented_or_in_dns() -> None:
    assert verify([ROOT.record(2, 0, 1)], [LEAF.der, MIDDLE.der], NAMES, NOW) is Verdict.MISMATCH
    assert verify([ROOT.record(2, 0, 0)], [LEAF.der, MIDDLE.der], NAMES, NOW) is Verdict.MATCH
    # Presented is not enough: it must have signed.
    assert verify([ROOT.record(2, 0, 1)], [STRANGER.der, ROOT.der], NAMES, NOW) is Verdict.MISMATCH
    # The server's own certificate is no authority over itself.
    alone = make("alone", names=("mx.example.com",))
    assert verify([alone.record(2, 0, 1)], [alone.der], NAMES, NOW) is Verdict.MISMATCH


@pytest.mark.parametrize(
    ("names", "verdict"),
    [
        (("mx.example.com",), Verdict.MATCH),
        (("example.com",), Verdict.MATCH),
        (("*.example.com",), Verdict.MATCH),
        (("*.com",), Verdict.NAME),
        (("other.example.com",), Verdict.NAME),
        ((), Verdict.NAME),
    ],
)
def test_names_count_for_authorities(names: tuple[str, ...], verdict: Verdict) -> None:
    leaf = make("mx.example.com", ROOT, ca=False, names=names)
    assert verify([ROOT.record(2, 1, 1)], [leaf.der, ROOT.der], NAMES, NOW) is verdict


def test_dates_count_for_authorities() -> None:
    for days in ((-20, -1), (1, 20)):
        leaf = make("leaf", ROOT, ca=False, names=NAMES, days=days)
        assert verify([ROOT.record(2, 0, 1)], [leaf.der, ROOT.der], NAMES, NOW) is Verdict.EXPIRED
        root = make("root2", days=days)
        leaf = make("leaf", root, ca=False, names=NAMES)
        assert verify([root.record(2, 0, 1)], [leaf.der, root.der], NAMES, NOW) is Verdict.EXPIRED


def key_usage(*, sign: bool) -> x509.KeyUsage:
    no = dict.fromkeys(
        [
            "digital_signature",
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "crl_sign",
            "encipher_only",
            "decipher_only",
        ],
        False,
    )
    return x509.KeyUsage(key_cert_sign=sign, **{**no, "digital_signature": True})


MAIL_ONLY = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
UNKNOWN = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")


def permitting(*names: str) -> x509.NameConstraints:
    return x509.NameConstraints([x509.DNSName(name) for name in names], None)


def excluding(*names: str) -> x509.NameConstraints:
    return x509.NameConstraints(None, [x509.DNSName(name) for name in names])


@pytest.mark.parametrize(
    ("authority", "good"),
    [
        ({}, True),
        ({"ca": False}, False),
        ({"basic": False}, False),
        ({"length": 0}, True),
        ({"extensions": ((key_usage(sign=True), True),)}, True),
        ({"extensions": ((key_usage(sign=False), True),)}, False),
        ({"extensions": ((MAIL_ONLY, False),)}, False),
        ({"extensions": ((UNKNOWN, False),)}, True),
        ({"extensions": ((UNKNOWN, True),)}, False),
        ({"extensions": ((permitting("example.com"), True),)}, True),
        ({"extensions": ((permitting("com"), True),)}, True),
        ({"extensions": ((permitting("x.example.com"), True),)}, False),
        ({"extensions": ((permitting("ample.com"), True),)}, False),
        ({"extensions": ((excluding("other.com"), True),)}, True),
        ({"extensions": ((excluding("example.com"), True),)}, False),
        (
            {"extensions": ((x509.NameConstraints(None, [x509.DirectoryName(ROOT.certificate.subject)]), True),)},
            False,
        ),
    ],
)
def test_what_an_authority_may_do(authority: dict[str, object], good: bool) -> None:
    issuer = make("issuer", **authority)  # type: ignore[arg-type]
    leaf = make("leaf", issuer, ca=False, names=("mx.example.com",))
    found = verify([issuer.record(2, 0, 1)], [leaf.der, issuer.der], NAMES, NOW)
    assert found is (Verdict.MATCH if good else Verdict.MISMATCH)


def test_path_length_counts_issuers_between() -> None:
    root = make("short", length=0)
    middle = make("between", root)
    leaf = make("leaf", middle, ca=False, names=NAMES)
    assert verify([root.record(2, 0, 1)], [leaf.der, middle.der, root.der], NAMES, NOW) is Verdict.MISMATCH


@pytest.mark.parametrize("extension", [MAIL_ONLY, UNKNOWN])
def test_the_servers_own_restrictions(extension: x509.ExtensionType) -> None:
    leaf = make("leaf", ROOT, ca=False, names=NAMES, extensions=((extension, True),))
    assert verify([ROOT.record(2, 0, 1)], [leaf.der, ROOT.der], NAMES, NOW) is Verdict.MISMATCH
    assert verify([leaf.record(3, 0, 1)], [leaf.der, ROOT.der], NAMES, NOW) is Verdict.MATCH


def test_a_wildcard_may_not_reach_into_what_is_excluded() -> None:
    issuer = make("issuer", extensions=((excluding("mx.example.com"), True),))
    leaf = make("leaf", issuer, ca=False, names=("*.example.com",))
    assert verify([issuer.record(2, 0, 1)], [leaf.der, issuer.der], NAMES, NOW) is Verdict.MISMATCH


def test_forged_signature_and_same_name() -> None:
    false = make("root")  # another key under the root's name
    leaf = make("leaf", false, ca=False, names=NAMES)
    assert verify([ROOT.record(2, 0, 1)], [leaf.der, ROOT.der], NAMES, NOW) is Verdict.MISMATCH


def test_usable() -> None:
    good = LEAF.record(3, 1, 1)
    assert usable([Tlsa(0, 1, 1, good.data), Tlsa(1, 1, 1, good.data)]) == ()
    assert usable([Tlsa(3, 2, 1, good.data), Tlsa(3, 1, 3, good.data), Tlsa(3, 1, 1, good.data[:-1])]) == ()
    assert usable([Tlsa(3, 0, 0, b"no certificate"), Tlsa(3, 1, 0, b"no key"), Tlsa(3, 1, 2, good.data)]) == ()
    assert usable([good, good, Tlsa(0, 0, 1, good.data)]) == (good,)


def test_only_the_strongest_digest_counts() -> None:
    weak, strong = STRANGER.record(3, 1, 1), LEAF.record(3, 1, 2)
    assert usable([weak, strong]) == (strong,)
    other = STRANGER.record(3, 0, 1)  # another selector is another question
    assert usable([weak, strong, other, ROOT.record(2, 0, 0)]) == (strong, other, ROOT.record(2, 0, 0))


def test_nothing_presented() -> None:
    assert verify([LEAF.record(3, 1, 1)], [], NAMES, NOW) is Verdict.UNREADABLE
    assert verify([LEAF.record(3, 1, 1)], [b"junk"], NAMES, NOW) is Verdict.UNREADABLE
    assert verify([], CHAIN, NAMES, NOW) is Verdict.MISMATCH


def test_work_is_bounded() -> None:
    """Many authorities of one name that all signed one another would be a maze."""
    same = [make("root") for _ in range(12)]
    leaf = make("leaf", same[0], ca=False, names=NAMES)
    chain = [leaf.der, *(one.der for one in same)]
    assert verify([ROOT.record(2, 0, 1)], chain, NAMES, NOW) is Verdict.MISMATCH


SIGNED = len(LEAF.certificate.tbs_certificate_bytes)


@given(st.integers(4, 3 + SIGNED), st.integers(1, 255))
@example(at=15, by=128)  # the serial number becomes negative
def test_a_damaged_certificate_never_matches(at: int, by: int) -> None:
    """Of what is signed, that is: the signature itself can be written in several ways."""
    damaged = bytearray(LEAF.der)
    damaged[at] ^= by
    for record in (LEAF.record(3, 0, 1), ROOT.record(2, 0, 1)):
        assert verify([record], [bytes(damaged), *CHAIN[1:]], NAMES, NOW) is not Verdict.MATCH


def test_presented() -> None:
    assert presented(Tlsa(3, 1, 1, b"\xab\x01")) == "3 1 1 AB01"
