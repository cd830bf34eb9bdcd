"""What neomutt and mutt show of our delivery notices: the text for people first, then the report, and no markup."""

import shutil
from pathlib import Path

import pytest

from tests.support.notices import FOLDER, NOTICES
from tests.support.peer_terminal import run_in_terminal

pytestmark = pytest.mark.peers

READERS = [
    pytest.param(
        name, marks=pytest.mark.skipif(shutil.which(name) is None, reason=f"{name} is not installed (see .ci/peers)")
    )
    for name in ("neomutt", "mutt")
]
SHOWN = {
    "failure-en.eml": ["about your message “Réunion de jeudi”", "There is no such address.", "> 550 5.1.1"],
    "failure-fr.eml": ["au sujet de votre message", "Il n’a pas pu être remis à", "Cette adresse n’existe pas."],
    "delay-en.eml": ["It has not been delivered yet to:", "You need not send the message again", "Greylisted"],
    "success-en.eml": ["will not confirm its delivery", "This does not say that anybody has read it."],
}


def shown(reader: str, notice: Path, folder: Path) -> str:
    """The message as the reader decodes it for its pager."""
    box = folder / "box"
    for each in ("new", "cur", "tmp"):
        (box / each).mkdir(parents=True)
    (box / "new" / "1.1.here").write_bytes(notice.read_bytes().replace(b"\r\n", b"\n"))
    rc, out, pager = folder / "muttrc", folder / "out", folder / "pager"
    pager.write_text(f'#!/bin/sh\ncp "$1" {out}\n')
    pager.chmod(0o755)
    rc.write_text(
        f"set charset=utf-8 wait_key=no prompt_after=no sleep_time=0 quit=yes crypt_use_gpgme=no folder={folder}\n"
        f"set spoolfile={box} pager={pager}\n"
    )
    keys = "<first-entry><display-message><exit>"
    run_in_terminal([reader, "-n", "-F", str(rc), "-f", str(box), "-e", f'push "{keys}"'], {"HOME": str(folder)}, 10)
    return out.read_text()


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("name", NOTICES)
def test_it_looks_right(tmp_path: Path, reader: str, name: str) -> None:
    text = shown(reader, FOLDER / name, tmp_path).partition("From: ")[2]
    head, _, body = text.partition("\n\n")
    assert "Réunion de jeudi" in head
    assert "=?utf-8?" not in head
    people, _, programs = body.partition("Original-Envelope-Id")
    assert "=C3" not in people
    words = " ".join(people.split())  # no-break spaces too
    for wanted in SHOWN[name]:
        assert wanted in words, body
    assert programs.count("Final-Recipient: rfc822; ") == len(NOTICES[name].recipients)
