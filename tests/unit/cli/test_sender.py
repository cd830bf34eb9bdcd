"""`poterne sender`, and what accounts and aliases have beside: what is said, with which status."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from poterne.cli.main import cli
from tests.support.server import DOMAIN, Instance

Run = Callable[..., Result]
ALICE = f"alice@{DOMAIN}"
ADD = ("sender", "add", "webshop", "--owner", ALICE, "--from", ALICE)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Instance(tmp_path_factory.mktemp("cli") / "instance", accounts=("alice",)).folder


@pytest.fixture
def run(template: Path, tmp_path: Path) -> Run:
    shutil.copytree(template, tmp_path / "instance")

    def go(*arguments: str, status: int = 0, text: str = "") -> Result:
        settings = str(tmp_path / "instance" / "poterne.toml")
        done = CliRunner().invoke(cli, ["-c", settings, *arguments], input=text)
        assert done.exit_code == status, (done.stdout, done.stderr, done.exception)
        return done

    return go


def test_from_pending_to_revoked(run: Run) -> None:
    made = run(*ADD)
    assert (
        f"webshop (pending) writes as {ALICE} to @{DOMAIN}, with its password from anywhere; 100 an hour" in made.stdout
    )
    assert "Password, shown only now: " in made.stdout
    assert "poterne sender approve webshop" in made.stderr
    assert "webshop (active)" in run("sender", "approve", "webshop").stdout
    changed = run("sender", "limit", "webshop", "--per-hour", "200", "--size", "2M", "--expires", "90d")
    assert "200 an hour" in changed.stdout
    assert "has to be approved (per_hour)" in changed.stderr
    row = json.loads(run("sender", "list", "--json").stdout)[0]
    assert (row["state"], row["per_hour"], row["max_bytes"]) == ("pending", 200, 2 * 1024 * 1024)
    run("sender", "limit", "webshop", "--per-day", "2000", "--approve")
    shown = json.loads(run("sender", "show", "webshop", "--json").stdout)
    assert shown["state"] == "active"
    assert {step["what"] for step in shown["history"]} == {"sender.added", "sender.approved", "sender.limited"}
    assert all(step["who"].startswith("cli:") for step in shown["history"])
    assert "per day:          2000" in run("sender", "show", "webshop").stdout
    assert "webshop is revoked." in run("sender", "revoke", "webshop").stdout
    assert "was revoked" in run("sender", "approve", "webshop", status=1).stderr
    again = json.loads(run("sender", "password", "webshop", "--json").stdout)
    assert (again["state"], len(again["password"])) == ("pending", 19)


def test_a_local_sender_has_no_password_and_may_be_approved_at_once(run: Run) -> None:
    made = json.loads(run(*ADD, "--uid", "33", "--to", "anyone", "--approve", "--json").stdout)
    assert (made["state"], made["uids"], made["to"], made["password"]) == ("active", [33], ["*"], None)
    assert "webshop" in run("sender", "list").stdout
    assert "nothing could use it" in run("sender", "limit", "webshop", "--no-uid", status=1).stderr


def test_networks_come_and_go(run: Run) -> None:
    run(*ADD, "--network", "192.0.2.7", "--approve")
    wider = run("sender", "limit", "webshop", "--any-network", "--json")
    assert json.loads(wider.stdout)["widened"] == ["networks"]
    assert "from anywhere" in run("sender", "limit", "webshop", "--to", "anyone", status=1).stderr
    run("sender", "limit", "webshop", "--to", "anyone", "--anywhere", "--approve")


@pytest.mark.parametrize(
    ("options", "status", "text"),
    [
        (["--from", "x@elsewhere.test"], 1, "no account and no alias"),
        (["--to", "anyone"], 1, "write to anyone, from anywhere"),
        (["--network", "8.0.0.0/8"], 1, "public network"),
        (["--expires", "2020-01-01"], 1, "over already"),
        (["--expires", "soon"], 2, "is no day"),
        (["--expires", "99999999d"], 2, "is no day"),
        (["--size", "big"], 2, "is no size"),
        (["--uid", "www-data"], 2, "not a valid integer"),
    ],
)
def test_refusals(run: Run, options: list[str], status: int, text: str) -> None:
    assert text in run(*ADD, *options, status=status).stderr
    assert "No sender yet" in run("sender", "list").stdout


def test_a_chosen_password(run: Run) -> None:
    assert "Password" not in run(*ADD, "--password-stdin", text="a long enough word\n").stdout


def test_accounts_forward_and_have_limits(run: Run) -> None:
    done = run("account", "forward", ALICE, "--to", "a@elsewhere.test", "--no-keep")
    assert f"{ALICE} is forwarded to a@elsewhere.test, and not kept here." in done.stdout
    assert "(SRS)" in done.stderr
    assert "a@elsewhere.test (not kept here)" in run("account", "list").stdout
    assert "no longer forwarded" in run("account", "forward", ALICE, "--off").stdout
    run("account", "forward", ALICE, status=2)
    run("account", "forward", ALICE, "--off", "--no-keep", status=2)
    said = run("account", "limit", ALICE, "--per-day", "50", "--burst", "0").stdout
    assert "recipients: 50 a day, 500 elsewhere an hour, 200 new a day, any number a minute" in said
    assert (
        "5000 a day, 5000 elsewhere an hour, any number new" in run("account", "limit", ALICE, "--bulk", "5000").stdout
    )
    shown = f"{ALICE}: recipients: 5000 a day, 5000 elsewhere an hour, any number new a day, any number a minute.\n"
    assert run("account", "limit", ALICE).stdout == shown
    assert "400 a minute, as [limits] says." in run("account", "limit", ALICE, "--default").stdout
    run("account", "limit", ALICE, "--bulk", "5", "--default", status=2)


def test_aliases_with_warnings(run: Run) -> None:
    away = run("alias", "add", f"team@{DOMAIN}", ALICE, "b@elsewhere.test", "--posting", "members")
    assert "Only those who get it may write to it" in away.stdout
    assert "elsewhere.test" in away.stderr
    caught = run("alias", "add", "--catch-all", DOMAIN, ALICE)
    assert f"*@{DOMAIN} goes to {ALICE}." in caught.stdout
    assert "attracts spam" in caught.stderr
    listed = run("alias", "add", f"all@{DOMAIN}", ALICE, "--poster", "boss@elsewhere.test")
    assert "Only boss@elsewhere.test may write to it." in listed.stdout
    assert "listed: boss@elsewhere.test" in run("alias", "list").stdout
