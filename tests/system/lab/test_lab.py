"""`poterne lab` as a newcomer runs it: ready soon, mail there, every printed line works, Ctrl-C ends everything."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import poterne
from tests.support.lab import Lab, offset
from tests.support.server import alive, wait_for

ROOT = os.geteuid() == 0


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    running = Lab(tmp_path_factory.mktemp("lab") / "world", offset()).ready()
    yield running
    running.end()


def test_it_is_ready_soon_with_mail(lab: Lab) -> None:
    assert time.monotonic() - lab.began < 20
    assert "4 sample messages were delivered over SMTP with STARTTLS" in lab.said
    assert lab.subjects() >= 4
    assert len(lab.servers()) >= 5


def test_it_shows_what_forged_mail_gets(lab: Lab) -> None:
    """In other people's names, from a stranger whose own names pass SPF; and honest mail came before (the samples)."""
    table = lab.said.partition("A spoofer wrote to alice@poterne.test as\n")[2].partition("\n\n")[0].splitlines()
    found = [(who.strip(), what.strip()) for who, what in zip(table[::2], table[1::2], strict=True)]
    expected = (
        ("carol@voisin.test", "550 5.7.26 voisin.test does not answer for this message"),
        ("bob@poterne.test", "550 5.7.22 poterne.test is served here"),
        ("news@shop.poterne.test", "550 5.7.22 shop.poterne.test is served here"),
        ("bob@p0terne.test", "quarantine (proven-lookalike)"),
        ('"bob@poterne.test" <x@impostor.test>', "Junk (display-name)"),
    )
    assert len(found) == len(expected)
    for (who, what), (name, begins) in zip(found, expected, strict=True):
        assert who.startswith(f"{name}, ")
        assert what.startswith(begins)


def test_taken_ports_are_told(lab: Lab, tmp_path: Path) -> None:
    other = Lab(tmp_path / "other", lab.offset)
    assert other.end(0) == 1
    assert "is taken" in other.said
    assert "Choose other ports with --port-offset" in other.said
    assert not other.servers()
    third = Lab(lab.folder, offset())  # other ports, but the folder is in use
    assert third.end(0) == 1
    assert f"another lab is running in {lab.folder}" in third.said
    assert lab.servers()


def test_ctrl_c_leaves_nothing_and_the_next_run_goes_on_even_with_other_ports(tmp_path: Path) -> None:
    first = Lab(tmp_path / "world", offset()).ready()
    pids = first.servers()
    assert first.end() == 0
    assert "The lab is closed" in first.said
    assert not [pid for pid in pids if alive(pid)]
    second = Lab(tmp_path / "world", offset()).ready()
    assert "sample messages" not in second.said
    assert second.subjects() == 4
    pids = second.servers()
    os.kill(second.process.pid, signal.SIGKILL)  # the servers notice
    second.end(signal.SIGKILL)
    for pid in pids:
        _gone(pid)
    stale = [tmp_path / "world" / "taken" / "clear.test" / "00000001.eml", tmp_path / "world" / "internet" / "old"]
    for path in stale:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    third = Lab(tmp_path / "world", offset(), "--fresh").ready()
    assert "sample messages" in third.said
    assert not any(path.exists() for path in stale)
    assert third.end() == 0


def _gone(pid: int) -> None:
    wait_for(lambda: not alive(pid), text=f"server {pid} outlives the lab")


@pytest.mark.peers
def test_every_printed_line_works(lab: Lab) -> None:
    """In the order in which they stand: each does what the line above it says."""
    commands = lab.lines()
    assert len(commands) >= 7

    def paste(word: str, number: int = 0, text: str = "", status: int = 0) -> str:
        if shutil.which(word) is None:
            pytest.skip(f"{word} is not installed")
        command = [line for line in commands if line.startswith(word)][number]
        done = subprocess.run(
            ["bash", "-c", command], input=text, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == status, (command, done.stdout, done.stderr)
        return done.stdout + done.stderr

    assert "Accepted as" in paste("swaks", 0)
    assert "We do not relay" in paste("swaks", 1, status=24)
    assert "Accepted as" in paste("swaks", 2)
    assert "Accepted as" in paste("swaks", 3)
    assert "Accepted as" in paste("swaks", 4)
    assert "voisin.test does not answer for this message" in paste("swaks", 5, status=26)
    poterne = shlex.quote(str(Path(sys.executable).with_name("poterne")))
    assert "(DNSSEC)" in paste(poterne, 0)
    wait_for(lambda: "Nothing waits." in paste(poterne, 1))
    assert "proven-lookalike" in paste(poterne, 2)
    assert "autoconfig.poterne.test" not in paste(poterne, 3)  # it is not on port 443
    assert "test" in paste("curl", 0)
    assert "test" in paste("curl", 1)
    assert "<hostname>mail.poterne.test</hostname>" in paste("curl", 2)
    session = paste("openssl", text="a login alice@poterne.test open-the-small-door\nb logout\n")
    assert "a OK" in session
    paste("mbsync")
    assert len(list((lab.folder / "maildir-alice/INBOX").glob("*/*"))) == lab.subjects()
    paste("mbsync")


@pytest.mark.peers
@pytest.mark.skipif(not ROOT, reason="only root can become somebody else")
def test_an_ordinary_user_can_run_it() -> None:
    """With the system's Python, where every user can read it."""
    site = Path(click.__file__).parent.parent
    source = Path(poterne.__file__).parent.parent
    folder = Path("/var/tmp") / f"poterne-lab-{os.getpid()}"
    python = f"/usr/bin/python3.{sys.version_info.minor}"
    env = {
        "PYTHONPATH": f"{source}:{site}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PATH": "/usr/bin:/bin",
        "PYTHONUNBUFFERED": "1",
    }
    probe = (
        subprocess.run(
            [python, "-c", "import poterne.app.children"],
            env=env,
            user="nobody",
            cwd="/",
            capture_output=True,
            check=False,
        )
        if Path(python).exists()
        else None
    )
    if probe is None or probe.returncode:
        pytest.skip("no Python that every user can read")
    folder.mkdir(mode=0o700)
    shutil.chown(folder, "nobody")
    command = [python, "-m", "poterne", "lab", "--folder", str(folder / "world"), "--port-offset", str(offset())]
    process = subprocess.Popen(
        command, env=env, user="nobody", group="nogroup", extra_groups=[], cwd="/", stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        said = b""
        while b"The lab is ready" not in said:
            line = process.stdout.readline()
            assert line, said
            said += line
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
        process.stdout.close()
        shutil.rmtree(folder)
