from pathlib import Path

import pytest

from tests.support import smtp_toy
from tests.support.transcript import Transcript, cases, check

FOLDER = Path(__file__).parents[2] / "transcripts" / "smtp"


@pytest.mark.parametrize(("transcript", "way"), cases(FOLDER, "*.smtp"))
def test_transcript(transcript: Transcript, way: str) -> None:
    check(transcript, smtp_toy.make, way)
