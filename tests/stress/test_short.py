"""Some rounds of the stress; `make test-stress` goes on for longer."""

import time
from pathlib import Path

import pytest

from tests.stress.session import stress

SECONDS = 9.0


@pytest.mark.timeout(180)
async def test_random_clients_see_the_truth(tmp_path: Path) -> None:
    said: list[str] = []
    assert await stress(tmp_path, 1, time.monotonic() + SECONDS, None, tell=said.append) == 0, "\n".join(said)
