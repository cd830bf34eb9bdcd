"""Chains that others sealed: dkimpy, and the example of the RFC. How they were made: tests/corpus/arc/README.md."""

from pathlib import Path

import pytest

from poterne.mailauth.arc.outcome import Reason, Result
from poterne.mailauth.arc.verify import Verifier
from poterne.mailauth.results.parse import parse
from poterne.message.header import index
from poterne.values.dns import Answer
from tests.unit.mailauth.arc.sealed import verify
from tests.unit.mailauth.dkim.signed import found

CORPUS = Path(__file__).parents[3] / "corpus" / "arc"
NOW = 1_800_000_000
EXPECTED = {
    "dkimpy-one": (Result.PASS, Reason.VERIFIED, 0, ("lists.example",)),
    "dkimpy-two": (Result.PASS, Reason.VERIFIED, 0, ("lists.example", "relay.example")),
    "dkimpy-three-modified": (Result.PASS, Reason.VERIFIED, 3, ("lists.example", "relay.example", "third.example")),
    "dkimpy-broken": (Result.FAIL, Reason.BODY_HASH, None, ("lists.example", "relay.example")),
}


def answers() -> dict[str, Answer[bytes]]:
    lines = (CORPUS / "records.txt").read_bytes().splitlines()
    return {name.decode(): found(text) for name, _, text in (line.partition(b" ") for line in lines)}


@pytest.mark.parametrize("name", EXPECTED)
@pytest.mark.parametrize("chunk", [1, 1 << 20])
def test_sealed_by_dkimpy(name: str, chunk: int) -> None:
    outcome = verify((CORPUS / f"{name}.eml").read_bytes(), answers(), now_s=NOW, chunk=chunk)
    assert (outcome.result, outcome.reason, outcome.oldest_pass, outcome.sealers) == EXPECTED[name]


def test_claims_of_dkimpys_chain() -> None:
    outcome = verify((CORPUS / "dkimpy-three-modified.eml").read_bytes(), answers(), now_s=NOW)
    assert [hop.authserv_id for hop in outcome.hops] == ["mx.lists.example", "mx.relay.example", "mx.third.example"]
    assert outcome.hops[0].claims("dkim", "pass")
    assert not outcome.hops[2].claims("dkim", "pass")


def test_the_example_of_rfc_8617() -> None:
    """Nobody has its keys; its structure is sound."""
    data = (CORPUS / "rfc8617-appendix-b.eml").read_bytes()
    header = index(data)
    verifier = Verifier(header, NOW)
    assert verifier.sealers == ("lists.example.org", "gmail.example", "clochette.example.org")
    assert verifier.names == (
        "clochette._domainkey.clochette.example.org",
        "20120806._domainkey.gmail.example",
        "dk-lists._domainkey.lists.example.org",
    )
    verifier.feed(data[header.end :])
    assert verifier.finish({}).reason is Reason.KEY_UNAVAILABLE
    results = parse(header.block[header.find(b"authentication-results")[0].value_start :].split(b"\r\nARC")[0])
    assert results is not None
    assert [(one.method, one.result) for one in results.results] == [
        ("spf", "fail"), ("dkim", "fail"), ("dmarc", "fail"), ("arc", "pass")
    ]  # fmt: skip
