"""`poterne quarantine` in this process: what is not there, and whom it does not know. What is there: tests/system/test_verified.py."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from poterne.cli.main import cli
from tests.support.server import DOMAIN, Instance


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Instance(tmp_path_factory.mktemp("cli") / "instance", accounts=("alice",)).folder


def run(folder: Path, *arguments: str, status: int = 0) -> Result:
    done = CliRunner().invoke(cli, ["-c", str(folder / "poterne.toml"), "quarantine", *arguments])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == status, (done.stdout, done.stderr)
    return done


def test_nothing_is_there(folder: Path) -> None:
    for who in ((), (DOMAIN,), (DOMAIN.upper(),), (f"alice@{DOMAIN}",)):
        assert run(folder, "list", *who).stdout == "Nothing is in quarantine.\n"
        assert json.loads(run(folder, "list", "--json", *who).stdout) == []


def test_whom_it_does_not_know(folder: Path) -> None:
    assert "misspelt.test is not served here" in run(folder, "list", "misspelt.test", status=1).stderr
    assert "is not a domain" in run(folder, "list", "not a domain", status=1).stderr
    assert "there is no account" in run(folder, "list", f"nobody@{DOMAIN}", status=1).stderr


@pytest.mark.parametrize("command", [("show", "7"), ("release", "7"), ("delete", "7", "--yes")])
def test_numbers_that_are_not_there(folder: Path, command: tuple[str, ...]) -> None:
    assert "nothing with the number 7 is in quarantine" in run(folder, *command, status=1).stderr
    assert "is no id" in run(folder, command[0], "seven", status=2).stderr
