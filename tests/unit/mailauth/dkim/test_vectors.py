"""Messages that others signed: the examples of the RFCs, and dkimpy. How they were made: tests/corpus/dkim/README.md."""

from pathlib import Path

import pytest

from poterne.mailauth.dkim.outcome import Reason
from poterne.values.dns import Answer
from tests.unit.mailauth.dkim.signed import found, verify

CORPUS = Path(__file__).parents[3] / "corpus" / "dkim"
MESSAGES = sorted(CORPUS.glob("*.eml"))
NOW = 1_800_000_000
EXPECTED = {
    "dkimpy-length-more.eml": [Reason.UNSIGNED_BODY],
    "dkimpy-length-whole.eml": [Reason.LENGTH],
    "dkimpy-over-another.eml": [Reason.VERIFIED] * 2,
    "rfc8463-appendix-a.eml": [Reason.VERIFIED] * 2,
}


def answers() -> dict[str, Answer[bytes]]:
    lines = (CORPUS / "records.txt").read_bytes().splitlines()
    return {name.decode(): found(text) for name, _, text in (line.partition(b" ") for line in lines)}


@pytest.mark.parametrize("path", MESSAGES, ids=lambda path: path.stem)
@pytest.mark.parametrize("chunk", [1, 1 << 20])
def test_vectors(path: Path, chunk: int) -> None:
    outcomes = verify(path.read_bytes(), answers(), now_s=NOW, chunk=chunk)
    assert [one.reason for one in outcomes] == EXPECTED.get(path.name, [Reason.VERIFIED])


@pytest.mark.parametrize("path", MESSAGES, ids=lambda path: path.stem)
def test_vectors_with_another_author_fail(path: Path) -> None:
    data = path.read_bytes().replace(b"<joe@", b"<eve@")
    assert data != path.read_bytes()
    assert not any(one.authenticates for one in verify(data, answers(), now_s=NOW))


def test_all_vectors_are_there() -> None:
    assert len(MESSAGES) == 34
