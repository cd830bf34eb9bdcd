"""Verifying the signatures of one message while it passes.

Theory of operation. The header is read first: what can be refused without a key is refused, and `names` says whose keys are
needed, so that DNS is asked while the body passes. Each signature is judged on its own merits (RFC 6376 §4.2). The order of
`finish` is the cheap before the dear: the key's record, the body's hash, and only then the public key is used. At most
SIGNATURES_MOST signatures and RECORDS_MOST records for each are looked at, so that a stranger's message costs a bounded number
of them.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from hashlib import sha256
from typing import Final, final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256

from poterne.mailauth.dkim import record
from poterne.mailauth.dkim.canonical import BodyForm, BodyHashes, Canonical, field, relaxed_value
from poterne.mailauth.dkim.outcome import Outcome, Reason
from poterne.mailauth.dkim.parse import Signature, parse, unsigned
from poterne.message.header import Field, HeaderIndex
from poterne.values.dns import Answer, Found, TempFail

SIGNATURES_MOST: Final = 8
RECORDS_MOST: Final = 3
SKEW_S: Final = 300
"""How late an expired signature still counts."""
AHEAD_S: Final = 24 * 3600
"""How far in the future t= may be: honest clocks are wrong by whole hours."""
NAME: Final = b"dkim-signature"
SHOWN: Final = (
    b"from", b"reply-to", b"subject", b"date", b"to", b"cc", b"mime-version", b"content-type", b"content-transfer-encoding",
)  # fmt: skip
"""Fields that readers see, or that say how to read the body."""
_KEPT: Final = 256
"""Kinds of signatures that were seen lately."""
_PADDING: Final = PKCS1v15()
_SHA256: Final = SHA256()


@final
class Verifier:
    """Verifies one message. `feed` it the body, then `finish` with what DNS answered for `names`."""

    __slots__ = ("_canonical", "_header", "_outcomes", "_waiting", "body", "ignored", "names")

    def __init__(self, header: HeaderIndex, now_s: int, also: Iterable[BodyForm] = ()) -> None:
        """`header`: as it was received, nothing added or removed. `also`: what `body` is to be hashed for beside this."""
        self._header: Final = header
        self._canonical: Final[dict[int, bytes]] = {}
        own = header.find(NAME)
        self.ignored: Final = max(0, len(own) - SIGNATURES_MOST)
        """Signatures that are too many to be looked at."""
        self._outcomes: Final[list[Outcome | None]] = []
        self._waiting: Final[list[tuple[Signature, Field]]] = []
        """Those whose outcome is None, in order."""
        for found in own[:SIGNATURES_MOST]:
            self._outcomes.append(self._read(found, now_s))
        waiting = [signature for signature, _ in self._waiting]
        self.names: Final = tuple(dict.fromkeys(signature.key_name for signature in waiting))
        """TXT records that `finish` needs; each name once."""
        self.body: Final = BodyHashes((*((one.body_form, one.length) for one in waiting), *also))
        """Complete after `finish`."""

    def _read(self, found: Field, now_s: int) -> Outcome | None:
        """The outcome when it is known without a key."""
        said = parse(self._header.block[found.value_start : found.end])
        if not isinstance(said, Signature):
            return Outcome(said.reason, said.domain, said.selector)
        if said.expires_s is not None and said.expires_s + SKEW_S < now_s:
            return _outcome(said, Reason.EXPIRED)
        if said.signed_s is not None and said.signed_s > now_s + AHEAD_S:
            return _outcome(said, Reason.FUTURE)
        self._waiting.append((said, found))
        return None

    def feed(self, chunk: bytes) -> None:
        """The next octets of the body, as received; any division will do. Costs nothing when nothing needs it."""
        self.body.feed(chunk)

    def finish(self, answers: Mapping[str, Answer[bytes]]) -> tuple[Outcome, ...]:
        """One outcome per signature, in the order of the header; none: the message is not signed. Once only, never raises.

        A name without an answer is KEY_UNAVAILABLE.
        """
        self.body.finish()
        waiting = iter(self._waiting)
        return tuple(self._judge(*next(waiting), answers) if known is None else known for known in self._outcomes)

    def _judge(self, signature: Signature, found: Field, answers: Mapping[str, Answer[bytes]]) -> Outcome:
        answer = answers.get(signature.key_name)
        if answer is None or isinstance(answer, TempFail):
            return _outcome(signature, Reason.KEY_UNAVAILABLE)
        if not isinstance(answer, Found) or not answer.records:
            return _outcome(signature, Reason.NO_KEY)
        tried: list[Outcome] = []
        for text in answer.records[:RECORDS_MOST]:
            tried.append(self._try(signature, found, text))
            if _rank(tried[-1]) == 0:
                break
        return min(tried, key=_rank)

    def _try(self, signature: Signature, found: Field, text: bytes) -> Outcome:
        """The outcome with this record as the key."""
        key = record.read(text)
        if not isinstance(key, record.Key):
            return _outcome(signature, key.reason, key)
        if key.type is not signature.type:
            return _outcome(signature, Reason.KEY_TYPE, key)
        if key.strict and signature.identity_domain != signature.domain:
            return _outcome(signature, Reason.IDENTITY_DOMAIN, key)
        length = self.body.length(signature.body_form)
        if signature.length is not None and signature.length > length:
            return _outcome(signature, Reason.BODY_SHORT, key)
        if self.body.digest(signature.body_form, signature.length) != signature.body_hash:
            return _outcome(signature, Reason.BODY_HASH, key)
        if not matches(key, signature.signature, signed_octets(self._header, signature, found, self._canonical)):
            return _outcome(signature, Reason.SIGNATURE, key)
        return self._correct(signature, key, length)

    def _correct(self, signature: Signature, key: record.Key, length: int) -> Outcome:
        """It is correct: does it cover enough to count?"""
        beyond = 0 if signature.length is None else length - signature.length
        find, fields = self._header.find, signature.fields
        lacking, extendable = _uncovered(fields, tuple([len(find(name)) for name in SHOWN]))
        if beyond:
            reason = Reason.UNSIGNED_BODY
        elif any(fields.count(name) < len(find(name)) for name in self._header.duplicates):
            reason = Reason.DUPLICATE_FIELD
        elif signature.length is not None:
            reason = Reason.LENGTH
        else:
            reason = Reason.VERIFIED
        return _outcome(signature, reason, key, beyond, lacking, extendable)


@lru_cache(maxsize=_KEPT)
def _uncovered(fields: tuple[bytes, ...], there: tuple[int, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Of the SHOWN fields, so many of which are there: those that h= does not cover, and those that one may be added of."""
    covered = [(name.decode(), fields.count(name), number) for name, number in zip(SHOWN, there, strict=True)]
    return (
        tuple(name for name, signed, number in covered if signed < number),
        tuple(name for name, signed, number in covered if signed <= number),
    )


def signed_octets(header: HeaderIndex, signature: Signature, own: Field, known: dict[int, bytes]) -> bytes:
    """What the signature is of: the fields of h=, each name from the bottom up (RFC 6376 §5.4.2), and its own field.

    `known`: canonical fields of this header, by their place, and by its complement in the simple form; what is new is added.
    """
    form, find = signature.header_form, header.find
    relaxed = form is Canonical.RELAXED
    parts: list[bytes] = []
    left: dict[bytes, list[Field]] = {}
    for name in signature.fields:
        instances = left.get(name)
        if instances is None:
            instances = list(find(name))
            if name == own.name:
                instances = [found for found in instances if found is not own]
            left[name] = instances
        if instances:
            found = instances.pop()
            at = found.name_start if relaxed else ~found.name_start
            text = known.get(at)
            if text is None:
                text = known[at] = field(header, found, form)
            parts.append(text)
    parts.append(own_octets(header, own, form))
    return b"".join(parts)


def own_octets(header: HeaderIndex, own: Field, form: Canonical) -> bytes:
    """The field of a signature as it is signed by itself: without b=, and without the CRLF at its end."""
    block = header.block
    value = unsigned(block[own.value_start : own.end].removesuffix(b"\r\n"))
    if form is Canonical.RELAXED:
        return own.name + b":" + relaxed_value(value)
    return block[own.name_start : own.value_start] + value


def matches(key: record.Key, signature: bytes, signed: bytes) -> bool:
    """Did this key sign these octets?"""
    public = key.public
    try:
        if isinstance(public, Ed25519PublicKey):
            public.verify(signature, sha256(signed).digest())  # RFC 8463 §3: of the hash
        else:
            public.verify(signature, signed, _PADDING, _SHA256)
    except InvalidSignature:
        return False
    return True


_NO_KEY_SAID: Final = record.Unusable(Reason.NO_KEY)


def _outcome(
    signature: Signature,
    reason: Reason,
    key: record.Key | record.Unusable = _NO_KEY_SAID,
    unsigned_body_bytes: int = 0,
    lacking: tuple[str, ...] = (),
    extendable: tuple[str, ...] = (),
) -> Outcome:
    return Outcome(
        reason, signature.domain, signature.selector, signature.identity, signature.type.algorithm, signature.signature,
        key.bits, key.testing, signature.signed_s, signature.expires_s, unsigned_body_bytes, lacking, extendable,
    )  # fmt: skip


def _rank(outcome: Outcome) -> int:
    """Of several records the one that verifies counts; then one that is a key; a record of another kind last."""
    match outcome.reason:
        case Reason.VERIFIED | Reason.UNSIGNED_BODY | Reason.DUPLICATE_FIELD | Reason.LENGTH:
            return 0
        case Reason.KEY_SYNTAX:
            return 2
        case _:
            return 1
