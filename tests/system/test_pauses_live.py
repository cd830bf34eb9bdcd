"""Pauses and giving up, typed while a real server sends: they count within seconds, and who sent the mail hears of it."""

import json
import time
from collections.abc import Iterator

import pytest

from tests.support.outside import Outside, arrive, submit, wait_letters
from tests.support.server import DOMAIN, Instance, wait_for

ANN = f"ann@{DOMAIN}"


@pytest.fixture(scope="module")
def outside() -> Iterator[Outside]:
    rules = {"RCPT": lambda line: b"550 5.1.1 gone\r\n" if "gone@" in line else b"250 2.1.5 ok\r\n"}
    with Outside("far.test", "near.test", rules=rules) as made:
        yield made


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, outside: Outside) -> Iterator[Instance]:
    made = Instance(
        tmp_path_factory.mktemp("pauses") / "instance", accounts=("boss", "ann", "ben"), chosen=outside.settings
    )
    yield made.start()
    assert made.stop() == 0
    assert not made.events("bug")


def test_a_domain_is_paused_and_resumed(server: Instance, outside: Outside) -> None:
    submit(server, "ann", "a@far.test", "before-the-pause")
    outside.wait_taken("before-the-pause")
    server.poterne("queue", "pause", "--domain", "far.test")
    wait_for(lambda: bool(server.events("queue.pauses")))  # the runner has seen it
    submit(server, "ann", "a@far.test", "in-the-pause")
    submit(server, "ann", "a@near.test", "elsewhere")
    outside.wait_taken("elsewhere")
    time.sleep(1)
    assert outside.taken("in-the-pause") == []
    assert "domain far.test" in server.poterne("queue", "route-test", "a@far.test").stdout
    server.poterne("queue", "resume", "--domain", "far.test")
    outside.wait_taken("in-the-pause")


def test_what_is_given_up_comes_back_to_its_sender(server: Instance, outside: Outside) -> None:
    server.poterne("queue", "pause", "--all")
    wait_for(lambda: "all" in str(server.events("queue.pauses")[-1]))
    submit(server, "ben", "b@far.test", "given-up")
    found = json.loads(server.poterne("queue", "list", "--to", "b@far.test", "--json").stdout)
    assert [one["state"] for one in found] == ["waiting"]
    done = json.loads(server.poterne("queue", "fail", "--to", "b@far.test", "--yes", "--json").stdout)
    assert done == [{"recipients": 1, "busy": 0, "stay": 0}]
    server.poterne("queue", "resume", "--all")
    (notice,) = wait_letters(server, "ben", "given-up")
    assert b"Action: failed" in notice
    assert b"The administrator of this server has given it up." in notice
    assert outside.taken("given-up") == []


def test_a_forward_that_fails_vanishes_for_nobody(server: Instance, outside: Outside) -> None:
    server.poterne("account", "forward", ANN, "--to", "gone@far.test", "--no-keep")
    assert arrive(server, ANN, "for-ann-who-is-elsewhere").startswith("250")
    (letter,) = wait_letters(server, "ann", "for-ann-who-is-elsewhere")
    assert letter.startswith(b"Return-Path: <carol@far.test>\r\n")
    (notice,) = wait_letters(server, "ann", "could not forward")
    assert b"550 5.1.1 gone" in notice
    assert not any("carol@" in line for line in outside.sink.lines if line.startswith("RCPT"))
