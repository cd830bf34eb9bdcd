"""`poterne queue` and `poterne hold` in this process, on the store of an instance."""

import asyncio
import json
import shutil
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from poterne.app.stores import open_instance_store
from poterne.cli.main import cli
from poterne.config.load import load
from poterne.store.interface import Store, Submission
from poterne.values.event import Event
from poterne.values.ids import AccountId, TraceId
from poterne.values.origin import Origin, OriginKind
from poterne.values.queue import NewQueued, NewRecipient
from poterne.values.sending import Charge, SendingLimits
from tests.support.server import DOMAIN, Instance
from tests.support.stores import blob

Run = Callable[..., Result]
ALICE = f"alice@{DOMAIN}"
ORIGIN = Origin(OriginKind.ACCOUNT, ALICE, AccountId(1))


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = Instance(tmp_path_factory.mktemp("cli") / "instance", accounts=("alice",)).folder
    with (folder / "poterne.toml").open("a") as more:
        more.write('\n[route.inside]\ndomains = ["inside.test"]\nhost = "192.0.2.7"\nlmtp = true\nport = 24\n')
    in_store(folder, _filled)
    return folder


def in_store(folder: Path, work: Callable[[Store], Awaitable[None]]) -> None:
    async def run() -> None:
        store = open_instance_store(folder / "data", load(folder / "poterne.toml"))
        try:
            await work(store)
        finally:
            await store.close()

    asyncio.run(run())


def _new(kept: object, *paths: str, due_in: int = 5000, sender: str = ALICE) -> NewQueued:
    recipients = tuple(NewRecipient(path, path.rpartition("@")[2]) for path in paths)
    return NewQueued(ORIGIN, TraceId("t1"), sender, kept, recipients, int(time.time()) + due_in)  # type: ignore[arg-type]


async def _filled(store: Store) -> None:
    """Three that wait, and an incident that holds two."""
    kept = await blob(store, b"Subject: x\r\n\r\nx\r\n")
    await store.deliver([], [_new(kept, "ann@one.test", "bob@one.test"), _new(kept, "cid@two.test", sender="")], [])
    at = int(time.time())
    charge = Charge(ORIGIN, SendingLimits(1, 0, 0, 0), at, ("x@far.test", "y@far.test"), 2)
    event = Event(at, "message.accepted", TraceId("t2"))
    held = _new(kept, "x@far.test", "y@far.test")
    taken = await store.submit(Submission(charge, (), (), held, event))
    assert taken.incident == 1


@pytest.fixture
def folder(template: Path, tmp_path: Path) -> Path:
    shutil.copytree(template, tmp_path / "instance")
    return tmp_path / "instance"


@pytest.fixture
def run(folder: Path) -> Run:
    def go(*arguments: str, status: int = 0, text: str = "") -> Result:
        done = CliRunner().invoke(cli, ["-c", str(folder / "poterne.toml"), *arguments], input=text)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert done.exit_code == status, (done.stdout, done.stderr)
        return done

    return go


def rows(run: Run, *arguments: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(run("queue", "list", "--json", *arguments).stdout)
    return found


def to(found: list[dict[str, object]]) -> list[object]:
    return [row["to"] for row in found]


@pytest.mark.parametrize(
    ("filters", "there"),
    [
        ([], ["ann@one.test", "bob@one.test", "cid@two.test", "x@far.test", "y@far.test"]),
        (["--to", "ann@one.test"], ["ann@one.test"]),
        (["--to", "@one.test"], ["ann@one.test", "bob@one.test"]),
        (["--domain", "TWO.test"], ["cid@two.test"]),
        (["--from", "<>"], ["cid@two.test"]),
        (["--from", ALICE, "--state", "waiting"], ["ann@one.test", "bob@one.test"]),
        (["--state", "held"], ["x@far.test", "y@far.test"]),
        (["--origin", f"account:{ALICE}", "--domain", "one.test"], ["ann@one.test", "bob@one.test"]),
        (["--origin", ALICE, "--to", "bob@one.test"], ["bob@one.test"]),
        (["--origin", "account:nobody"], []),
        (["--limit", "1"], ["ann@one.test"]),
    ],
)
def test_the_list_and_its_filters(run: Run, filters: list[str], there: list[str]) -> None:
    assert to(rows(run, *filters)) == there


def test_lists_for_people_and_programs(run: Run) -> None:
    said = run("queue", "list")
    assert said.stdout.splitlines()[0].split()[:4] == ["ID", "STATE", "DUE", "TRIES"]
    assert "<>" in said.stdout
    assert "Nothing waits." in run("queue", "list", "--domain", "none.test").stdout
    assert "These are the first 2" in run("queue", "list", "--limit", "2").stderr
    one = rows(run, "--to", "ann@one.test")[0]
    assert (one["from"], one["attempts"], one["size"], one["incident"]) == (ALICE, 0, 17, None)
    shown = run("queue", "show", str(one["id"])).stdout
    assert "ann@one.test" in shown
    assert json.loads(run("queue", "show", str(one["id"]), "--json").stdout) == [one]
    assert "nothing waits under the id 999" in run("queue", "show", "999", status=1).stderr
    for wrong, why in (("a b", "is not a mail address"), ("@nodot", "is not a full domain")):
        assert why in run("queue", "list", "--to", wrong, status=1).stderr
    for number in ("0", "-1", "one", "9" * 19, "9" * 400):
        assert "is no id" in run("queue", "show", "--", number, status=2).stderr


@pytest.mark.parametrize(("option", "value"), [("--to", "@"), ("--to", " "), ("--to", " @ "), ("--from", " ")])
def test_what_says_nothing_is_not_all_of_the_queue(run: Run, option: str, value: str) -> None:
    """As a script writes it whose variable is empty: `--to "@$domain"`."""
    before = rows(run)
    for what in ("remove", "fail"):
        assert "is no " in run("queue", what, option, value, "--yes", status=1).stderr
    assert rows(run) == before != []


def test_retry_makes_due(run: Run) -> None:
    assert "2 recipients tried now." in run("queue", "retry", "--domain", "one.test").stdout
    now = time.time()
    due = {row["to"]: row["due_at"] for row in rows(run)}
    assert all(int(str(due[path])) <= now for path in ("ann@one.test", "bob@one.test"))
    assert int(str(due["cid@two.test"])) > now


def test_hold_and_release(run: Run) -> None:
    number = str(rows(run, "--to", "cid@two.test")[0]["id"])
    assert "1 recipient held until you release it." in run("queue", "hold", "--id", number).stdout
    assert to(rows(run, "--state", "held")) == ["cid@two.test", "x@far.test", "y@far.test"]
    assert json.loads(run("queue", "release", "--all", "--json").stdout) == [{"recipients": 1}]
    assert to(rows(run, "--state", "held")) == ["x@far.test", "y@far.test"]  # the incident's are another decision


def test_remove(run: Run) -> None:
    assert run("queue", "remove", "--to", "ann@one.test", text="n\n", status=1).stdout.startswith("Remove it for good?")
    assert "1 recipient removed." in run("queue", "remove", "--to", "ann@one.test", "--yes").stdout
    assert "ann@one.test" not in to(rows(run))
    assert "nothing in the queue fits" in run("queue", "remove", "--to", "ann@one.test", "--yes", status=1).stderr


@pytest.mark.parametrize("what", ["retry", "hold", "release", "remove"])
def test_all_of_the_queue_is_never_meant_by_leaving_something_out(run: Run, what: str) -> None:
    assert "or say --all" in run("queue", what, *(["--yes"] if what == "remove" else []), status=1).stderr
    assert len(rows(run)) == 5


def test_an_incident_is_seen_and_released_in_one_command(run: Run) -> None:
    (incident,) = json.loads(run("hold", "list", "--json").stdout)
    assert (incident["id"], incident["origin"], incident["reason"]) == (1, f"account:{ALICE}", "recipients-per-day")
    assert (incident["messages"], incident["recipients"], incident["state"]) == (1, 2, "open")
    assert "x@far.test" in run("hold", "show", "1").stdout
    (shown,) = json.loads(run("hold", "show", "1", "--json").stdout)
    assert to(shown["held"]) == ["x@far.test", "y@far.test"]
    assert "is released: 1 message, 2 recipients." in run("hold", "release", "1").stdout
    assert to(rows(run, "--state", "waiting"))[-2:] == ["x@far.test", "y@far.test"]
    assert "Nothing is held." in run("hold", "list").stdout
    assert json.loads(run("hold", "list", "--all", "--json").stdout)[0]["state"] == "released"
    assert "incident 1 is released already" in run("hold", "release", "1", status=1).stderr
    assert "there is no incident 9" in run("hold", "show", "9", status=1).stderr


def test_an_incident_is_purged(run: Run) -> None:
    run("hold", "purge", "1", text="n\n", status=1)
    assert to(rows(run, "--state", "held")) == ["x@far.test", "y@far.test"]
    assert "is purged" in run("hold", "purge", "1", "--yes").stdout
    assert to(rows(run)) == ["ann@one.test", "bob@one.test", "cid@two.test"]


def test_what_was_done_is_in_the_journal(run: Run, folder: Path) -> None:
    run("queue", "hold", "--to", "ann@one.test")
    run("hold", "release", "1")

    async def look(store: Store) -> None:
        (held,) = await store.events(kind="queue.hold")
        assert held.reason.startswith("cli:")
        assert (held.detail["to"], held.detail["recipients"]) == ("ann@one.test", 1)
        assert (await store.events(kind="hold.released"))[0].detail["incident"] == 1

    in_store(folder, look)


def test_route_test(run: Run) -> None:
    said = run("queue", "route-test", "somebody@inside.test").stdout
    assert "[route.inside]: 192.0.2.7 port 24" in said
    assert "192.0.2.7[192.0.2.7]:24, LMTP, TLS verified" in said
    (found,) = json.loads(run("queue", "route-test", "--json", "somebody@inside.test").stdout)
    assert (found["destination"], found["refusal"], found["hops"][0]["port"]) == ("route:inside", None, 24)
    assert "delivered here" in run("queue", "route-test", ALICE).stdout
    assert "5.1.1" in run("queue", "route-test", f"nobody@{DOMAIN}", status=69).stdout
    assert "DNS does not tell now" in run("queue", "route-test", "a@elsewhere.test", status=75).stdout
    assert "is no public address" in run("queue", "route-test", "a@[10.0.0.1]", status=69).stdout
    assert "is not a mail address" in run("queue", "route-test", "nonsense", status=1).stderr
    assert "paused:" not in said
    run("queue", "pause", "--domain", "inside.test")
    assert "paused:        domain inside.test: nothing is tried" in run("queue", "route-test", "x@inside.test").stdout


def test_pauses(run: Run) -> None:
    assert "Nothing is paused." in run("queue", "pauses").stdout
    assert "Paused: everything, until somebody ends it" in run("queue", "pause", "--all").stdout
    run("queue", "pause", "--domain", "Slow.test", "--until", "2h")
    (made,) = json.loads(run("queue", "pause", "--origin", f"account:{ALICE}", "--json").stdout)
    assert (made["kind"], made["name"], made["until"]) == ("origin", f"account:{ALICE}", None)
    found = json.loads(run("queue", "pauses", "--json").stdout)
    assert [(one["kind"], one["name"]) for one in found] == [
        ("all", ""), ("domain", "slow.test"), ("origin", f"account:{ALICE}"),
    ]  # fmt: skip
    assert 7000 < found[1]["until"] - time.time() <= 7200
    assert "domain slow.test" in run("queue", "pauses").stdout
    assert "3 pauses are in force" in run("queue", "list").stderr
    assert "No longer paused: everything." in run("queue", "resume", "--all").stdout
    assert "there is no such pause" in run("queue", "resume", "--all", status=1).stderr
    assert json.loads(run("queue", "resume", "--domain", "slow.test", "--json").stdout) == [
        {"kind": "domain", "name": "slow.test"}
    ]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ([], "say one of --domain, --origin and --all"),
        (["--all", "--domain", "a.test"], "say one of"),
        (["--origin", "ann@example.org"], "is no origin"),
        (["--origin", "person:ann"], "is no origin"),
        (["--domain", "no dots"], "is not a domain"),
        (["--all", "--until", "tomorrow"], "is no time"),
        (["--all", "--until", "2020-01-01"], "is over already"),
    ],
)
def test_what_can_t_be_paused(run: Run, arguments: list[str], why: str) -> None:
    assert why in run("queue", "pause", *arguments, status=1).stderr
    assert "Nothing is paused." in run("queue", "pauses").stdout


def test_giving_up_tells_who_sent_it(run: Run, folder: Path) -> None:
    assert "or say --all" in run("queue", "fail", "--yes", status=1).stderr
    run("queue", "fail", "--domain", "one.test", text="n\n", status=1)
    assert len(rows(run)) == 5
    assert "2 recipients given up." in run("queue", "fail", "--domain", "one.test", "--yes").stdout
    left = rows(run)
    assert to(left) == ["cid@two.test", "x@far.test", "y@far.test", ALICE]  # the notice is on its way
    assert left[-1]["origin"] == "system:"
    assert (
        "nothing that waits or is held fits" in run("queue", "fail", "--domain", "one.test", "--yes", status=1).stderr
    )

    async def look(store: Store) -> None:
        notice = (await store.queued())[-1]
        said = store.blobs.read(notice.message.blob)
        assert said.count(b"Final-Recipient:") == 2
        assert b"The administrator of this server has given it up." in said
        assert said.count(b"Diagnostic-Code: x-poterne;") == 2  # no server said it
        assert {one.detail["to"] for one in await store.events(kind="message.failed")} == {
            "ann@one.test",
            "bob@one.test",
        }
        (given_up,) = await store.events(kind="queue.fail")
        assert (given_up.detail["recipients"], given_up.detail["domain"]) == (2, "one.test")

    in_store(folder, look)


def test_giving_up_what_is_held_and_only_what_waits(run: Run) -> None:
    run("queue", "hold", "--to", "ann@one.test")
    (done,) = json.loads(run("queue", "fail", "--domain", "one.test", "--state", "waiting", "--yes", "--json").stdout)
    assert done == {"recipients": 1, "busy": 0, "stay": 0}
    assert to(rows(run, "--state", "held")) == ["ann@one.test", "x@far.test", "y@far.test"]
    (done,) = json.loads(run("queue", "fail", "--state", "held", "--yes", "--json").stdout)
    assert done == {"recipients": 3, "busy": 0, "stay": 0}
    assert to(rows(run)) == ["cid@two.test", ALICE, ALICE, ALICE]
