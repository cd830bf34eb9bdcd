"""Each command's and extension's dialogue with the real server, word for word (`dialogues/*.imap`)."""

import re
from pathlib import Path
from typing import Final

import pytest

from poterne.proto.imap.table import COMMANDS
from poterne.values.capabilities import GUEST_ENCRYPTED, GUEST_PLAINTEXT, SIGNED_IN
from tests.support.dialogue import Dialogue, cases, check, has_tls, read, settings
from tests.support.imap_world import World

FOLDER: Final = Path(__file__).parent / "dialogues"
ELSEWHERE: Final = {"INPROGRESS": "test_progress.py"}
"""Capabilities that no dialogue can show, since they are about time, and the tests that do."""
_COMMAND: Final = re.compile(r"(\S+) ((?:UID )?[A-Za-z]+)\b", re.IGNORECASE).match
_ANSWER: Final = re.compile(r"(\S+) (OK|NO|BAD)\b").match


@pytest.mark.parametrize(("path", "way"), cases(FOLDER))
def test_dialogue(tmp_path: Path, path: Path, way: str) -> None:
    with World(tmp_path, settings=settings(path), implicit_tls=has_tls(path)) as world:
        check(world, path, way)


def _answers(dialogue: Dialogue) -> set[tuple[bytes, str]]:
    """Commands, and with what they were answered."""
    tags: dict[tuple[str, str], bytes] = {}
    found: set[tuple[bytes, str]] = set()
    for who, what, text in dialogue.steps:
        if what == ">" and (said := _COMMAND(text)):
            tags[who, said[1]] = said[2].upper().encode()
        elif what in {"<", "~"} and (heard := _ANSWER(text)) and (who, heard[1]) in tags:
            found.add((tags[who, heard[1]], heard[2]))
    return found


def test_each_command_is_used_rightly_and_wrongly() -> None:
    answers = set().union(*(_answers(read(path)) for path in FOLDER.glob("*.imap")))
    used = {name for name, answer in answers if answer == "OK"}
    refused = {name for name, answer in answers if answer != "OK"}
    assert set(COMMANDS) - used == set(), "no dialogue uses these: write one"
    assert set(COMMANDS) - refused == set(), "no dialogue shows how these are refused: write one"


def test_each_capability_is_shown() -> None:
    shown = set().union(*(read(path).shows for path in FOLDER.glob("*.imap")))
    there = {*GUEST_PLAINTEXT, *GUEST_ENCRYPTED, *SIGNED_IN}
    assert shown - there == set(), "no capability of ours"
    assert there - shown == set(ELSEWHERE), "a dialogue has to show these, and say so in a line that begins with ="
    assert all((FOLDER.parent / name).exists() for name in ELSEWHERE.values())
