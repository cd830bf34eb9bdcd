"""Verifying the chain of one message while it passes (RFC 8617 §5.2).

Theory of operation. As in `mailauth.dkim.verify`: the header is read first, `names` says whose keys are needed, the body passes,
`finish` judges. The newest message signature must match, for it says that the message is as the last sealer sent it; and every
seal must, for each says that nobody changed what the sealers before it had written. Older signatures are tried when that takes
no key and no hash more, so that the oldest instance that still matches can be told.

Nothing is asked, hashed or computed for a message without chain, and nothing more than 51 keys and 100 signatures for any other.
Who trusts a few sealers only need not even ask for that: `sealers` says who they claim to be.
"""

from collections.abc import Mapping
from typing import Final, final

from poterne.mailauth.arc.outcome import NONE, Hop, Outcome, Reason, Result
from poterne.mailauth.arc.parse import Broken, Set, read
from poterne.mailauth.dkim import record
from poterne.mailauth.dkim.canonical import BodyForm, BodyHashes, Canonical, field
from poterne.mailauth.dkim.parse import Signature
from poterne.mailauth.dkim.verify import AHEAD_S, RECORDS_MOST, SKEW_S, matches, own_octets, signed_octets
from poterne.mailauth.results.parse import parse
from poterne.message.header import HeaderIndex
from poterne.values.dns import Answer, Found, TempFail

_FORM: Final = Canonical.RELAXED
"""Of seals, always (RFC 8617 §4.1.3)."""
Answers = Mapping[str, Answer[bytes]]


@final
class Verifier:
    """Verifies one message. `feed` it the body, then `finish` with what DNS answered for `names`."""

    __slots__ = ("_body", "_canonical", "_header", "_known", "_now_s", "_sets", "names", "sealers", "wanted")

    def __init__(self, header: HeaderIndex, now_s: int) -> None:
        """`header`: as it was received, nothing added or removed."""
        self._header: Final = header
        self._now_s: Final = now_s
        self._canonical: Final[dict[int, bytes]] = {}
        said = self._read()
        self._known: Final = said if isinstance(said, Outcome) else None
        """The outcome when it is known without a key."""
        self._sets: Final[tuple[Set, ...]] = () if isinstance(said, Outcome) else said
        self.sealers: Final = tuple(one.seal.domain for one in self._sets)
        """Who they say they are, first to last; empty when there is nothing to verify."""
        self.names: Final = self._names()
        """TXT records that `finish` needs; each name once."""
        self.wanted: Final = self._forms()
        """What `finish` needs of the body: for a Verifier of DKIM that hashes it for both."""
        self._body: Final = BodyHashes(self.wanted)

    def feed(self, chunk: bytes) -> None:
        """The next octets of the body, as received; any division will do. Costs nothing when nothing needs it."""
        self._body.feed(chunk)

    def finish(self, answers: Answers, body: BodyHashes | None = None) -> Outcome:
        """What the chain is worth. Once only, never raises. A name without an answer is KEY_UNAVAILABLE.

        `body`: complete, and hashed for what is `wanted`; without it, what was fed.
        """
        if self._known is not None:
            return self._known
        if body is None:
            body = self._body
            body.finish()
        return self._judge(answers, body)

    def _read(self) -> tuple[Set, ...] | Outcome:
        sets = read(self._header)
        if sets is None:
            return NONE
        if isinstance(sets, Broken):
            return Outcome(Result.FAIL, sets.reason, instance=sets.instance)
        newest = sets[-1].signature
        if newest is None:
            return Outcome(Result.FAIL, Reason.SYNTAX, instance=len(sets))
        expired = newest.expires_s is not None and newest.expires_s + SKEW_S < self._now_s
        ahead = newest.signed_s is not None and newest.signed_s > self._now_s + AHEAD_S
        if expired or ahead:
            return Outcome(Result.FAIL, Reason.TIME, instance=len(sets))
        return sets

    def _names(self) -> tuple[str, ...]:
        if not self._sets:
            return ()
        newest = self._sets[-1].signature
        first = (newest.key_name,) if newest is not None else ()
        return tuple(dict.fromkeys((*first, *(one.seal.key_name for one in reversed(self._sets)))))

    def _forms(self) -> tuple[BodyForm, ...]:
        """Of the newest signature; of others when its kind of body is no new one, or all of it."""
        found: dict[BodyForm, None] = {}
        for one in reversed(self._sets):
            if one.signature is not None and (not found or one.signature.length is None):
                found[one.signature.body_form, one.signature.length] = None
        return tuple(found)

    def _judge(self, answers: Answers, body: BodyHashes) -> Outcome:
        newest = len(self._sets)
        fault = self._check_message(self._sets[-1], answers, body)
        if fault is not None:
            return self._failed(fault, newest)
        sealed = b""
        prefixes: list[bytes] = []
        """What each seal is of, up to its own field."""
        for one in self._sets:
            prefixes.append(
                sealed + field(self._header, one.results, _FORM) + field(self._header, one.message_signature, _FORM)
            )
            sealed = prefixes[-1] + field(self._header, one.seal_field, _FORM)
        for one in reversed(self._sets):
            signed = prefixes[one.instance - 1] + own_octets(self._header, one.seal_field, _FORM)
            fault = _check(one.seal, answers, signed, Reason.SEAL)
            if fault is not None:
                return self._failed(fault, one.instance)
        hops = tuple(self._hop(one, claims=True) for one in self._sets)
        return Outcome(Result.PASS, Reason.VERIFIED, hops, oldest_pass=self._oldest_pass(answers, body))

    def _failed(self, reason: Reason, instance: int) -> Outcome:
        hops = tuple(self._hop(one, claims=False) for one in self._sets)
        return Outcome(Result.FAIL, reason, hops, instance)

    def _oldest_pass(self, answers: Answers, body: BodyHashes) -> int | None:
        """RFC 8617 §5.2, step 5; None where that would take more keys, or another hash."""
        for one in reversed(self._sets[:-1]):
            signature = one.signature
            if signature is not None and (
                signature.key_name not in self.names or (signature.body_form, signature.length) not in self.wanted
            ):
                return None
            if self._check_message(one, answers, body) is not None:
                return one.instance + 1
        return 0

    def _check_message(self, one: Set, answers: Answers, body: BodyHashes) -> Reason | None:
        """What is wrong with a message signature; None: it matches, and covers the whole body."""
        signature = one.signature
        if signature is None:
            return Reason.SYNTAX
        form = signature.body_form
        if signature.length is not None and signature.length != body.length(form):
            return Reason.BODY_HASH
        if body.digest(form, signature.length) != signature.body_hash:
            return Reason.BODY_HASH
        signed = signed_octets(self._header, signature, one.message_signature, self._canonical)
        return _check(signature, answers, signed, Reason.SIGNATURE)

    def _hop(self, one: Set, *, claims: bool) -> Hop:
        signer = one.signature.domain if one.signature is not None else ""
        said = parse(self._header.block[one.payload_start : one.results.end]) if claims else None
        if said is None:
            return Hop(one.instance, one.seal.domain, one.seal.selector, signer)
        return Hop(one.instance, one.seal.domain, one.seal.selector, signer, said.authserv_id, said.results)


def _check(signature: Signature, answers: Answers, signed: bytes, otherwise: Reason) -> Reason | None:
    """What is wrong with a signature of these octets; None: it matches."""
    answer = answers.get(signature.key_name)
    if answer is None or isinstance(answer, TempFail):
        return Reason.KEY_UNAVAILABLE
    reason = Reason.NO_KEY
    for text in answer.records[:RECORDS_MOST] if isinstance(answer, Found) else ():
        key = record.read(text)
        if isinstance(key, record.Key) and key.type is signature.type and not key.testing:
            if matches(key, signature.signature, signed):
                return None
            reason = otherwise
    return reason
