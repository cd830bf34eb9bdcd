"""PHP's mail(), cron and shell scripts through poterne-sendmail, as web shops and machines have it."""

import os
import shlex
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from poterne.sendmail.exits import EX_NOPERM
from tests.support.peer_server import DOMAIN, PeerServer, Ran, run, serve
from tests.support.peer_tools import needs, wait_until

pytestmark = needs("php")
SOCKET: Final = "submit.sock"
CUSTOMER: Final = f"customer@{DOMAIN}"
KEEPER: Final = f"keeper@{DOMAIN}"
SHOP: Final = f"shop@{DOMAIN}"
EVERY: Final = 20
"""How often the same mail may come in an hour: `SenderScope.same_per_hour`."""


class Machine:
    """A server, and the programs beside it."""

    def __init__(self, server: PeerServer, folder: Path) -> None:
        self.server = server
        self.folder = folder
        self.sendmail = [sys.executable, "-m", "poterne.sendmail", f"--socket={folder / SOCKET}"]

    def poterne(self, *words: str) -> str:
        return run(sys.executable, "-m", "poterne", "-c", self.folder / "poterne.toml", *words).out

    def php(self, code: str, *, options: str = "-t -i") -> Ran:
        """Run PHP with the drop-in as its sendmail, as an administrator writes it into php.ini."""
        path = f"{shlex.join(self.sendmail)} {options}"
        return run("php", "-n", "-d", f"sendmail_path={path}", "-d", "display_errors=stderr", "-r", code)

    def received(self, subject: str, to: str = CUSTOMER) -> list[bytes]:
        found = [message.raw for message in self.server.store.messages(to)]
        return [raw for raw in found if f"Subject: {subject}\r\n".encode() in raw]

    def arrives(self, subject: str, to: str = CUSTOMER) -> bytes:
        wait_until(lambda: bool(self.received(subject, to)), subject)
        (raw,) = self.received(subject, to)
        return raw


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    with tempfile.TemporaryDirectory() as short:
        folder = Path(short) / "i"
        with serve(folder, {"sendmail": {"socket": SOCKET}}) as server:
            server.store.add_account("customer")
            server.store.add_account("keeper")
            server.store.add_alias(SHOP, KEEPER)
            yield Machine(server, folder)


@pytest.fixture
def sender(machine: Machine, request: pytest.FixtureRequest) -> Iterator[str]:
    """An approved sender for whoever runs the tests, only for this test."""
    name = request.node.name.removeprefix("test_").replace("_", "-")[:50].strip("-")
    machine.poterne("sender", "add", name, "--owner", KEEPER, "--from", SHOP, "--uid", str(os.getuid()), "--approve")
    yield name
    machine.poterne("sender", "revoke", name)


ORDER: Final = (
    f'$ok = mail("{CUSTOMER}", "%s", "Thank you.\\n.\\nYour order is on its way: déjà payée.\\n", '
    f'["From" => "The Shop <{SHOP}>", "X-Order" => "42", "Content-Type" => "text/plain; charset=utf-8"]); '
    'fwrite(STDOUT, $ok ? "sent" : "failed");'
)


@pytest.mark.usefixtures("sender")
def test_an_approved_shop_reaches_its_customer(machine: Machine) -> None:
    assert machine.php(ORDER % "Order 1").out == "sent"
    raw = machine.arrives("Order 1")
    assert raw.startswith(f"Return-Path: <{SHOP}>\r\n".encode())
    assert b"\r\n.\r\nYour order is on its way: " in raw
    assert "déjà payée.\r\n".encode() in raw
    assert b"\r\nX-Order: 42\r\n" in raw
    assert b"\r\nAuto-Submitted: auto-generated\r\n" in raw
    assert raw.count(b"\r\n") == raw.count(b"\n")


@pytest.mark.usefixtures("sender")
def test_without_a_from_the_option_says_who_writes(machine: Machine) -> None:
    bare = f'fwrite(STDOUT, mail("{CUSTOMER}", "Bare", "text") ? "sent" : "failed");'
    assert machine.php(bare, options=f"-t -i -f {SHOP}").out == "sent"
    assert f"From: {SHOP}\r\n".encode() in machine.arrives("Bare")
    fifth = f'fwrite(STDOUT, mail("{CUSTOMER}", "Fifth", "text", "", "-f{SHOP}") ? "sent" : "failed");'
    assert machine.php(fifth).out == "sent"
    assert machine.arrives("Fifth").startswith(f"Return-Path: <{SHOP}>\r\n".encode())


def test_a_pending_shop_is_refused_and_its_log_says_why(machine: Machine) -> None:
    machine.poterne("sender", "add", "pending", "--owner", KEEPER, "--from", SHOP, "--uid", str(os.getuid()))
    done = machine.php(ORDER % "Pending")
    assert done.out == "failed"
    assert "550 5.7.1" in done.err
    assert "approve" in done.err
    machine.poterne("sender", "revoke", "pending")
    assert machine.received("Pending") == []


@pytest.mark.usefixtures("sender")
def test_a_foreign_address_is_refused_and_the_log_says_why(machine: Machine) -> None:
    done = machine.php((ORDER % "Foreign").replace(SHOP, KEEPER))
    assert done.out == "failed"
    assert "550 5.7.1" in done.err
    assert "approved for" in done.err
    behind = machine.php((ORDER % "Foreign").replace(SHOP, KEEPER), options=f"-t -i -f{SHOP}")
    assert behind.out == "failed"
    assert "5.7.1" in behind.err
    assert machine.received("Foreign") == []


@pytest.mark.usefixtures("sender")
def test_a_recipient_that_was_not_approved_is_refused(machine: Machine) -> None:
    done = machine.php((ORDER % "Outside").replace(CUSTOMER, "victim@elsewhere.test"))
    assert done.out == "failed"
    assert "victim@elsewhere.test: 550 5.7.1" in done.err


@pytest.mark.usefixtures("sender")
def test_fields_that_a_form_smuggles_in_reach_nobody(machine: Machine) -> None:
    """A careless shop puts what visitors type into a field: a bare CR gets past PHP, and past many a filter."""
    code = f'mail("{CUSTOMER}", "Smuggled", "x", "From: {SHOP}\\r\\nX-Order: 42\\rBcc: {KEEPER}\\rX-More: 1");'
    machine.php(code)
    raw = machine.arrives("Smuggled")
    assert b"\r\nX-Order: 42 " in raw
    assert b"\r\nBcc:" not in raw
    assert machine.received("Smuggled", KEEPER) == []


@pytest.mark.usefixtures("sender")
def test_a_shell_script_and_cron(machine: Machine) -> None:
    script = f'printf "Subject: Shell\\n\\nfree space: 3%%\\n" | {shlex.join(machine.sendmail)} -f {SHOP} {CUSTOMER}'
    run("sh", "-c", script)
    assert b"free space: 3%\r\n" in machine.arrives("Shell")
    cron = f"From: {SHOP} (Cron Daemon)\nTo: {CUSTOMER}\nSubject: Cron <root@host> job\n\nout\n"
    run(*machine.sendmail, "-i", "-FCronDaemon", "-B8BITMIME", "-oem", CUSTOMER, given=cron)
    assert f"From: {SHOP} (Cron Daemon)\r\n".encode() in machine.arrives("Cron <root@host> job")


@pytest.mark.usefixtures("sender")
def test_a_python_script(machine: Machine) -> None:
    script = (
        "import subprocess, sys\n"
        "from email.message import EmailMessage\n"
        "letter = EmailMessage()\n"
        f"letter['From'], letter['To'], letter['Subject'] = '{SHOP}', '{CUSTOMER}', 'Python'\n"
        "letter.set_content('text')\n"
        "subprocess.run([*sys.argv[1:], '-t', '-oi'], input=letter.as_bytes(), check=True)\n"
    )
    run(sys.executable, "-c", script, *machine.sendmail)
    machine.arrives("Python")


def test_a_script_in_a_loop_is_cut(machine: Machine, sender: str) -> None:
    again = f'for ($i = 0; $i < {EVERY + 3}; $i++) mail("{CUSTOMER}", "Loop", "disk full", ["From" => "{SHOP}"]);'
    machine.php(again)
    wait_until(lambda: len(machine.received("Loop")) == EVERY, f"{EVERY} of the same")
    held = [row for row, _ in machine.server.store.queued() if row.message.origin.name == sender]
    assert len(held) == 3
    other = machine.php(ORDER % "After the loop")
    assert other.out == "sent"  # taken, and held as well until somebody has looked
    assert machine.received("After the loop") == []


@pytest.mark.usefixtures("sender")
@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_an_other_user_of_the_machine_is_nobody(machine: Machine) -> None:
    for folder in (machine.folder, machine.folder.parent):
        folder.chmod(0o755)
    become = (
        "import os, sys\n"
        "from poterne.sendmail import arguments, dialogue, letter, places, run\n"  # before, or it may not read them
        "os.setgid(65534), os.setuid(12345)\n"
        "sys.exit(run(['sendmail', *sys.argv[1:]]))\n"
    )
    raw = f"From: {SHOP}\nSubject: x\n\nx\n"
    done = run(sys.executable, "-c", become, machine.sendmail[-1], CUSTOMER, given=raw, expect=None)
    assert done.status == EX_NOPERM, done.all
    assert "No sender is approved for this local user" in done.err
