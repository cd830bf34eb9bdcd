"""What becomes of chains: honest, broken, forged (RFC 8617 §5.2), one thing wrong at a time."""

import re
import time
from collections.abc import Callable, Sequence

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from poterne.mailauth.arc.outcome import NONE, Outcome, Reason, Result
from poterne.mailauth.arc.verify import Verifier
from poterne.mailauth.dkim import verify as dkim
from poterne.message.header import index
from poterne.values.dns import Answer, Failure, NoData, NxDomain, TempFail
from tests.unit.mailauth.arc.sealed import (
    Changed,
    answers,
    chain,
    message,
    same,
    seal,
    sealer,
    verify,
)
from tests.unit.mailauth.dkim import signed
from tests.unit.mailauth.dkim.signed import BODY, FIELDS, NOW

Sets = list[list[bytes]]


@pytest.mark.parametrize("hops", [1, 2, 3, 10, 50])
def test_an_honest_chain_passes(hops: int) -> None:
    outcome = verify(message(chain(hops)))
    assert (outcome.result, outcome.reason) == (Result.PASS, Reason.VERIFIED)
    assert outcome.sealers == tuple(sealer(i) for i in range(1, hops + 1))
    assert outcome.oldest_pass == 0
    assert not outcome.temporary
    assert [hop.authserv_id for hop in outcome.hops] == [f"mx{i}.example" for i in range(1, hops + 1)]
    assert outcome.hops[0].claims("dmarc", "pass")
    assert not outcome.hops[0].claims("dkim", "pass")
    assert outcome.hops[0].claimed[0].value("smtp", "mailfrom") == "example.org"
    assert outcome.hops[0].signer == outcome.hops[0].sealer


def test_rsa_passes() -> None:
    key = signed.rsa()
    assert verify(message(chain(2, key=key)), answers(key=key)).result is Result.PASS


@pytest.mark.parametrize("chunk", [1, 3, 7])
def test_the_body_may_come_in_pieces(chunk: int) -> None:
    assert verify(message(chain(2)), chunk=chunk).result is Result.PASS


def test_no_chain_costs_nothing() -> None:
    verifier = Verifier(index(message([])), NOW)
    assert not verifier.names
    assert not verifier.sealers
    assert not verifier.wanted
    verifier.feed(BODY)
    assert verifier.finish({}) is NONE


def test_the_hash_of_the_body_is_shared_with_dkim() -> None:
    fields = (signed.signature_field(signed.ed25519(), FIELDS, BODY, {}), *FIELDS)
    header = index(message(chain(1, fields), fields))
    verifier = Verifier(header, NOW)
    other = dkim.Verifier(header, NOW, also=verifier.wanted)
    other.feed(BODY)
    assert other.finish({signed.NAME: signed.found(signed.record(signed.ed25519()))})[0].authenticates
    assert verifier.finish(answers(), other.body).result is Result.PASS


def test_what_a_later_sealer_changed_is_told() -> None:
    arc = chain(2)
    fields = (b"Subject: [list] changed\r\n", *FIELDS[:2], FIELDS[3])
    arc.append(seal(arc, fields))
    arc.append(seal(arc, fields))
    outcome = verify(message(arc, fields))
    assert outcome.result is Result.PASS
    assert outcome.oldest_pass == 3


def test_an_old_signature_with_another_key_is_left_alone() -> None:
    arc = [seal([], signature=lambda text: text.replace("s=sel", "s=other"))]
    arc.append(seal(arc))
    data = message(arc)
    assert Verifier(index(data), NOW).names == (f"sel._domainkey.{sealer(2)}", f"sel._domainkey.{sealer(1)}")
    outcome = verify(data)
    assert outcome.result is Result.PASS
    assert outcome.oldest_pass is None


def test_an_unreadable_old_signature_does_not_break_the_chain() -> None:
    arc = [seal([], signature=lambda text: text.replace("c=relaxed/relaxed", "c=what"))]
    arc.append(seal(arc))
    outcome = verify(message(arc))
    assert outcome.result is Result.PASS
    assert (outcome.oldest_pass, outcome.hops[0].signer) == (2, "")


def test_results_that_can_not_be_read_claim_nothing() -> None:
    """RFC 8617 §3.4: their syntax does not matter for the chain."""
    outcome = verify(message([seal([], results=lambda text: text.replace("spf=pass", "spf pass dmarc"))]))
    assert outcome.result is Result.PASS
    assert (outcome.hops[0].authserv_id, outcome.hops[0].claimed) == ("", ())


def test_fifty_is_the_most() -> None:
    arc = chain(51)
    assert verify(message(arc)).reason is Reason.TOO_MANY
    assert verify(message(arc[50:])).reason is Reason.INSTANCE


# One thing wrong ------------------------------------------------------------------------------------------------------------


def with_set(
    fields: Sequence[bytes] = FIELDS,
    body: bytes = BODY,
    *,
    status: str | None = None,
    results: Changed = same,
    signature: Changed = same,
    seal_text: Changed = same,
    names: str = "from:to:subject:date",
) -> Sets:
    """Two good sets and one with a change."""
    arc = chain(2)
    arc.append(
        seal(arc, fields, body, status=status, results=results, signature=signature, seal=seal_text, names=names)
    )
    return arc


def replaced(old: str, new: str) -> Callable[[str], str]:
    def change(text: str) -> str:
        assert old in text
        return text.replace(old, new)

    return change


WRONG: dict[str, tuple[Callable[[], Sets], Reason, int]] = {
    "gap": (lambda: [*chain(2)[:1], chain(3)[2]], Reason.STRUCTURE, 2),
    "no first": (lambda: chain(3)[1:], Reason.STRUCTURE, 1),
    "twice the same": (lambda: [*chain(2), chain(2)[1]], Reason.STRUCTURE, 2),
    "no seal": (lambda: [*chain(1), chain(2)[1][:2]], Reason.STRUCTURE, 0),
    "no results": (lambda: [*chain(1), chain(2)[1][1:]], Reason.STRUCTURE, 0),
    "no signature": (lambda: [chain(1)[0][::2]], Reason.STRUCTURE, 0),
    "only results": (lambda: [chain(1)[0][:1]], Reason.STRUCTURE, 0),
    "instance 0": (lambda: with_set(seal_text=replaced("i=3", "i=0")), Reason.INSTANCE, 0),
    "instance 51": (lambda: with_set(signature=replaced("i=3", "i=51")), Reason.INSTANCE, 0),
    "instance of three digits": (lambda: with_set(results=replaced("i=3", "i=003")), Reason.INSTANCE, 0),
    "instance is a word": (lambda: with_set(seal_text=replaced("i=3", "i=three")), Reason.INSTANCE, 0),
    "instance -1": (lambda: with_set(signature=replaced("i=3", "i=-1")), Reason.INSTANCE, 0),
    "no instance in the results": (lambda: with_set(results=replaced("i=3; ", "")), Reason.INSTANCE, 0),
    "no instance in the signature": (lambda: with_set(signature=replaced("i=3; ", "")), Reason.INSTANCE, 0),
    "no instance in the seal": (lambda: with_set(seal_text=replaced("i=3; ", "")), Reason.INSTANCE, 0),
    "instance twice": (lambda: with_set(seal_text=replaced("i=3;", "i=3; i=3;")), Reason.SYNTAX, 0),
    "instances that differ": (lambda: with_set(seal_text=replaced("i=3", "i=4")), Reason.STRUCTURE, 3),
    "cv=fail": (lambda: with_set(status="fail"), Reason.CHAIN_BROKEN, 3),
    "cv=none on a later one": (lambda: with_set(status="none"), Reason.CHAIN_BROKEN, 3),
    "cv=pass on the first": (lambda: [seal([], status="pass")], Reason.CHAIN_BROKEN, 1),
    "cv=fail on the first": (lambda: [seal([], status="fail")], Reason.CHAIN_BROKEN, 1),
    "cv is no word": (lambda: with_set(status="maybe"), Reason.SYNTAX, 3),
    "no cv": (lambda: with_set(seal_text=replaced("cv=pass; ", "")), Reason.SYNTAX, 3),
    "h= in a seal": (lambda: with_set(seal_text=replaced("cv=pass", "h=from; cv=pass")), Reason.SYNTAX, 3),
    "no d= in a seal": (lambda: with_set(seal_text=replaced("d=hop3.example; ", "")), Reason.SYNTAX, 3),
    "no s= in a seal": (lambda: with_set(seal_text=replaced("s=sel; ", "")), Reason.SYNTAX, 3),
    "no a= in a seal": (lambda: with_set(seal_text=replaced("a=ed25519-sha256; ", "")), Reason.SYNTAX, 3),
    "sha1 in a seal": (lambda: with_set(seal_text=replaced("ed25519-sha256", "rsa-sha1")), Reason.SYNTAX, 3),
    "injection in d= of a seal": (lambda: with_set(seal_text=replaced("d=hop3", "d=a'(b")), Reason.SYNTAX, 3),
    "no tags in a seal": (lambda: with_set(seal_text=replaced("cv=pass", "what ever")), Reason.SYNTAX, 0),
    "no bh=": (lambda: with_set(signature=replaced("; bh=", "; xx=")), Reason.SYNTAX, 3),
    "From is not signed": (lambda: with_set(names="to:subject:date"), Reason.SYNTAX, 3),
    "a seal is signed": (lambda: with_set(names="from:to:subject:date:arc-seal"), Reason.SYNTAX, 3),
    "sha1 in a signature": (lambda: with_set(signature=replaced("ed25519-sha256", "rsa-sha1")), Reason.SYNTAX, 3),
    "another body": (lambda: with_set(body=b"Another one.\r\n"), Reason.BODY_HASH, 3),
    "another header": (lambda: with_set(fields=(b"From: eve@example.org\r\n",)), Reason.SIGNATURE, 3),
    "less than the body": (lambda: with_set(signature=replaced("t=", "l=3; t=")), Reason.BODY_HASH, 3),
    "expired": (lambda: with_set(signature=replaced("s=sel", f"s=sel; x={NOW + 1}")), Reason.TIME, 3),
    "of the future": (lambda: with_set(signature=replaced(f"t={NOW}", f"t={NOW * 2}")), Reason.TIME, 3),
    "an unknown sealer": (lambda: with_set(seal_text=replaced("s=sel", "s=nobody")), Reason.KEY_UNAVAILABLE, 3),
}


@pytest.mark.parametrize("case", WRONG)
def test_one_thing_wrong(case: str) -> None:
    make, reason, instance = WRONG[case]
    now_s = NOW + 10_000 if case == "expired" else NOW
    outcome = verify(message(make()), now_s=now_s)
    assert (outcome.result, outcome.reason, outcome.instance) == (Result.FAIL, reason, instance)
    assert not any(hop.claimed for hop in outcome.hops)


def test_versions_and_unknown_tags_do_not_matter() -> None:
    arc = chain(1)
    arc.append(
        seal(arc, signature=replaced("i=2;", "i=2; v=7; q=dns/txt;"), seal=replaced("i=2;", "i=2; v=1; c=x/y; zz=1;"))
    )
    assert verify(message(arc)).result is Result.PASS


def test_spaces_and_comments_around_instances() -> None:
    one = seal([], results=replaced("i=1;", "(one) i (is) = 1 ;"), signature=replaced("i=1;", "i = 01 ;"))
    assert verify(message([one])).result is Result.PASS


@pytest.mark.parametrize("field", [0, 1, 2])
@pytest.mark.parametrize("hop", [0, 1, 2])
def test_a_changed_field_breaks_the_chain(hop: int, field: int) -> None:
    arc = chain(3)
    text = arc[hop][field]
    arc[hop][field] = text.replace(b"; ", b"; zz=1; ", 1)
    assert arc[hop][field] != text
    outcome = verify(message(arc))
    assert outcome.result is Result.FAIL
    assert outcome.reason in {Reason.SEAL, Reason.SIGNATURE}


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (TempFail(Failure.TIMEOUT), Reason.KEY_UNAVAILABLE),
        (NxDomain(secure=False, ttl_s=1), Reason.NO_KEY),
        (NoData(secure=False, ttl_s=1), Reason.NO_KEY),
        (signed.found(b"v=DKIM1; p="), Reason.NO_KEY),
        (signed.found(b"nothing of that kind"), Reason.NO_KEY),
        (signed.found(signed.record(signed.ed25519(), t="y")), Reason.NO_KEY),
        (signed.found(signed.record(signed.rsa())), Reason.NO_KEY),
    ],
    ids=["timeout", "no-name", "no-record", "revoked", "no-key-record", "testing", "other-key"],
)
@pytest.mark.parametrize("hop", [1, 2])
def test_a_key_that_is_not_there(answer: Answer[bytes], reason: Reason, hop: int) -> None:
    said = answers()
    said[f"sel._domainkey.{sealer(hop)}"] = answer
    outcome = verify(message(chain(2)), said)
    assert (outcome.result, outcome.reason) == (Result.FAIL, reason)
    assert outcome.temporary is (reason is Reason.KEY_UNAVAILABLE)


def test_the_right_key_among_others() -> None:
    said = answers()
    good = signed.record(signed.ed25519())
    said[f"sel._domainkey.{sealer(1)}"] = signed.found(b"junk", signed.record(signed.rsa()), good)
    assert verify(message(chain(1)), said).result is Result.PASS


def test_another_key_does_not_seal() -> None:
    said = answers()
    other = Ed25519PrivateKey.generate()
    said[f"sel._domainkey.{sealer(1)}"] = signed.found(signed.record(other))
    outcome = verify(message(chain(2)), said)
    assert (outcome.reason, outcome.instance) == (Reason.SEAL, 1)


def test_a_forged_older_set_does_not_count() -> None:
    """Whoever seals last can't put words into the mouth of those before: their seals are of their own sets."""
    arc = chain(2)
    arc[0][0] = arc[0][0].replace(b"dmarc=pass", b"dmarc=fail")
    arc = [*arc, seal(arc)]
    outcome = verify(message(arc))
    assert (outcome.result, outcome.reason, outcome.instance) == (Result.FAIL, Reason.SEAL, 2)


# Hostile input --------------------------------------------------------------------------------------------------------------


def test_the_worst_takes_a_bounded_time() -> None:
    filler = "; " + "; ".join(f"x{n}={'y' * 40}" for n in range(12))
    arc: Sets = []
    for _ in range(50):
        arc.append(seal(arc, seal=lambda text: text.replace("; b=", filler + "; b=")))
    data = message(arc)
    verifier = Verifier(index(data), NOW)
    assert len(verifier.names) == 50
    start = time.process_time()
    outcome = verify(data)
    assert time.process_time() - start < 0.5
    assert outcome.result is Result.PASS


TAG = st.sampled_from(
    ["i=1", "i=2", "i=", "cv=none", "cv=pass", "a=ed25519-sha256", "d=hop1.example", "s=sel", "b=AAAA", "bh=AAAA", "h=from", "", " ", "(", "\r\n ", "é", "=;"]
)  # fmt: skip
VALUE = st.lists(TAG, max_size=9).map("; ".join)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["ARC-Seal", "ARC-Message-Signature", "ARC-Authentication-Results"]), VALUE),
        max_size=6,
    ),
    st.binary(max_size=30),
)
def test_never_raises(fields: list[tuple[str, str]], body: bytes) -> None:
    block = b"".join(f"{name}: {value}\r\n".encode() for name, value in fields)
    outcome = verify(block + b"From: a@example.org\r\n\r\n" + body)
    assert outcome.result is (Result.FAIL if fields else Result.NONE)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_changed_octet_of_the_sets_fails(data: st.DataObject) -> None:
    arc = chain(2)
    whole = message(arc)
    covered = len(b"".join(b"".join(one) for one in arc))
    at = data.draw(st.integers(0, covered - 1))
    octet = data.draw(st.sampled_from(b"aZ0=;/"))
    changed = whole[:at] + bytes([octet]) + whole[at + 1 :]
    outcome = verify(changed)
    if canonical(changed) == canonical(whole):
        return
    assert outcome.result is not Result.PASS


def canonical(data: bytes) -> bytes:
    """Case of field names is nothing; nor are the bits that base64 does not need."""
    data = re.sub(rb"(?m)^[^:]*", lambda found: found[0].lower(), data)
    return re.sub(rb".==\r\n", b"==\r\n", data)


def test_outcomes_are_values() -> None:
    assert Outcome(Result.NONE, Reason.NO_CHAIN) == NONE
