"""The DNS that spoofers meet: a careful bank, an attacker who does everything right for his own names, and every kind of odd record.

bank.test      whom everybody imitates: p=reject, SPF lists 127.0.0.2 and 127.0.0.6 and ends in -all, DKIM keys good and bad
evil.test      the attacker's: all that he sends from 127.0.0.4 passes for it
example.test   served here, p=reject; its SPF lists 127.0.0.6, a service that many share
plain.test     no policy, but SPF that ends in -all
quiet.test     publishes nothing
relay.test     forwards mail of people, from 127.0.0.5
lists.test, lists2.test   mailing lists' own, from 127.0.0.3
sealer.test, sealer2.test   seal (ARC) what they pass on; the settings name the first

The root and "test" are served too, so that a name that nobody has is NXDOMAIN and not a failure.
"""

import base64
import random
from functools import lru_cache
from typing import Final

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicNumbers, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.support.server import DOMAIN
from tests.unit.mailauth.dkim.signed import Private, ed25519, record, rsa

HONEST: Final = "127.0.0.2"
LIST: Final = "127.0.0.3"
FORGER: Final = "127.0.0.4"
RELAY: Final = "127.0.0.5"
SHARED: Final = "127.0.0.6"
"""In the SPF records of the bank and of ours: a service that anybody can send through."""
SPF: Final = f"v=spf1 ip4:{HONEST} ip4:{SHARED} -all"
OF_FORGER: Final = f"v=spf1 ip4:{FORGER} -all"
HEAD: Final = "@ 300 IN SOA ns hostmaster 1 1 1 1 60\n@ 300 IN NS ns\nns 300 IN A 127.0.0.1\n"
LOOKALIKES: Final = {
    "shape": "examp1e.test",
    "two letters for one": "exarnple.test",
    "a letter left out": "exmple.test",
    "a letter doubled": "exammple.test",
    "two letters changed about": "exmaple.test",
    "hyphen": "ex-ample.test",
    "accent": "xn--exmple-qta.test",  # exámple
    "another alphabet": "xn--xample-2of.test",  # its first letter is Cyrillic
    "whole alphabet": "xn--80ajb1au1a38g.test",  # all of it is
    "before another domain": "example.test.evil.test",
    "before another domain, hyphens": "example-test.evil.test",
}
LONG: Final = ".".join(f"l{number}" for number in range(38)) + ".bank.test"
"""40 labels: the walk leaves most of them out."""
IDN: Final = "xn--bnk-qla.test"
"""bänk.test."""


class SmallRsa:
    """512 bits, which everybody can factor: signs digests as PKCS #1 v1.5 does. The library refuses to make such keys."""

    def __init__(self) -> None:
        rng = random.Random(512)
        one, two = _prime(rng), _prime(rng)
        self.modulus = one * two
        self._exponent = pow(65537, -1, (one - 1) * (two - 1))

    def sign(self, digest: bytes) -> bytes:
        info = bytes.fromhex("3031300d060960864801650304020105000420") + digest
        padded = b"\x00\x01" + b"\xff" * (64 - 3 - len(info)) + b"\x00" + info
        return pow(int.from_bytes(padded), self._exponent, self.modulus).to_bytes(64)

    @property
    def record(self) -> bytes:
        public = RSAPublicNumbers(65537, self.modulus).public_key()
        data = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return b"v=DKIM1; k=rsa; p=" + base64.b64encode(data)


def _prime(rng: random.Random) -> int:
    while True:
        number = rng.getrandbits(256) | (3 << 254) | 1
        if (number - 1) % 65537 and all(pow(base, number - 1, number) == 1 for base in (2, 3, 5, 7)):
            return number


@lru_cache
def attacker() -> RSAPrivateKey:
    """Of the same kind as the bank's best."""
    return generate_private_key(65537, 2048)


@lru_cache
def small() -> SmallRsa:
    return SmallRsa()


def bank_keys() -> dict[str, bytes]:
    """Records by selector. The key of all but the RSA ones is the same."""
    good = ed25519()
    return {
        "sel": record(good),
        "strict": record(good, t="s"),
        "testing": record(good, t="y"),
        "revoked": record(good, p=""),
        "sha1": record(good, h="sha1"),
        "tlsrpt": record(good, s="tlsrpt"),
        "historic": record(good, g="nobody"),
        "rubbish": b"v=DKIM1; k=ed25519; p=!!!",
        "rsa": record(rsa(2048)),
        "weak": record(rsa(1024)),
        "small": small().record,
    }


def txt(name: str, text: bytes | str) -> str:
    """One line of a zone; long texts as several strings."""
    data = text.decode("ascii") if isinstance(text, bytes) else text
    pieces = [data[at : at + 250] for at in range(0, len(data), 250)] or [""]
    quoted = " ".join(
        '"' + piece.replace("\\", "\\\\").replace('"', '\\"').replace(";", "\\;") + '"' for piece in pieces
    )
    return f"{name} 300 IN TXT {quoted}\n"


def zone(*, dmarc: str = "", spf: str = "", key: Private | None = None, more: str = "") -> str:
    text = HEAD + "@ 300 IN MX 10 mx\nmx 300 IN A 127.0.0.2\n"
    if dmarc:
        text += txt("_dmarc", dmarc)
    if spf:
        text += txt("@", spf)
    if key is not None:
        text += txt("sel._domainkey", record(key))
    return text + more


def zones() -> dict[str, str]:
    keys = "".join(txt(f"{selector}._domainkey", text) for selector, text in bank_keys().items())
    exists = "there 300 IN A 127.0.0.2\n"
    found = {
        ".": "@ 300 IN SOA ns. root. 1 1 1 1 60\n@ 300 IN NS ns.\nns 300 IN A 127.0.0.1\n",
        "test": HEAD,
        "bank.test": zone(dmarc="v=DMARC1; p=reject; rua=mailto:d@bank.test", spf=SPF, more=keys + exists),
        IDN: zone(dmarc="v=DMARC1; p=reject", spf=SPF, key=ed25519()),
        DOMAIN: zone(dmarc="v=DMARC1; p=reject", spf=f"v=spf1 ip4:{SHARED} -all", key=ed25519()),
        "plain.test": zone(spf=SPF),
        "quiet.test": zone(),
        "example.co": zone(),
        "example-support.test": zone(),
        "sample.test": zone(),
        "relay.test": zone(spf=f"v=spf1 ip4:{RELAY} -all", key=ed25519()),
        "lists.test": zone(spf=f"v=spf1 ip4:{LIST} -all", key=ed25519()),
        "lists2.test": zone(spf=f"v=spf1 ip4:{LIST} -all", key=ed25519()),
        "sealer.test": zone(key=ed25519()),
        "sealer2.test": zone(key=ed25519()),
        "evil.test": zone(
            dmarc="v=DMARC1; p=none",
            spf=OF_FORGER,
            key=attacker(),
            more=txt("nul._domainkey", record(attacker())) + txt("bank.test._domainkey", record(attacker())),
        ),
        "bank.test.evil.test": zone(dmarc="v=DMARC1; p=none", spf=OF_FORGER, key=attacker()),
        # What DMARC can find
        "np.test": zone(dmarc="v=DMARC1; p=none; sp=quarantine; np=reject", spf=SPF, more=exists),
        "suffix.test": zone(dmarc="v=DMARC1; p=none; psd=y; np=reject", spf=SPF, key=attacker()),
        "shop.suffix.test": zone(dmarc="v=DMARC1; p=reject", spf=SPF, key=ed25519()),
        "silent.suffix.test": zone(spf=SPF),
        "two.test": zone(spf=SPF, more=txt("_dmarc", "v=DMARC1; p=reject") + txt("_dmarc", "v=DMARC1; p=none")),
        "alias.test": zone(spf=SPF, more="_dmarc 300 IN CNAME _dmarc.bank.test.\n"),
        "testing.test": zone(dmarc="v=DMARC1; p=reject; t=y", spf=SPF),
        "gentle.test": zone(dmarc="v=DMARC1; p=quarantine", spf=SPF),
        "gentle-testing.test": zone(dmarc="v=DMARC1; p=quarantine; t=y", spf=SPF),
        "pct.test": zone(dmarc="v=DMARC1; p=reject; pct=0", spf=SPF),
        "nowhere.test": zone(spf=SPF, more=txt("@", "v=DMARC1; p=reject")),
        "twice.test": zone(spf=SPF, more=txt("_dmarc._dmarc", "v=DMARC1; p=reject")),
        "case.test": zone(dmarc="v=dmarc1; p=reject", spf=SPF),
        "wrong.test": zone(dmarc="v=DMARC1; p=forbid", spf=SPF),
        "down.test": zone(dmarc="v=DMARC1; p=reject", spf=SPF),
        "spfdown.test": zone(dmarc="v=DMARC1; p=reject"),
        "spfdown2.test": zone(dmarc="v=DMARC1; p=reject", spf=f"v=spf1 include:i.spfdown2.test ip4:{FORGER} -all"),
        "keydown.test": zone(dmarc="v=DMARC1; p=reject", spf=SPF),
        "mute.test": zone(dmarc="v=DMARC1; p=reject", spf=SPF),
        # What SPF can find
        "all.test": zone(dmarc="v=DMARC1; p=reject", spf="v=spf1 +all"),
        "lookups.test": zone(
            dmarc="v=DMARC1; p=reject",
            spf="v=spf1 " + " ".join(f"include:i{number}.lookups.test" for number in range(11)) + f" ip4:{FORGER} -all",
            more="".join(txt(f"i{number}", "v=spf1 ip4:192.0.2.1 -all") for number in range(11)),
        ),
        "ten.test": zone(
            dmarc="v=DMARC1; p=reject",
            spf="v=spf1 " + " ".join(f"include:i{number}.ten.test" for number in range(10)) + f" ip4:{HONEST} -all",
            more="".join(txt(f"i{number}", "v=spf1 ip4:192.0.2.1 -all") for number in range(10)),
        ),
        "voids.test": zone(
            dmarc="v=DMARC1; p=reject",
            spf=f"v=spf1 a:v1.voids.test a:v2.voids.test a:v3.voids.test ip4:{FORGER} -all",
        ),
        "loop.test": zone(dmarc="v=DMARC1; p=reject", spf="v=spf1 include:loop.test -all"),
        "redirect.test": zone(dmarc="v=DMARC1; p=reject", spf="v=spf1 redirect=redirect.test"),
        "several.test": zone(dmarc="v=DMARC1; p=reject", more=txt("@", SPF) + txt("@", "v=spf1 +all")),
        "macro.test": zone(
            dmarc="v=DMARC1; p=reject",
            spf="v=spf1 exists:%{l}.ok.macro.test -all",
            more="admin.ok 300 IN A 127.0.0.2\n",
        ),
        "broken.test": zone(dmarc="v=DMARC1; p=reject", spf="v=spf1 include:gone.broken.test -all"),
        "injects.test": zone(spf='v=spf1 dmarc=pass;spf=pass;"header.from=bank.test" -all'),
    }
    for name in LOOKALIKES.values():
        found.setdefault(name, zone(spf=OF_FORGER))
    return found
