"""What became of a message, from the sockets to the words of `poterne trace`."""

import json
import re
from collections.abc import Iterator

import pytest

from tests.support.checked import FORGER, LIST, checking, signed
from tests.support.checked import arrive as forged
from tests.support.checked import letter as written
from tests.support.outside import Outside, rest, submit
from tests.support.server import DOMAIN, Instance, wait_for

ANN, BOB = f"ann@{DOMAIN}", f"bob@{DOMAIN}"
FAR, NOBODY = "carol@far.test", "nobody@far.test"


@pytest.fixture(scope="module")
def outside() -> Iterator[Outside]:
    with Outside("far.test") as made:
        yield made


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, outside: Outside) -> Iterator[Instance]:
    folder = tmp_path_factory.mktemp("traced") / "instance"
    made = Instance(folder, accounts=("ann", "bob"), chosen={**outside.settings, "server": {"workers": 1}})
    yield made.start()
    assert made.stop() == 0


@pytest.fixture(scope="module")
def verifying(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    with checking(tmp_path_factory.mktemp("traced-verified"), forwarders=["lists.test"]) as made:
        yield made


def trace(server: Instance, *arguments: str, status: int = 0) -> list[str]:
    """Its lines, without their times."""
    done = server.poterne("trace", *arguments, status=status)
    return [re.sub(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  ", "", line) for line in done.stdout.splitlines()]


def number(answer: str) -> str:
    """The id that the sender is told."""
    assert answer.startswith("250"), answer
    found = re.search(r"ccepted as ([0-9A-Za-z]+)", answer)
    assert found is not None, answer
    return found[1]


def test_accepted_queued_sent_and_delivered(server: Instance, outside: Outside) -> None:
    one = number(submit(server, "ann", [FAR, BOB], "to two"))
    outside.wait_taken("to two")
    rest(server)
    accepted, sent = trace(server, one)
    assert accepted.startswith("accepted from somebody who signed in (127.0.0.")
    assert f"from <{ANN}> for <{FAR}>, <{BOB}>, " in accepted
    assert accepted.endswith(". So: delivered to 1 mailbox and queued for 1 recipient elsewhere")
    assert sent.startswith(f"sent to <{FAR}> at mx.far.test")
    assert 'attempt 1: "250 ' in sent
    for about in (ANN, FAR, FAR.upper(), "far.test", f"<{FAR}>"):
        lines = trace(server, about, "--kind", "message.")
        assert f"{accepted}  [{one}]" in lines
        assert f"{sent}  [{one}]" in lines  # of Ann's own, since her account sent it
    assert not [line for line in trace(server, BOB) if line.startswith("sent")]
    assert trace(server, one, "--kind", "message.sent", "--since", "1h") == [sent]
    assert trace(server, one, "--limit", "1") == [sent]
    found = json.loads(server.poterne("trace", one, "--json").stdout)
    assert [event["kind"] for event in found["events"]] == ["message.accepted", "message.sent"]
    assert [event["words"] for event in found["events"]] == [accepted, sent]


def test_what_waits_and_what_is_held(server: Instance, outside: Outside) -> None:
    server.poterne("queue", "pause", "--domain", "far.test")
    one = number(submit(server, "ann", FAR, "it waits"))
    wait_for(lambda: "now: waits for" in "\n".join(trace(server, one)))
    assert trace(server, one)[-1].startswith(f"now: waits for <{FAR}>, not tried yet, next at ")
    server.poterne("account", "limit", ANN, "--per-day", "1", "--burst", "0")
    held = number(submit(server, "ann", FAR, "too much"))
    first, notice, *more = trace(server, held)
    assert first.startswith("held from somebody who signed in")
    assert "more recipients in a day than allowed. Decide: poterne hold show 1" in first
    assert "told by mail that incident 1 holds mail" in notice
    assert f"now: held for <{FAR}> by incident 1, not tried yet" in more
    server.poterne("queue", "resume", "--domain", "far.test")
    server.poterne("hold", "release", "1")
    outside.wait_taken("too much")
    rest(server)
    told = trace(server, held)
    released = next(line for line in told if line.startswith("incident 1"))
    assert "is released and goes its way: 1 recipient, by cli:" in released
    assert [line for line in told if line.startswith(f"sent to <{FAR}>")]


def test_what_is_refused_names_its_reason(verifying: Instance) -> None:
    answer = forged(verifying, written("ann@strict.test", "forged"), "x@evil.test", peer=FORGER)
    assert answer.startswith("550")
    lines: list[str] = []
    for about in ("strict.test", "x@evil.test", f"alice@{DOMAIN}"):
        lines = trace(verifying, about, "--kind", "message.refused")
        assert lines[0].startswith(f"refused with 550 from outside ({FORGER}): from <x@evil.test> for <alice@{DOMAIN}>")
        for words in ("author strict.test", "SPF pass", "DKIM none", "DMARC fail", "asks to reject such mail"):
            assert words in lines[0]
    one = re.search(r"\[(\w+)\]$", lines[0])
    assert one is not None
    assert trace(verifying, one[1]) == [re.sub(r"  \[\w+\]$", "", lines[0])]


def test_quarantined_and_released(verifying: Instance) -> None:
    broken = signed(written("ann@strict.test", "broken"), "strict.test").replace(b"Some text", b"Some test")
    one = number(forged(verifying, broken, "bounces@lists.test", peer=LIST))
    (accepted,) = trace(verifying, one)
    assert "So: in quarantine, kept from 1 mailbox, since the author is not proven" in accepted
    (row,) = json.loads(verifying.poterne("quarantine", "list", "--json").stdout)
    verifying.poterne("quarantine", "release", str(row["id"]))
    again, released = trace(verifying, one)
    assert again == accepted
    assert released.startswith(f"number {row['id']} of the quarantine is released to the inbox of <alice@{DOMAIN}>")


def test_what_nobody_knows(server: Instance) -> None:
    done = server.poterne("trace", "nobody@nowhere.test", status=1)
    assert done.stdout == ""
    assert "nothing is known of nobody@nowhere.test" in done.stderr
    assert "smtp.refused" in done.stderr
    assert "is no time" in server.poterne("trace", "--since", "yesterday", status=1).stderr
    assert "not a mail address" in server.poterne("trace", "a@b@@", status=1).stderr
    assert json.loads(server.poterne("trace", "0000", "--json", status=1).stdout) == {"events": [], "waits": []}
