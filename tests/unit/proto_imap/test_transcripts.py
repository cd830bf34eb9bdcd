from pathlib import Path

import pytest

from tests.support.imap_toy import runner
from tests.support.transcript import Transcript, cases, check

FOLDER = Path(__file__).parents[2] / "transcripts" / "imap"


@pytest.mark.parametrize(("transcript", "way"), cases(FOLDER, "*.imap"))
def test_transcript(transcript: Transcript, way: str) -> None:
    check(transcript, runner, way)
