"""Scripts that send, as they do: poterne-sendmail and Python on a real server's socket and ports."""

import os
import smtplib
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest

from poterne.sendmail.exits import EX_NOPERM, EX_NOUSER, EX_TEMPFAIL
from tests.support.server import ADDRESS, DOMAIN, Instance, wait_for

ME = os.getuid()
ALICE, SHOP = f"alice@{DOMAIN}", f"shop@{DOMAIN}"
TEXT = f"From: Shop <{SHOP}>\nTo: {ALICE}\nSubject: {{}}\n\n.\nYour order\n"


@pytest.fixture(scope="module")
def server() -> Iterator[Instance]:
    with tempfile.TemporaryDirectory() as folder:  # a socket's path is short
        made = Instance(Path(folder) / "i", chosen={"sendmail": {"socket": "submit.sock"}})
        made.poterne("alias", "add", SHOP, f"bob@{DOMAIN}")
        try:
            yield made.start()
        finally:
            assert made.stop() == 0
            assert not (made.folder / "submit.sock").exists()


@pytest.fixture
def name(request: pytest.FixtureRequest, server: Instance) -> Iterator[str]:
    """A name for the sender of one test; none of another test is there any more."""
    chosen = request.node.name.removeprefix("test_").replace("_", "-")[:40].strip("-")
    yield chosen
    server.poterne("sender", "revoke", chosen)


def sendmail(
    server: Instance, *words: str, given: str = "", socket: Path | None = None
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "poterne.sendmail", "--socket", str(socket or server.folder / "submit.sock"), *words],
        input=given,
        text=True,
        capture_output=True,
        timeout=30,
        check=False,
    )


def add(server: Instance, name: str, *options: str) -> str:
    return server.poterne("sender", "add", name, "--owner", f"bob@{DOMAIN}", "--from", SHOP, *options).stdout


def subjects(server: Instance) -> list[str]:
    client = server.imap()
    try:
        client.select()
        _, found = client.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT AUTO-SUBMITTED)])")
        return [part[1].decode() for part in found if isinstance(part, tuple)]
    finally:
        client.logout()


def arrived(server: Instance, subject: str) -> str:
    def look() -> str:
        return next((header for header in subjects(server) if subject in header), "")

    found = wait_for(look, text=f"{subject} never came")
    assert isinstance(found, str)
    return found


def test_everybody_may_connect_and_nobody_may_send_without_approval(server: Instance, name: str) -> None:
    assert stat.S_IMODE((server.folder / "submit.sock").stat().st_mode) == 0o666
    done = sendmail(server, "-t", "-i", given=TEXT.format("too early"))
    assert done.returncode == EX_NOPERM
    assert "No sender is approved for this local user" in done.stderr
    add(server, name, "--uid", str(ME))
    pending = sendmail(server, "-t", "-i", given=TEXT.format("too early"))
    assert pending.returncode == EX_NOPERM
    assert "is not approved yet" in pending.stderr
    server.poterne("sender", "approve", name)
    assert sendmail(server, "-t", "-i", given=TEXT.format("in time")).returncode == 0
    assert "Auto-Submitted: auto-generated" in arrived(server, "in time")
    assert not any("too early" in header for header in subjects(server))


def test_it_sends_what_was_approved_and_nothing_else(server: Instance, name: str) -> None:
    add(server, name, "--uid", str(ME), "--approve", "--to", ALICE)
    foreign = sendmail(server, "-i", f"-falice@{DOMAIN}", ALICE, given="Subject: x\n\nx\n")
    assert (foreign.returncode, "550 5.7.1" in foreign.stderr) == (EX_NOPERM, True)
    header = sendmail(server, "-i", f"-f{SHOP}", ALICE, given=f"From: {ALICE}\nSubject: x\n\nx\n")
    assert (header.returncode, "5.7.1" in header.stderr) == (EX_NOPERM, True)
    outside = sendmail(server, "-i", f"-f{SHOP}", ALICE, "victim@elsewhere.test", given="Subject: x\n\nx\n")
    assert (outside.returncode, "victim@elsewhere.test: 550 5.7.1" in outside.stderr) == (EX_NOPERM, True)
    good = sendmail(server, "-i", f"-f{SHOP}", "-F", "The Shop", ALICE, given="Subject: allowed\n\nx\n")
    assert (good.returncode, good.stderr) == (0, "")
    arrived(server, "allowed")
    used = server.poterne("sender", "list").stdout
    assert f"uid:{ME}" in used


def test_an_unknown_recipient_is_told_at_once(server: Instance, name: str) -> None:
    add(server, name, "--uid", str(ME), "--approve")
    done = sendmail(server, "-t", "-i", given=TEXT.format("x").replace(ALICE, f"ghost@{DOMAIN}"))
    assert done.returncode == EX_NOUSER
    assert f"ghost@{DOMAIN}: 550 5.1.1" in done.stderr


def test_smtp_on_standard_input(server: Instance, name: str) -> None:
    add(server, name, "--uid", str(ME), "--approve")
    dialogue = f"EHLO me\r\nMAIL FROM:<{SHOP}>\r\nRCPT TO:<{ALICE}>\r\nQUIT\r\n"
    done = sendmail(server, "-bs", given=dialogue)
    assert done.returncode == 0
    assert [line[:3] for line in done.stdout.splitlines() if line[3:4] == " "] == ["220", "250", "250", "250", "221"]
    offered = done.stdout.upper()
    assert "STARTTLS" not in offered
    assert "AUTH" not in offered.replace("AUTHENTIC", "")


def test_a_script_with_a_password_over_tls(server: Instance, name: str) -> None:
    shown = add(server, name, "--network", ADDRESS, "--approve")
    password = shown.rpartition("shown only now: ")[2].strip()
    letter = EmailMessage()
    letter["From"], letter["To"], letter["Subject"] = SHOP, ALICE, "from a script"
    letter.set_content("text\n")
    with smtplib.SMTP_SSL(ADDRESS, server.ports["submissions"], context=server.context(), timeout=20) as client:
        client.login(name, password)
        client.send_message(letter)
        with pytest.raises(smtplib.SMTPSenderRefused):
            client.sendmail(ALICE, [ALICE], "Subject: x\r\n\r\nx\r\n")
    arrived(server, "from a script")
    server.poterne("sender", "revoke", name)
    with (
        smtplib.SMTP_SSL(ADDRESS, server.ports["submissions"], context=server.context(), timeout=20) as client,
        pytest.raises(smtplib.SMTPAuthenticationError),
    ):
        client.login(name, password)
    server.poterne("sender", "password", name)  # so that it can be revoked again


def test_a_loop_is_cut(server: Instance, name: str) -> None:
    add(server, name, "--uid", str(ME), "--approve")
    letter = EmailMessage()
    letter["From"], letter["To"], letter["Subject"] = SHOP, ALICE, "again and again"
    letter.set_content("the disk is full\n")
    for _ in range(25):
        assert sendmail(server, "-t", "-i", given=letter.as_string()).returncode == 0
    wait_for(lambda: sum("again and again" in header for header in subjects(server)) == 20, text="not 20 came")
    (incident,) = server.with_store(lambda store: store.incidents())
    assert (incident.origin.key, incident.messages) == (f"sender:{name}", 5)


def test_without_a_server_the_caller_may_try_again(server: Instance, tmp_path: Path) -> None:
    done = sendmail(server, ALICE, given="x\n", socket=tmp_path / "none")
    assert done.returncode == EX_TEMPFAIL


def test_the_socket_follows_the_settings(server: Instance) -> None:
    served = len(server.events("server.ready"))
    server.rewrite('socket = "submit.sock"', 'socket = "other.sock"')
    server.reload()
    server.wait_event("server.ready", served + 1)
    assert not (server.folder / "submit.sock").exists()
    assert "220 " in sendmail(server, "-bs", given="QUIT\r\n", socket=server.folder / "other.sock").stdout
    server.rewrite('socket = "other.sock"', 'socket = "submit.sock"')
    server.reload()
    server.wait_event("server.ready", served + 2)
    assert "220 " in sendmail(server, "-bs", given="QUIT\r\n").stdout
