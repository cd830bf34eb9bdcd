"""`poterne account share` and `shares`."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from poterne.cli.main import cli
from tests.support.server import DOMAIN, Instance

Run = Callable[..., Result]
INFO, ALICE, BOB = (f"{name}@{DOMAIN}" for name in ("info", "alice", "bob"))


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Instance(tmp_path_factory.mktemp("cli") / "instance", accounts=("info", "alice", "bob")).folder


@pytest.fixture
def run(template: Path, tmp_path: Path) -> Run:
    shutil.copytree(template, tmp_path / "instance")

    def go(*arguments: str, status: int = 0) -> Result:
        settings = str(tmp_path / "instance" / "poterne.toml")
        done = CliRunner().invoke(cli, ["-c", settings, *arguments])
        assert done.exit_code == status, (done.stdout, done.stderr, done.exception)
        return done

    return go


def rows(run: Run, address: str) -> list[tuple[str, str, str, str]]:
    found = json.loads(run("account", "shares", address, "--json").stdout)
    return [(row["owner"], row["mailbox"], row["who"], row["rights"]) for row in found]


def test_by_words_and_by_letters(run: Run) -> None:
    assert "shares nothing" in run("account", "shares", INFO).stdout
    said = run("account", "share", INFO, "inbox", ALICE, "write").stdout
    assert f"INBOX of {INFO}: {ALICE} may lrswipte (write) now." in said
    assert f"Other Users/{INFO}/INBOX" in said
    run("account", "share", INFO, "Sent", BOB, "lr")
    run("account", "share", INFO, "Sent", "anyone", "l")
    assert rows(run, INFO) == [
        (INFO, "INBOX", ALICE, "lrswipte"),
        (INFO, "Sent", "anyone", "l"),
        (INFO, "Sent", BOB, "lr"),
    ]
    assert rows(run, BOB) == [(INFO, "Sent", BOB, "lr")]
    assert "lr (read)" in run("account", "shares", INFO).stdout
    assert "may do nothing now" in run("account", "share", INFO, "INBOX", ALICE, "none").stdout
    assert rows(run, ALICE) == [(INFO, "Sent", ALICE, "l")]


def test_the_trace_answers_who_let_whom_in(run: Run) -> None:
    run("account", "share", INFO, "INBOX", ALICE, "all")
    run("account", "share", INFO, "INBOX", ALICE, "none")
    for address in (INFO, ALICE):
        told = run("trace", address).stdout
        assert f"mailbox INBOX of <{INFO}>: <{ALICE}> may use it (lrswipkxtea)" in told
        assert "may not use it any more" in told


def test_what_is_refused(run: Run) -> None:
    assert "none of none, read, write, all" in run("account", "share", INFO, "INBOX", ALICE, "lot", status=1).stderr
    assert "no folder Nowhere" in run("account", "share", INFO, "Nowhere", ALICE, "read", status=1).stderr
    assert "there is no account" in run("account", "share", INFO, "INBOX", f"none@{DOMAIN}", "read", status=1).stderr
    assert "owns it" in run("account", "share", INFO, "INBOX", INFO, "read", status=1).stderr
    assert rows(run, INFO) == []


def test_of_another_domain_only_with_the_setting(run: Run, tmp_path: Path) -> None:
    run("domain", "add", "elsewhere.example")
    run("account", "add", "eve@elsewhere.example")
    refused = run("account", "share", INFO, "INBOX", "eve@elsewhere.example", "read", status=1).stderr
    assert "share_across_domains" in refused
    settings = tmp_path / "instance" / "poterne.toml"
    settings.write_text(settings.read_text().replace("[imap]\n", "[imap]\nshare_across_domains = true\n"))
    run("account", "share", INFO, "INBOX", "eve@elsewhere.example", "read")
    assert rows(run, "eve@elsewhere.example") == [(INFO, "INBOX", "eve@elsewhere.example", "lr")]


@pytest.mark.parametrize(
    ("typed", "meant"), [("wirte", "write"), ("raed", "read"), ("Wrte", "write"), ("al", "all"), ("nnoe", "none")]
)
def test_a_slip_in_a_word_does_not_become_letters(run: Run, typed: str, meant: str) -> None:
    done = run("account", "share", INFO, "INBOX", ALICE, typed, status=1)
    assert f"did you mean {meant}?" in done.stderr
    assert rows(run, INFO) == []


@pytest.mark.parametrize("typed", ["lr", "lrs", "lrswi", "lrswite", "lrswipkxtea", "p"])
def test_letters_are_still_letters(run: Run, typed: str) -> None:
    run("account", "share", INFO, "INBOX", ALICE, typed)
    assert rows(run, INFO) == [(INFO, "INBOX", ALICE, typed)]


def test_an_alias_is_told_from_an_account_that_is_not_there(run: Run) -> None:
    run("alias", "add", f"hall@{DOMAIN}", ALICE)
    done = run("account", "share", f"hall@{DOMAIN}", "INBOX", BOB, "read", status=1)
    assert f"hall@{DOMAIN} is an alias, not an account" in done.stderr
    assert f"poterne alias remove hall@{DOMAIN}, then poterne account add hall@{DOMAIN}" in done.stderr
