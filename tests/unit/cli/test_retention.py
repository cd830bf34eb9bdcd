"""`poterne retention` and `poterne account quota`, in this process."""

import asyncio
import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from poterne.app.stores import open_instance_store
from poterne.cli.main import cli
from poterne.config.load import load
from poterne.queue.content import written
from poterne.store.interface import Delivery, Store
from tests.support.server import DOMAIN, Instance

Run = Callable[..., Result]
ALICE = f"alice@{DOMAIN}"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Alice has old mail: one in INBOX and two in Trash."""
    folder = Instance(tmp_path_factory.mktemp("cli") / "instance", accounts=("alice",)).folder

    async def fill() -> None:
        store: Store = open_instance_store(folder / "data", load(folder / "poterne.toml"))
        alice = await store.account(ALICE)
        old = int(time.time()) - 400 * 86_400
        trash = await store.mailbox(alice.id, "Trash")
        for box, subject in ((None, "one"), (trash.id, "two"), (trash.id, "three")):
            content = await written(store.blobs, f"From: zoe@far.example\r\nSubject: {subject}\r\n\r\nx\r\n".encode())
            await store.deliver([Delivery(alice.id, box, content, 0, old, 0)], [], [])
        await store.close()

    asyncio.run(fill())
    return folder


@pytest.fixture
def run(template: Path, tmp_path: Path) -> Run:
    shutil.copytree(template, tmp_path / "instance")

    def go(*arguments: str, status: int = 0, text: str = "") -> Result:
        named = ["-c", str(tmp_path / "instance" / "poterne.toml")]
        done = CliRunner().invoke(cli, [*named, *arguments], input=text)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert done.exit_code == status, (done.stdout, done.stderr)
        return done

    return go


def test_rules_and_holds_are_shown(run: Run) -> None:
    said = run("retention").stdout
    assert said.splitlines()[0].split() == ["WHO", "WHAT", "DAYS"]
    assert [line.split() for line in said.splitlines()[1:]] == [["(server)", "junk", "30"], ["(server)", "trash", "30"]]
    assert "trash is deleted after 7 days" in run("retention", "set", ALICE, "trash", "7").stdout
    assert "folder:Work is never deleted" in run("retention", "set", DOMAIN, "folder:Work", "never").stdout
    assert "is under a legal hold" in run("retention", "hold", ALICE, "--reason", "case 7").stdout
    rows = json.loads(run("retention", "--json").stdout)
    assert {"who": ALICE, "what": "trash", "days": 7} in rows
    assert {"who": DOMAIN, "what": "folder:Work", "days": 0} in rows
    assert next(row for row in rows if row["what"] == "legal hold")["reason"] == "case 7"
    assert "never" in run("retention").stdout
    assert "under a legal hold" in run("account", "remove", ALICE, "--yes", status=1).stderr
    run("retention", "lift", ALICE, status=1, text="n\n")
    assert "under no legal hold" in run("retention", "lift", ALICE, "--yes").stdout
    assert "no rule of its own for trash" in run("retention", "unset", ALICE, "trash").stdout
    assert "none of trash, junk" in run("retention", "set", ALICE, "rubbish", "7", status=1).stderr
    assert "there is no account" in run("retention", "set", f"no@{DOMAIN}", "trash", "7", status=1).stderr


def test_dry_run_then_for_good_then_back(run: Run) -> None:
    assert "Nothing is old enough" in run("retention", "--dry-run").stdout  # Trash: since it came there
    run("retention", "set", ALICE, "everything", "365")
    (row,) = json.loads(run("retention", "--dry-run", "--json").stdout)
    assert (row["account"], row["folder"], row["messages"], row["days"], row["held"]) == (ALICE, "INBOX", 1, 365, "")
    assert row["why"] == f"everything of {ALICE}"
    said = run("retention", "--dry-run").stdout
    assert "1 message would be deleted now" in said
    assert "brought back for 7 days" in said
    run("retention", "hold", DOMAIN, "--reason", "audit")
    assert "audit" in run("retention", "--dry-run").stdout
    assert "Deleted: 0 messages" in run("retention", "--now").stdout
    run("retention", "lift", DOMAIN, "--yes")
    assert json.loads(run("retention", "--now", "--json").stdout)[0]["messages"] == 1
    assert json.loads(run("retention", "--dry-run", "--json").stdout) == []
    (gone,) = json.loads(run("retention", "deleted", ALICE, "--json").stdout)
    assert (gone["id"], gone["folder"], gone["from"], gone["subject"]) == ("1-1", "INBOX", "zoe@far.example", "one")
    assert "one" in run("retention", "deleted", ALICE, "--days", "1").stdout
    assert "say either which" in run("retention", "undelete", ALICE, status=2).stderr
    assert "can't come back" in run("retention", "undelete", ALICE, "1-9", status=1).stderr
    assert "Back in Archive: 1 message." in run("retention", "undelete", ALICE, "1-1", "--to", "Archive").stdout
    assert "Nothing came back" in run("retention", "undelete", ALICE, "--all").stdout
    assert "Nothing that could" in run("retention", "deleted", ALICE).stdout


def test_wrong_usage(run: Run) -> None:
    assert "either" in run("retention", "--dry-run", "--now", status=2).stderr
    assert "behind the command" in run("retention", "--dry-run", "set", ALICE, "trash", "7", status=2).stderr


def test_folders_and_language(run: Run) -> None:
    rows = {row["folder"]: row for row in json.loads(run("account", "folders", ALICE, "--json").stdout)}
    assert (rows["Trash"]["use"], rows["Trash"]["messages"], rows["Trash"]["subscribed"]) == ("trash", 2, True)
    assert rows["INBOX"]["use"] == ""
    assert "none of archive" in run("account", "folders", ALICE, "--use", "bin", "Trash", status=1).stderr
    run("account", "folders", ALICE, "--use", "none", "Junk")
    assert "junk" in run("account", "folders", ALICE, "--repair").stdout.lower()
    said = run("account", "language", ALICE, "fr", "--rename-folders").stdout
    assert "notices come in fr" in said
    assert "Trash is Corbeille now." in said
    assert "Invalid value" in run("account", "language", ALICE, "de", status=2).stderr


def test_quota(run: Run) -> None:
    said = run("account", "quota", ALICE).stdout
    assert said.startswith(f"{ALICE}: ")
    assert said.endswith(" of any number of octets, 3 of any number of messages.\n")
    assert "3 of 1,000 messages" in run("account", "quota", ALICE, "--messages", "1000").stdout
    (row,) = json.loads(run("account", "quota", ALICE, "--bytes", "5K", "--json").stdout)
    assert (row["quota_bytes"], row["quota_messages"], row["used_messages"]) == (5120, 1000, 3)
    assert "any number of octets" in run("account", "quota", ALICE, "--bytes", "0").stdout
    assert "there is no account" in run("account", "quota", f"no@{DOMAIN}", status=1).stderr
