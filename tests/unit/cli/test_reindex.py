"""`poterne store reindex`."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from poterne.cli.main import cli
from poterne.store.sqlite.search_file import SEARCH_NAME
from tests.support.server import Instance


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Instance(tmp_path_factory.mktemp("reindex") / "instance", accounts=("alice",)).folder


def test_it_is_made_where_there_was_none(folder: Path) -> None:
    done = CliRunner().invoke(cli, ["-c", str(folder / "poterne.toml"), "store", "reindex"])
    assert (done.exit_code, done.stdout) == (0, "0 messages are in the index.\n")
    assert list(folder.glob(f"**/{SEARCH_NAME}"))


def test_not_against_the_settings(folder: Path) -> None:
    path = folder / "poterne.toml"
    text = path.read_text()
    assert "# index = true\n" in text or "\nindex = true\n" in text
    path.write_text(
        text.replace("# index = true\n", "index = false\n").replace("\nindex = true\n", "\nindex = false\n")
    )
    done = CliRunner().invoke(cli, ["-c", str(path), "store", "reindex"])
    assert done.exit_code == 1
    assert "there is to be no index" in done.stderr
