"""`poterne account imap`: what its clients are offered."""

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


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Instance(tmp_path_factory.mktemp("cli") / "instance", accounts=("alice",)).folder


@pytest.fixture
def run(template: Path, tmp_path: Path) -> Run:
    shutil.copytree(template, tmp_path / "instance")

    def go(*arguments: str, status: int = 0) -> Result:
        settings = str(tmp_path / "instance" / "poterne.toml")
        done = CliRunner().invoke(cli, ["-c", settings, "account", "imap", ALICE, *arguments])
        assert done.exit_code == status, (done.stdout, done.stderr, done.exception)
        return done

    return go


def test_off_and_on(run: Run) -> None:
    assert run().stdout == f"{ALICE}: everything is offered.\n"
    said = run("--without", "replace,sort").stdout
    assert "all but SORT, SORT=DISPLAY, REPLACE." in said
    assert "needs it" in said
    assert "from the next sign-in on" in said
    assert run().stdout.startswith(f"{ALICE}: all but SORT, SORT=DISPLAY, REPLACE.")
    (row,) = json.loads(run("--json").stdout)
    assert row["without"] == ["SORT", "REPLACE"]
    assert row["not_offered"] == ["SORT", "SORT=DISPLAY", "REPLACE"]
    assert "IDLE" in row["offered"]
    assert "SORT is" in run("--with", "SORT=DISPLAY", status=1).stderr
    assert "all but REPLACE." in run("--with", "Sort", "--without", "Replace").stdout
    assert run("--with", "REPLACE").stdout == f"{ALICE}: everything is offered.\n"


def test_what_is_refused(run: Run) -> None:
    assert "did you mean NAMESPACE?" in run("--without", "NAMESPCE", status=1).stderr
    assert "it is the protocol itself" in run("--without", "IMAP4rev1", status=1).stderr
    assert "on and off at once" in run("--without", "IDLE", "--with", "IDLE", status=1).stderr
    assert run().stdout == f"{ALICE}: everything is offered.\n"


def test_for_all_accounts(run: Run, tmp_path: Path) -> None:
    settings = tmp_path / "instance" / "poterne.toml"
    before = settings.read_text()
    settings.write_text(before.replace("[imap]\n", '[imap]\nwithout = ["PREVIEW"]\n'))
    assert "[imap] without, for all accounts: PREVIEW." in run().stdout
    settings.write_text(before.replace("[imap]\n", '[imap]\nwithout = ["PREVEIW"]\n'))
    assert "did you mean PREVIEW?" in run(status=78).stderr
