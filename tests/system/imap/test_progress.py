"""INPROGRESS (RFC 9585): a command that takes long says how far it is."""

import re
from pathlib import Path

import pytest

from poterne.session.imap import matching, turns
from tests.support.imap_world import World, message


def test_a_long_search_tells_its_progress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "TELL_S", 0.0)
    monkeypatch.setattr(turns, "TURN_S", -1.0)
    monkeypatch.setattr(matching, "CONTENTS_AT_ONCE", 2)
    with World(tmp_path) as world, world.client(select="INBOX") as wire:
        world.deliver(*(message(str(n)) for n in range(5)))
        wire.ok("NOOP")
        said = wire.ok("SEARCH HEADER X-None here")
        assert said[-1] == b"* SEARCH"
        told = [
            re.fullmatch(rb'\* OK \[INPROGRESS \("t4" (\d+) (\d+|NIL)\)\] Still working', line) for line in said[:-1]
        ]
        assert len(told) >= 5
        counted = [(int(one[1]), one[2]) for one in told if one]
        assert len(counted) == len(told)
        assert [done for done, _ in counted] == sorted(done for done, _ in counted)
        assert {goal for done, goal in counted if done} == {b"5"}
        assert {done for done, _ in counted} == {0, 2, 4}
        assert any(b"INPROGRESS" in line for line in wire.ok("UID SORT (DATE) UTF-8 HEADER X-None here"))
        assert any(b"INPROGRESS" in line for line in wire.ok("UID THREAD REFERENCES UTF-8 HEADER X-None here"))


def test_nobody_hears_of_it_in_ten_seconds(tmp_path: Path) -> None:
    with World(tmp_path) as world, world.client(select="INBOX") as wire:
        world.deliver(message())
        wire.ok("NOOP")
        assert wire.ok("SEARCH HEADER X-None here") == [b"* SEARCH"]
