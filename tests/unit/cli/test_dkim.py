"""`poterne dkim`, and the keys that `poterne domain add` and `poterne setup` make."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from poterne.cli.main import cli
from tests.support.server import DOMAIN, Instance

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Instance(tmp_path_factory.mktemp("cli") / "instance", accounts=("alice",)).folder


@pytest.fixture
def run(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    folder = tmp_path / "instance"
    shutil.copytree(template, folder)
    monkeypatch.delenv("POTERNE_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)

    def go(*arguments: str, status: int = 0) -> Result:
        done = CliRunner().invoke(cli, ["-c", str(folder / "poterne.toml"), *arguments])
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert done.exit_code == status, (done.stdout, done.stderr)
        return done

    return go


def rows(run: Run, *arguments: str) -> list[dict[str, object]]:
    found = json.loads(run("dkim", *arguments, "--json").stdout)
    assert isinstance(found, list)
    return found


def test_a_life_on_the_command_line(run: Run) -> None:
    assert "No key yet: poterne dkim create example.org" in run("dkim", "list").stdout
    assert f"No key yet: poterne dkim create {DOMAIN}" in run("dkim", "list", DOMAIN).stdout
    assert "misspelt.test is not served here" in run("dkim", "list", "misspelt.test", status=1).stderr
    said = run("dkim", "create", DOMAIN).stdout
    published = re.findall(rf'^  (\S+)\._domainkey\.{re.escape(DOMAIN)}\. TXT "(v=DKIM1; k=\w+;)', said, re.MULTILINE)
    assert [start for _, start in published] == ["v=DKIM1; k=rsa;", "v=DKIM1; k=ed25519;"]
    (rsa, _), (ed, _) = published
    assert all(len(text) <= 255 for text in re.findall(r'"([^"]*)"', said))
    assert "has new keys already that wait for their records" in run("dkim", "create", DOMAIN).stdout
    table = run("dkim", "list", DOMAIN).stdout
    assert table.count("publish its record") == 2
    assert table.count("._domainkey.") == 2

    refused = run("dkim", "activate", DOMAIN, rsa, status=1).stderr
    assert "DNS does not say now: try again later (--force: without asking DNS)" in refused
    assert f"{rsa} of {DOMAIN} signs now." in run("dkim", "activate", DOMAIN, rsa, "--force").stdout
    assert "is the only key" in run("dkim", "retire", DOMAIN, rsa, status=1).stderr
    run("dkim", "activate", DOMAIN, ed, "--force")
    assert "Publish" not in run("dkim", "list", DOMAIN).stdout.replace("publish its record", "")

    new = [str(row["selector"]) for row in rows(run, "rotate", DOMAIN)]
    assert len({rsa, ed, *new}) == 4
    changed = run("dkim", "activate", DOMAIN, new[0], "--force").stdout
    assert f"{new[0]} of {DOMAIN} signs now." in changed
    assert f"{rsa} of {DOMAIN} is retired: leave its record in DNS for now." in changed
    assert "it can go in 14 days, or say --early" in run("dkim", "remove", DOMAIN, rsa, status=1).stderr
    assert f"{rsa} of {DOMAIN} is gone. Take {rsa}._domainkey.{DOMAIN} out of DNS" in (
        run("dkim", "remove", DOMAIN, rsa, "--early").stdout
    )
    assert {row["selector"]: row["state"] for row in rows(run, "list")} == {
        ed: "active", new[0]: "active", new[1]: "next",
    }  # fmt: skip


def test_programs_get_all_but_the_private_half(run: Run) -> None:
    (made,) = rows(run, "create", DOMAIN, "--algorithm", "ed25519")
    assert sorted(made) == [
        "algorithm", "changed_at", "created_at", "domain", "name", "seen_at", "selector", "state", "value",
    ]  # fmt: skip
    assert (made["state"], made["algorithm"], made["seen_at"]) == ("next", "ed25519-sha256", None)
    assert made["name"] == f"{made['selector']}._domainkey.{DOMAIN}"
    assert re.fullmatch(r"v=DKIM1; k=ed25519; h=sha256; t=s; p=[A-Za-z0-9+/]{43}=", str(made["value"]))
    (retired,) = rows(run, "activate", DOMAIN, str(made["selector"]), "--force")[:1]
    assert retired["state"] == "active"
    assert rows(run, "retire", DOMAIN, str(made["selector"]), "--last")[0]["state"] == "retired"
    assert rows(run, "remove", DOMAIN, str(made["selector"]), "--early")[0]["selector"] == made["selector"]
    assert rows(run, "list", DOMAIN) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["create", "other.test"], "is not served here: add it first (poterne domain add other.test)"),
        (["list", "localhost"], "is not a full domain"),
        (["activate", DOMAIN, "x"], f"has no key x: poterne dkim list {DOMAIN}"),
        (["retire", DOMAIN, "x"], "has no key x"),
        (["remove", DOMAIN, "x"], "has no key x"),
    ],
)
def test_refusals_say_what_to_do(run: Run, arguments: list[str], said: str) -> None:
    done = run("dkim", *arguments, status=1)
    assert said in done.stderr
    assert done.stdout == ""


def test_a_new_domain_has_keys(run: Run) -> None:
    said = run("domain", "add", "Other.Test").stdout
    assert "Its mail is signed once DNS has its keys: poterne dns other.test says what to publish." in said
    assert [(row["domain"], row["state"]) for row in rows(run, "list")] == [("other.test", "next")] * 2
    run("domain", "remove", "other.test")
    assert rows(run, "list") == []


def test_setup_makes_keys(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    done = CliRunner().invoke(cli, ["setup", "example.net", "--folder", str(folder), "--port-offset", "20000"])
    assert done.exit_code == 0, (done.stdout, done.stderr)
    listed = CliRunner().invoke(cli, ["-c", str(folder / "poterne.toml"), "dkim", "list", "--json"])
    assert [row["algorithm"] for row in json.loads(listed.stdout)] == ["ed25519-sha256", "rsa-sha256"]


def test_the_key_that_everybody_verifies_is_not_given_up_unasked(run: Run) -> None:
    made = {str(one["algorithm"]): str(one["selector"]) for one in rows(run, "create", DOMAIN)}
    for selector in made.values():
        run("dkim", "activate", DOMAIN, selector, "--force")
    rsa = made["rsa-sha256"]
    assert "is the only RSA key" in run("dkim", "retire", DOMAIN, rsa, status=1).stderr
    run("dkim", "retire", DOMAIN, rsa, "--last")
    assert "is the only key" in run("dkim", "retire", DOMAIN, made["ed25519-sha256"], status=1).stderr
