"""Each extension's dialogue with the real server, word for word (`dialogues/*.imap`)."""

from pathlib import Path

import pytest

from tests.support.dialogue import cases, check, has_tls, settings
from tests.support.imap_world import World


@pytest.mark.parametrize(("path", "way"), cases(Path(__file__).parent / "dialogues"))
def test_dialogue(tmp_path: Path, path: Path, way: str) -> None:
    with World(tmp_path, settings=settings(path), implicit_tls=has_tls(path)) as world:
        check(world, path, way)
