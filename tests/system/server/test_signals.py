"""Signals and sudden deaths: what a server does when it is told to stop, to reload, or when a process of it is killed."""

import datetime as dt
import imaplib
import os
import signal
import smtplib
import socket
import ssl
import threading
import time
from contextlib import suppress
from pathlib import Path

from cryptography import x509

from poterne.admin import local_ca
from tests.support.server import ADDRESS, DOMAIN, Instance, alive, free_port, letter, wait_for

ALICE = f"alice@{DOMAIN}"


def dies(pid: int) -> None:
    wait_for(lambda: not alive(pid), text=f"process {pid} is still there")


def certificate_of(server: Instance) -> int:
    """The serial number that the next handshake shows."""
    with (
        socket.create_connection((ADDRESS, server.ports["imaps"]), timeout=10) as plain,
        ssl._create_unverified_context().wrap_socket(plain) as tls,
    ):
        found = tls.getpeercert(binary_form=True)
    assert found is not None
    return x509.load_der_x509_certificate(found).serial_number


class Hammer(threading.Thread):
    """Connects to the MX again and again and reads the greeting; counts what did not work."""

    def __init__(self, server: Instance) -> None:
        super().__init__(daemon=True)
        self.server = server
        self.done = threading.Event()
        self.greeted = 0
        self.failures: list[str] = []

    def run(self) -> None:
        while not self.done.is_set():
            try:
                with socket.create_connection((ADDRESS, self.server.ports["mx"]), timeout=10) as client:
                    said = client.recv(200)
                    client.sendall(b"QUIT\r\n")
            except OSError as error:
                self.failures.append(repr(error))
                continue
            if said.startswith(b"220 "):
                self.greeted += 1
            else:
                self.failures.append(repr(said))
            time.sleep(0.002)


def test_sigterm_finishes_what_is_under_way(own: Instance) -> None:
    own.start()
    pids = own.children()
    imap = own.imap()
    imap.select("INBOX")
    with own.smtp() as client:
        client.mail("carol@elsewhere.test")
        client.rcpt(ALICE)
        client.putcmd("data")
        assert client.getreply()[0] == 354
        client.send(
            b"From: carol@elsewhere.test\r\nDate: Sun, 22 Nov 2026 21:00:00 +0000\r\nSubject: half\r\n\r\nthe first half\r\n"
        )
        own.signal(signal.SIGTERM)
        assert b"BYE" in imap.readline()
        wait_for(lambda: _refused(own.ports["mx"]), text="it still accepts")
        client.send(b"the second half\r\n.\r\n")
        code, said = client.getreply()
        assert code == 250, said
        assert client.getreply()[0] == 421
        client.close()
    imap.shutdown()
    assert own.wait() == 0
    assert not any(alive(pid) for pid in pids)
    own.start()
    again = own.imap()
    assert again.select("INBOX")[1] == [b"1"]
    again.logout()


def _refused(port: int) -> bool:
    try:
        socket.create_connection((ADDRESS, port), timeout=5).close()
    except ConnectionRefusedError:
        return True
    return False


def test_a_stalled_transaction_does_not_hold_up_the_end_beyond_the_drain_time(own: Instance) -> None:
    own.rewrite("drain_s = 3", "drain_s = 1")
    own.start()
    client = own.smtp()
    client.mail("carol@elsewhere.test")
    client.rcpt(ALICE)
    client.putcmd("data")
    client.getreply()
    began = time.monotonic()
    own.signal(signal.SIGTERM)
    assert own.wait() == 0
    assert 0.9 <= time.monotonic() - began < 6
    client.close()


def test_new_settings_roll_out_without_a_refused_connection(own: Instance) -> None:
    own.start()
    old = set(own.children())
    hammers = [Hammer(own) for _ in range(3)]
    for hammer in hammers:
        hammer.start()
    wait_for(lambda: all(h.greeted for h in hammers))
    own.rewrite("# max_recipients = 1000", "max_recipients = 123")
    own.reload()
    own.wait_event("server.ready", 2)
    wait_for(lambda: not old & set(own.children()), text="an old process is still there")
    time.sleep(0.2)
    for hammer in hammers:
        hammer.done.set()
        hammer.join()
    assert not [failure for hammer in hammers for failure in hammer.failures]
    assert sum(hammer.greeted for hammer in hammers) > 20
    assert len(own.children()) == 3
    with own.smtp() as client:
        assert b"RCPTMAX=123" in client.ehlo()[1]
    assert own.stop() == 0
    assert not own.events("bug")


def test_a_listener_appears_moves_and_goes_with_a_reload(own: Instance) -> None:
    own.start()
    other = free_port()
    text = own.settings.read_text()
    own.settings.write_text(text + f'\n[listener.second]\nservice = "mx"\naddresses = ["{ADDRESS}"]\nport = {other}\n')
    own.reload()
    own.wait_event("server.ready", 2)
    with smtplib.SMTP(ADDRESS, other, timeout=10) as client:
        assert client.noop()[0] == 250
    own.settings.write_text(text.replace("[listener.mx]", "[listener.renamed]"))  # the same socket under another name
    own.reload()
    own.wait_event("server.ready", 3)
    wait_for(lambda: _refused(other), text="the removed listener still answers")
    own.deliver()
    assert own.stop() == 0


def test_a_broken_file_changes_nothing_and_the_log_says_why(own: Instance) -> None:
    own.start()
    pids = own.children()
    own.rewrite("[smtp]", "[smtp]\nmax_mesages = 3")
    own.reload()
    refused = own.wait_event("settings.refused")
    assert "max_mesages" in refused["problems"][0]
    assert 'did you mean "max_messages"' in refused["problems"][1]
    own.rewrite("max_mesages = 3", "")
    good = own.settings.read_text()
    with socket.create_server((ADDRESS, 0)) as held:
        port = held.getsockname()[1]
        own.settings.write_text(f'{good}\n[listener.x]\nservice = "mx"\naddresses = ["{ADDRESS}"]\nport = {port}\n')
        own.reload()
        assert "the port is taken" in str(own.wait_event("settings.refused", 2)["problems"])
    own.settings.write_text(good)
    own.settings.write_text(own.settings.read_text() + '[certificate.a]\nchain = "none.pem"\nkey = "none.key"\n')
    own.reload()
    assert "none.pem" in str(own.wait_event("settings.refused", 3)["problems"])
    own.deliver()
    assert own.children() == pids


def test_unchanged_settings_only_read_the_certificates_again(own: Instance) -> None:
    own.start()
    pids = own.children()
    imap = own.imap()
    before = certificate_of(own)
    tls = own.folder / "data" / "tls"
    (tls / "server.pem").unlink()
    now = dt.datetime.now(dt.UTC)
    local_ca.ensure(tls, [f"mail.{DOMAIN}", "localhost", "127.0.0.1", "::1"], now)
    own.reload()
    own.wait_event("certificates.reloaded", 2)
    assert certificate_of(own) != before
    assert imap.noop()[0] == "OK"
    assert own.children() == pids
    (tls / "server.key").write_text("damaged")
    current = certificate_of(own)
    own.reload()
    assert "server.pem" in own.wait_event("certificates.refused", 2)["problem"]
    assert certificate_of(own) == current
    imap.logout()


def test_killed_children_are_replaced_quickly_and_counters_survive(own: Instance) -> None:
    own.start()
    for _ in range(6):
        own.deliver()
    key = 'poterne_messages_total{outcome="accepted",service="mx"}'
    wait_for(lambda: own.metrics().get(key) == 6)
    watcher = own.imap()
    wait_for(lambda: own.metrics().get('poterne_open_connections{service="imap"}') == 1)
    before = own.children()
    for pid in before:
        began = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        replaced(own, pid)
        assert time.monotonic() - began < 2
    with suppress(imaplib.IMAP4.abort, OSError):
        watcher.shutdown()
    wait_for(lambda: _answers(own))
    assert wait_for(lambda: _metrics(own).get(key)) == 6, "counters of killed workers are lost"
    own.deliver()
    wait_for(lambda: _metrics(own).get(key) == 7)
    assert _metrics(own).get('poterne_open_connections{service="imap"}', 0) == 0, "a dead worker's gauge still counts"
    assert len(own.events("process.died")) == 3


def replaced(own: Instance, pid: int) -> None:
    wait_for(lambda: pid not in own.children() and len(own.children()) == 3)


def _answers(server: Instance) -> bool:
    try:
        with smtplib.SMTP(ADDRESS, server.ports["mx"], timeout=5) as client:
            return bool(client.noop()[0] == 250)
    except (OSError, smtplib.SMTPException):
        return False


def _metrics(server: Instance) -> dict[str, float]:
    try:
        return server.metrics()
    except OSError:
        return {}


def _quiet() -> bool:
    """Nobody else works on this machine just now: how long things take says something."""
    return os.getloadavg()[0] <= len(os.sched_getaffinity(0))


def test_when_the_supervisor_is_killed_its_children_drain_and_a_new_server_starts_at_once(own: Instance) -> None:
    own.rewrite("drain_s = 3", "drain_s = 20")
    own.start()
    pids = own.children()
    assert len(pids) == 3
    with own.smtp() as client:
        client.mail("carol@elsewhere.test")
        client.rcpt(ALICE)
        client.putcmd("data")
        client.getreply()
        own.signal(signal.SIGKILL)
        own.wait()
        began = time.monotonic()
        own.start()  # while a child of the old one still drains
        assert time.monotonic() - began < (5 if _quiet() else 15)
        client.send(letter().as_bytes().replace(b"\n", b"\r\n") + b".\r\n")
        assert client.getreply()[0] == 250
        client.close()
    for pid in pids:
        dies(pid)
    imap = own.imap()
    assert imap.select("INBOX")[1] == [b"1"]
    imap.logout()


def test_a_restart_takes_less_than_two_seconds(own: Instance) -> None:
    own.start()
    taken = []
    for _ in range(3):
        began = time.monotonic()
        assert own.stop() == 0
        own.start()
        assert _answers(own)
        taken.append(time.monotonic() - began)
    assert min(taken) < (2.0 if _quiet() else 8.0), taken


def test_the_service_manager_hears_of_everything(own: Instance, tmp_path: Path) -> None:
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        manager.settimeout(10)
        own.start(env={"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "400000"})

        def until(wanted: str) -> list[str]:
            heard: list[str] = []
            while not any(wanted in text for text in heard):
                heard.append(manager.recv(4096).decode())
            return heard

        assert "STATUS=Serving on 5 sockets with 2 workers" in until("READY=1")[-1]
        began = time.monotonic()
        for _ in range(3):
            until("WATCHDOG=1")
        assert time.monotonic() - began < 3
        own.reload()
        assert "MONOTONIC_USEC=" in until("RELOADING=1")[-1]
        until("READY=1")
        own.rewrite("# max_recipients = 1000", "max_recipients = 200")
        own.reload()
        until("RELOADING=1")
        until("READY=1")
        assert len(own.events("server.ready")) == 2, "told before the new workers served"
        own.signal(signal.SIGTERM)
        until("STOPPING=1")
        assert own.wait() == 0
