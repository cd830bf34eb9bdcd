"""Where the server is, which domain stands for this machine, and what the status says."""

from pathlib import Path

import pytest

from poterne.sendmail.exits import (
    EX_CONFIG,
    EX_DATAERR,
    EX_NOPERM,
    EX_NOUSER,
    EX_TEMPFAIL,
    EX_UNAVAILABLE,
    Failure,
    status_of,
)
from poterne.sendmail.places import SOCKET, places


def test_an_option_wins_over_the_environment_and_that_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, mailname = tmp_path / "conf", tmp_path / "mailname"
    for name in ("POTERNE_SOCKET", "POTERNE_DOMAIN"):
        monkeypatch.delenv(name, raising=False)
    assert places("", file=str(file), mailname=str(mailname)) == (SOCKET, "")
    mailname.write_text("example.test\n")
    assert places("", file=str(file), mailname=str(mailname)) == (SOCKET, "example.test")
    file.write_text('# ours\n\nsocket = "/file"\ndomain=file.test\n')
    assert places("", file=str(file), mailname=str(mailname)) == ("/file", "file.test")
    monkeypatch.setenv("POTERNE_SOCKET", "/env")
    monkeypatch.setenv("POTERNE_DOMAIN", "env.test")
    assert places("", file=str(file), mailname=str(mailname)) == ("/env", "env.test")
    assert places("/option", file=str(file), mailname=str(mailname)).socket == "/option"


def test_a_file_that_says_something_else_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "conf").write_text("socket = /s\nrelayhost = x\n")
    with pytest.raises(Failure, match=":2: write socket = PATH") as failed:
        places("", file=str(tmp_path / "conf"))
    assert failed.value.status == EX_CONFIG


@pytest.mark.parametrize(
    ("code", "enhanced", "recipient", "status"),
    [
        (421, "4.7.0", False, EX_TEMPFAIL),
        (452, "4.5.3", True, EX_TEMPFAIL),
        (550, "5.7.1", False, EX_NOPERM),
        (550, "5.7.1", True, EX_NOPERM),
        (530, "", False, EX_NOPERM),
        (550, "5.1.1", True, EX_NOUSER),
        (550, "", True, EX_NOUSER),
        (550, "5.1.1", False, EX_UNAVAILABLE),
        (552, "5.3.4", False, EX_DATAERR),
        (554, "5.6.0", False, EX_DATAERR),
        (501, "5.5.4", False, EX_DATAERR),
        (500, "5.5.1", False, EX_UNAVAILABLE),
    ],
)
def test_status(code: int, enhanced: str, recipient: bool, status: int) -> None:
    assert status_of(code, enhanced, recipient=recipient) == status
