"""The command line in this process: what is said, on which stream, with which status."""

import json
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from poterne.admin import srs_key
from poterne.cli import common
from poterne.cli.main import COMMANDS, cli
from tests.support.server import DOMAIN, Instance

Run = Callable[..., Result]
ALICE = f"alice@{DOMAIN}"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An instance that each test copies: making one takes longer."""
    return Instance(tmp_path_factory.mktemp("cli") / "instance", accounts=("alice",)).folder


@pytest.fixture
def folder(template: Path, tmp_path: Path) -> Path:
    shutil.copytree(template, tmp_path / "instance")
    return tmp_path / "instance"


@pytest.fixture
def run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.delenv("POTERNE_CONFIG", raising=False)
    monkeypatch.chdir(folder.parent)

    def go(*arguments: str, status: int = 0, text: str | bytes = "", config: bool = True) -> Result:
        named = ["-c", str(folder / "poterne.toml")] if config else []
        done = CliRunner().invoke(cli, [*named, *arguments], input=text)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert done.exit_code == status, (done.stdout, done.stderr)
        return done

    return go


def test_every_command_has_help_and_is_listed() -> None:
    listed = CliRunner().invoke(cli, ["--help"]).stdout
    for name, (_, summary) in COMMANDS.items():
        assert name in listed
        assert summary in " ".join(listed.split())
        helped = CliRunner().invoke(cli, [name, "--help"])
        assert helped.exit_code == 0
        assert "Usage:" in helped.stdout
    assert CliRunner().invoke(cli, ["nothing"]).exit_code == 2
    assert "poterne" in CliRunner().invoke(cli, ["--version"]).stdout


def test_domains(run: Run) -> None:
    assert "is served now. Next: poterne account add you@other.test" in run("domain", "add", "Other.Test").stdout
    assert [row["domain"] for row in json.loads(run("domain", "list", "--json").stdout)] == [DOMAIN, "other.test"]
    table = run("domain", "list").stdout.splitlines()
    assert table[0].split() == ["DOMAIN", "SINCE"]
    assert "poterne: the domain other.test is served already" in run("domain", "add", "other.test", status=1).stderr
    assert "is no longer served" in run("domain", "remove", "other.test").stdout
    assert "is not served here" in run("domain", "remove", "other.test", status=1).stderr
    assert "still has accounts" in run("domain", "remove", DOMAIN, status=1).stderr
    refused = run("domain", "add", "localhost", status=1)
    assert refused.stdout == ""
    assert "is not a full domain" in refused.stderr


def test_accounts(run: Run) -> None:
    said = run("account", "add", f"bob@{DOMAIN}").stdout
    assert said.startswith(f"bob@{DOMAIN} is made. Password, shown only now: ")
    assert len(said.rsplit(" ", 1)[1].strip()) == 19
    made = json.loads(
        run("account", "add", f"carol@{DOMAIN}", "--password-stdin", "--json", text="good long one\n").stdout
    )
    assert made == [{"address": f"carol@{DOMAIN}", "password": None}]
    run("account", "add", f"dan@{DOMAIN}", "--name", "Dan", "--language", "fr", "--quota", "5")
    rows = {row["address"]: row for row in json.loads(run("account", "list", "--json").stdout)}
    assert set(rows) == {f"{name}@{DOMAIN}" for name in ("alice", "bob", "carol", "dan")}
    assert (rows[f"dan@{DOMAIN}"]["name"], rows[f"dan@{DOMAIN}"]["language"], rows[f"dan@{DOMAIN}"]["quota_bytes"]) == (
        "Dan",
        "fr",
        5,
    )
    assert "password" not in str(rows)
    assert "has a new password" in run("account", "password", ALICE, "--password-stdin", text="good long one").stdout
    assert len(json.loads(run("account", "password", ALICE, "--json").stdout)[0]["password"]) == 19
    assert run("account", "remove", ALICE, text="n\n", status=1).stdout.startswith(f"Remove {ALICE} and all its mail?")
    assert "is removed, with its mail" in run("account", "remove", ALICE, "--yes").stdout


@pytest.mark.parametrize(
    ("arguments", "text", "said"),
    [
        (
            ["account", "add", "x@other.test"],
            "",
            "other.test is not served here: add it first (poterne domain add other.test)",
        ),
        (["account", "add", ALICE], "", "exists already, as an account (poterne account list)"),
        (["account", "add", "x"], "", "is not a mail address"),
        (["account", "add", f"x@{DOMAIN}", "--password-stdin"], "short\n", "too short"),
        (["account", "add", f"x@{DOMAIN}", "--password-stdin"], "", "too short"),
        (["account", "add", f"x@{DOMAIN}", "--password-stdin"], "x" * 5000, "too long"),
        (["account", "add", f"x@{DOMAIN}", "--password-stdin"], b"\xff\xfe not UTF-8 at all\n", "not UTF-8"),
        (["account", "password", f"x@{DOMAIN}"], "", f"there is no account x@{DOMAIN} (poterne account list)"),
        (["account", "remove", f"x@{DOMAIN}", "--yes"], "", "there is no account"),
        (["account", "list", "other.test"], "", "other.test is not served here"),
        (["alias", "add", f"a@{DOMAIN}", f"x@{DOMAIN}"], "", "an alias points to accounts of this server"),
        (["alias", "add", ALICE, ALICE], "", "exists already"),
        (["alias", "add", "a@other.test", ALICE], "", "other.test is not served here"),
        (["alias", "remove", f"x@{DOMAIN}"], "", "there is no alias"),
        (["alias", "list", "other.test"], "", "other.test is not served here"),
    ],
)
def test_what_cannot_be_done_is_told_on_stderr_with_status_1(
    run: Run, arguments: list[str], text: str | bytes, said: str
) -> None:
    done = run(*arguments, text=text, status=1)
    assert said in done.stderr
    assert done.stderr.startswith("poterne: ")
    assert done.stdout == ""


def test_wrong_use_has_status_2(run: Run) -> None:
    run("account", "add", f"x@{DOMAIN}", "--language", "de", status=2)
    run("account", "add", f"x@{DOMAIN}", "--quota", "-1", status=2)
    run("alias", "add", f"x@{DOMAIN}", status=2)


def test_aliases(run: Run) -> None:
    assert f"info@{DOMAIN} goes to {ALICE}." in run("alias", "add", f"info@{DOMAIN}", ALICE).stdout
    assert json.loads(run("alias", "list", "--json").stdout) == [
        {"address": f"info@{DOMAIN}", "targets": ALICE, "posting": "anyone"}
    ]
    assert "is removed" in run("alias", "remove", f"info@{DOMAIN}").stdout
    assert "No alias yet" in run("alias", "list").stdout
    assert run("alias", "list", "--json").stdout == "[]\n"


def test_new_accounts_follow_the_settings(run: Run, folder: Path) -> None:
    path = folder / "poterne.toml"
    path.write_text(
        path.read_text()
        .replace("# quota_bytes = 0", "quota_bytes = 777")
        .replace('# language = "en"', 'language = "fr"')
    )
    run("account", "add", f"new@{DOMAIN}")
    rows = {row["address"]: row for row in json.loads(run("account", "list", "--json").stdout)}
    assert (rows[f"new@{DOMAIN}"]["quota_bytes"], rows[f"new@{DOMAIN}"]["language"]) == (777, "fr")


# -- finding the instance ----------------------------------------------------------------------------------------------


def test_without_settings_every_command_says_what_to_do(
    run: Run, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    monkeypatch.setattr(common, "PLACES", (Path("poterne.toml"),))
    assert (
        "name it with -c FILE, or make an instance with `poterne setup DOMAIN`"
        in run("domain", "list", config=False, status=1).stderr
    )
    monkeypatch.chdir(folder)
    assert DOMAIN in run("domain", "list", config=False).stdout
    monkeypatch.chdir(folder.parent)
    monkeypatch.setenv("POTERNE_CONFIG", str(folder / "poterne.toml"))
    assert DOMAIN in run("domain", "list", config=False).stdout
    monkeypatch.setenv("POTERNE_CONFIG", "none.toml")
    assert "does not exist" in run("domain", "list", config=False, status=78).stderr


def test_bad_settings_have_status_78(run: Run, folder: Path) -> None:
    (folder / "poterne.toml").write_text('[server]\nhostname = "x"\nwrokers = 1\n')
    for arguments in (["domain", "list"], ["check"], ["backup", "copy"], ["store", "check"]):
        said = run(*arguments, status=78).stderr
        assert "poterne.toml:2: server.hostname" in said
        assert "poterne.toml:3: server.wrokers" in said


def test_a_missing_data_folder_is_not_made(run: Run, folder: Path) -> None:
    shutil.rmtree(folder / "data")
    assert "does not exist, or you may not see it: check [server] data" in run("domain", "list", status=1).stderr
    assert not (folder / "data").exists()


def test_a_damaged_store_is_told(run: Run, folder: Path) -> None:
    for path in (folder / "data").glob("poterne.db*"):
        path.write_bytes(b"damaged" * 2000)
    said = run("domain", "list", status=1).stderr
    assert said.startswith("poterne: the store says: ")
    assert "Traceback" not in said


def test_who_forwards_to_an_account(run: Run) -> None:
    assert "Nobody forwards mail" in run("account", "forwarded-by", ALICE).stdout
    run("account", "forwarded-by", ALICE, "--from", "alumni.test", "--from", "old.test")
    assert "by way of alumni.test, old.test." in run("account", "forwarded-by", ALICE).stdout
    assert json.loads(run("account", "list", "--json").stdout)[0]["forwarded_by"] == ["alumni.test", "old.test"]
    run("account", "forwarded-by", ALICE, "--off", "--from", "old.test", status=2)
    assert "is not a domain name" in run("account", "forwarded-by", ALICE, "--from", "a@old.test", status=1).stderr
    run("account", "forwarded-by", ALICE, "--off")
    assert "Nobody forwards mail" in run("account", "forwarded-by", ALICE).stdout


# -- check -------------------------------------------------------------------------------------------------------------


def lines(done: Result) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {"ok": [], "warn": [], "fail": []}
    for row in json.loads(done.stdout):
        found[row["outcome"]].append(row["text"])
    return found


def test_check_tells_what_would_be_exposed(run: Run, folder: Path) -> None:
    found = lines(run("check", "--json"))
    assert not found["fail"]
    assert any("from the instance's own CA" in text for text in found["warn"])
    assert sum("loopback only" in text for text in found["ok"]) == 5
    text = run("check").stdout
    assert "ok   listener mx: loopback only, 127.0.0.1 port" in text
    path = folder / "poterne.toml"
    path.write_text(path.read_text().replace('addresses = ["127.0.0.1"]', 'addresses = ["192.0.2.1"]', 1))
    assert any("REACHABLE FROM OUTSIDE on 192.0.2.1 port" in text for text in lines(run("check", "--json"))["warn"])


def test_check_tells_who_may_do_what(run: Run, folder: Path) -> None:
    settings = folder / "poterne.toml"
    text = settings.read_text().replace(
        "[listener.mx]\n", '[listener.mx]\nallow = ["10.0.0.5"]\nproxies = ["10.0.0.9"]\n'
    )
    rule = '[relay.erp]\nhosts = ["192.0.2.7"]\nsender_domains = ["example.org"]\nper_hour = 5\n'
    settings.write_text(text + rule)
    found = lines(run("check", "--json"))
    assert (
        "relay erp: 192.0.2.7 from example.org to any domain, without signing in; 5 recipients an hour for each worker"
        in found["warn"]
    )
    told = [line for lines in found.values() for line in lines if line.startswith("listener mx:")]
    assert "listed servers may bring mail" in told[0]
    assert "10.0.0.9 may say who connects" in told[0]


def test_check_finds_what_is_missing_or_open(run: Run, folder: Path) -> None:
    (folder / "data").chmod(0o755)
    (folder / "data/tls/server.key").chmod(0o644)
    found = lines(run("check", "--json"))
    assert any("can be read by other users: chmod 700" in text for text in found["warn"])
    assert any("server.key can be read or changed by other users: chmod 600" in text for text in found["warn"])
    (folder / "data/tls/server.pem").write_text("damaged")
    assert any("not a usable PEM certificate" in text for text in lines(run("check", "--json", status=1))["fail"])
    shutil.rmtree(folder / "data")
    assert any(
        "the data folder" in text and "does not exist" in text
        for text in lines(run("check", "--json", status=1))["fail"]
    )


def test_check_looks_into_certificates(run: Run, folder: Path) -> None:
    path = folder / "poterne.toml"
    path.write_text(path.read_text() + '[certificate.a]\nchain = "data/tls/server.pem"\nkey = "data/tls/server.key"\n')
    assert not lines(run("check", "--json"))["fail"]
    path.write_text(path.read_text().replace(f'"mail.{DOMAIN}"', '"mx.another.test"'))
    assert any("it is not for mx.another.test" in text for text in lines(run("check", "--json", status=1))["fail"])
    path.write_text(path.read_text().replace("data/tls/server.key", "none.key"))
    assert any("none.key: No such file" in text for text in lines(run("check", "--json", status=1))["fail"])


def test_check_with_json_tells_bad_settings_as_json(run: Run, folder: Path) -> None:
    (folder / "poterne.toml").write_text('[server]\nhostname = "mail.example.org"\nworkers = "2"\n')
    rows = json.loads(run("check", "--json", status=78).stdout)
    assert [(row["line"], row["key"]) for row in rows] == [(3, "server.workers")]
    assert "write it as a whole number" in rows[0]["remedy"]
    (folder / "poterne.toml").write_text('[server]\nhostname = "mail.example.org"\n')
    assert "nobody could reach this server" in run("check", status=1).stdout


# -- setup, backup, restore --------------------------------------------------------------------------------------------


def test_setup_makes_an_instance_that_is_sound(run: Run, tmp_path: Path) -> None:
    said = run(
        "setup", "Écluse.Example", "--folder", "new", "--port-offset", "20000", "--language", "fr", config=False
    ).stdout
    assert "The instance for xn--cluse-9ra.example is made in new/" in said
    assert "postmaster@xn--cluse-9ra.example" in said
    assert "(shown only now)" in said
    assert "  poterne -c new/poterne.toml serve" in said
    named = ["-c", "new/poterne.toml"]
    assert json.loads(run(*named, "account", "list", "--json", config=False).stdout)[0]["language"] == "fr"
    assert run(*named, "check", config=False).exit_code == 0
    assert stat.S_IMODE((tmp_path / "new/data").stat().st_mode) == 0o700
    again = run("setup", "example.org", "--folder", "new", config=False, status=1)
    assert "exists already: choose another folder" in again.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["localhost"], "is not a full domain"),
        (["example.org", "--hostname", "mail"], "is not a full host name"),
        (["example.org", "--account", "a b"], "is not a mail address"),
    ],
)
def test_setup_that_fails_makes_nothing(run: Run, tmp_path: Path, arguments: list[str], said: str) -> None:
    assert said in run("setup", *arguments, "--folder", "new", config=False, status=1).stderr
    assert not (tmp_path / "new").exists()


def test_backup_and_restore(run: Run, tmp_path: Path, folder: Path) -> None:
    assert "Get it back with: poterne restore copy NEW-FOLDER" in run("backup", "copy").stdout
    run("account", "add", f"later@{DOMAIN}")
    keys = srs_key.ensure(folder / "data")
    run("backup", "copy")
    assert "The instance is in again/" in run("restore", "copy", "again", config=False).stdout
    found = json.loads(run("-c", "again/poterne.toml", "account", "list", "--json", config=False).stdout)
    assert {row["address"] for row in found} == {ALICE, f"later@{DOMAIN}"}
    assert run("-c", "again/poterne.toml", "store", "check", config=False).stdout.strip() == "The store is clean."
    assert srs_key.read(tmp_path / "again/data") == keys, "bounces to forwarded mail find their way as before"
    assert "is not empty: name a new folder" in run("restore", "copy", "again", config=False, status=1).stderr
    assert "is not a backup made by" in run("restore", "again/data", "third", config=False, status=1).stderr
    assert not (tmp_path / "third").exists()
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").write_text("mine")
    assert "has files that are no backup" in run("backup", "full", status=1).stderr
    settings = folder / "poterne.toml"
    settings.write_text(settings.read_text().replace('# data = "data"', f'data = "{folder}/data"'))
    run("backup", "copy")
    assert 'write data = "data" under [server]' in run("restore", "copy", "moved", config=False).stderr


def test_a_damaged_backup_is_told(run: Run, tmp_path: Path) -> None:
    run("backup", "copy")
    (tmp_path / "copy/poterne.db").write_bytes(b"damaged" * 2000)
    assert "the backup can't be used" in run("restore", "copy", "again", config=False, status=1).stderr


def test_tables_are_aligned(capsys: pytest.CaptureFixture[str]) -> None:
    common.show([{"a": "x", "long": 1}, {"a": "yyyy", "long": 22}], as_json=False, empty="")
    assert click.unstyle(capsys.readouterr().out) == "A     LONG\nx     1\nyyyy  22\n"
