from pathlib import Path

import pytest

from tests.support import pop3_toy
from tests.support.transcript import Transcript, cases, check

FOLDER = Path(__file__).parents[2] / "transcripts" / "pop3"


@pytest.mark.parametrize(("transcript", "way"), cases(FOLDER, "*.pop3"))
def test_transcript(transcript: Transcript, way: str) -> None:
    check(transcript, pop3_toy.make, way)
