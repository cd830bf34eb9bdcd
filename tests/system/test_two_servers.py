"""Two real servers whose people forward to each other: nothing goes round for ever, and nobody else hears of it."""

import re
from collections.abc import Iterator

import pytest

from poterne.admin import people
from poterne.config.render import Value
from poterne.values.ids import TraceId
from tests.support.outside import Outside, arrive, letters, rest, wait_letters
from tests.support.server import ADDRESS, DOMAIN, Instance, wait_for

ACTING = people.Acting("test", 1, TraceId("test"))
SECOND = "second.test"
SECOND_ADDRESS = "127.0.0.2"
Pair = tuple[Instance, Instance]


@pytest.fixture(scope="module")
def outside() -> Iterator[Outside]:
    with Outside("far.test", others={DOMAIN: ADDRESS, SECOND: SECOND_ADDRESS}) as made:
        yield made


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory, outside: Outside) -> Iterator[Pair]:
    folder, port = tmp_path_factory.mktemp("two"), outside.sink.port
    one: dict[str, dict[str, Value]] = {**outside.settings, "server": {"workers": 1}}
    first = Instance(folder / "first", accounts=("boss", "round"), chosen=one, mx_port=port)
    second = Instance(
        folder / "second",
        accounts=("boss", "round"),
        chosen=one,
        mx_port=port,
        address=SECOND_ADDRESS,
        domain=SECOND,
    )
    yield first.start(), second.start()
    for server in (first, second):
        assert server.stop() == 0
        assert not server.events("bug")


def forward(server: Instance, name: str, to: str) -> None:
    server.with_store(lambda store: people.set_forwards(store, f"{name}@{server.domain}", [to], ACTING, keeps=False))


def alias(server: Instance, name: str, to: str) -> None:
    server.with_store(lambda store: people.add_alias(store, f"{name}@{server.domain}", [to], ACTING))


def accepted(server: Instance) -> int:
    return len(server.events("message.accepted"))


def test_two_who_forward_to_each_other(servers: Pair, outside: Outside) -> None:
    """One round; then it stays with the one who had it first."""
    first, second = servers
    forward(first, "round", f"round@{SECOND}")
    forward(second, "round", f"round@{DOMAIN}")
    assert arrive(first, f"round@{DOMAIN}", "two-round").startswith("250")
    (letter,) = wait_letters(first, "round", "two-round")
    rest(first)
    rest(second)
    assert letters(second, "round", "two-round") == []
    assert (accepted(first), accepted(second)) == (2, 1)
    marks = re.findall(rb"^Delivered-To: ([^\r]*)", letter, re.MULTILINE)
    assert marks == [f"round@{SECOND}".encode(), f"round@{DOMAIN}".encode()]
    path = letter.partition(b"\r\n")[0].decode()
    assert re.fullmatch(
        rf"Return-Path: <SRS1=[A-Z2-7]{{10}}={re.escape(DOMAIN)}==[A-Z2-7]+=[A-Z2-7]+=far\.test=carol@second\.test>",
        path,
    )

    # The bounce of the last one goes the same way back, and ends where the mail began.
    back = path.removeprefix("Return-Path: <").removesuffix(">")
    assert arrive(second, back, "two-bounce", sender="").startswith("250")
    (bounce,) = outside.wait_taken("two-bounce")
    assert (bounce.rcpts, bounce.mail.partition(" SIZE")[0]) == (["RCPT TO:<carol@far.test>"], "MAIL FROM:<>")


def test_two_lists_of_each_other(servers: Pair, outside: Outside) -> None:
    """Refused in the dialogue after one round; the stranger who wrote hears nothing, the administrator can."""
    first, second = servers
    alias(first, "lists", f"lists@{SECOND}")
    alias(second, "lists", f"lists@{DOMAIN}")
    before = accepted(first), accepted(second)
    assert arrive(first, f"lists@{DOMAIN}", "two-lists").startswith("250")
    wait_for(lambda: second.events("message.failed"))
    rest(first)
    rest(second)
    assert (accepted(first) - before[0], accepted(second) - before[1]) == (1, 1)
    (failed,) = second.events("message.failed")
    assert failed["origin"] == f"forward:lists@{SECOND}"
    assert failed["reply"].startswith("554 5.4.6")
    assert outside.taken("two-lists") == []
