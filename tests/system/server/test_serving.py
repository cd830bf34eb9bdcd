"""What a running server with two workers does: mail in and out, notices between workers, logs, metrics, the command line beside it."""

import base64
import contextlib
import imaplib
import json
import poplib
import re
import shutil
import smtplib
import socket
import statistics
import time
from email.policy import SMTP
from pathlib import Path

import pytest

from poterne.store.interface import Store
from poterne.values.mailbox import Flag, FlagChange, UidRange
from tests.support.server import ADDRESS, DOMAIN, PASSWORD, Instance, letter, wait_for

ALICE = f"alice@{DOMAIN}"
BOB = f"bob@{DOMAIN}"


def worker_of(server: Instance, local_port: int) -> str:
    """Which process holds the connection whose client port is this."""
    wanted = f":{local_port:04X}"
    inodes = set()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[2].endswith(wanted) and fields[3] == "01":
            inodes.add(fields[9])
    for pid in server.children():
        for fd in Path(f"/proc/{pid}/fd").iterdir():
            try:
                target = str(fd.readlink())
            except OSError:
                continue
            if target.startswith("socket:[") and target[8:-1] in inodes:
                return str(pid)
    raise AssertionError("nobody holds that connection")


def idle(client: imaplib.IMAP4_SSL) -> None:
    client.send(b"i1 IDLE\r\n")
    assert client.readline().startswith(b"+ ")


def done(client: imaplib.IMAP4_SSL) -> None:
    client.send(b"DONE\r\n")
    while not client.readline().startswith(b"i1 OK"):
        pass


def watchers_in_both(server: Instance) -> tuple[list[imaplib.IMAP4_SSL], list[str]]:
    """A few clients, in both workers, and which worker each is in."""
    clients: list[imaplib.IMAP4_SSL] = []
    workers: list[str] = []
    while len(clients) < 4 or len(set(workers)) < 2:
        clients.append(server.imap())
        workers.append(worker_of(server, clients[-1].socket().getsockname()[1]))
        assert len(clients) < 40, "all connections go to one worker"
    return clients, workers


def test_mail_goes_in_over_every_way_and_out_over_imap_and_pop3(server: Instance) -> None:
    server.deliver(letter(BOB, "by the MX"), BOB)
    with server.smtp("submission") as client:
        client.login(ALICE, PASSWORD)
        client.sendmail(ALICE, [BOB], f"From: {ALICE}\r\nTo: {BOB}\r\nSubject: by 587\r\n\r\nx\r\n")
    with smtplib.SMTP_SSL(ADDRESS, server.ports["submissions"], context=server.context(), timeout=20) as client:
        client.login(ALICE, PASSWORD)
        client.sendmail(ALICE, [BOB], f"From: {ALICE}\r\nTo: {BOB}\r\nSubject: by 465\r\n\r\nx\r\n")
    imap = server.imap("bob")
    imap.select("INBOX", readonly=True)
    _, found = imap.fetch("1:*", "(BODY[HEADER.FIELDS (SUBJECT)])")
    subjects = {item[1].split(b"\r\n")[0] for item in found if isinstance(item, tuple)}
    assert subjects == {b"Subject: by the MX", b"Subject: by 587", b"Subject: by 465"}
    imap.logout()
    pop = poplib.POP3_SSL(ADDRESS, server.ports["pop3s"], context=server.context(), timeout=20)
    pop.user(BOB)
    pop.pass_(PASSWORD)
    assert pop.stat()[0] == 3
    assert b"Subject: by the MX" in pop.retr(1)[1]
    pop.quit()


def test_an_idle_client_in_the_other_worker_hears_at_once(server: Instance) -> None:
    watchers, workers = watchers_in_both(server)
    for watcher in watchers:
        watcher.select("INBOX")
        idle(watcher)
    sender = server.smtp()
    lags: list[float] = []
    for number in range(7):
        sender.send_message(letter(ALICE, f"notice {number}"), "carol@elsewhere.test", [ALICE])
        acknowledged = time.perf_counter()
        for watcher in watchers:
            while b"EXISTS" not in watcher.readline():
                pass
            lags.append(time.perf_counter() - acknowledged)
    sender.quit()
    for watcher in watchers:
        done(watcher)
        watcher.logout()
    assert len(set(workers)) == 2
    assert statistics.median(lags) <= 0.020, sorted(lags)


def test_a_flag_set_in_one_worker_shows_in_the_other(server: Instance) -> None:
    server.deliver(letter(ALICE, "flag me"))
    clients, workers = watchers_in_both(server)
    for client in clients:
        client.select("INBOX")
    first = clients[0]
    other = next(c for c, worker in zip(clients, workers, strict=True) if worker != workers[0])
    idle(other)
    first.store("1", "+FLAGS", r"(\Flagged)")
    line = b""
    until = time.monotonic() + 5
    while rb"\Flagged" not in line and time.monotonic() < until:
        line = other.readline()
    assert rb"\Flagged" in line
    done(other)
    for client in clients:
        client.logout()


def test_a_change_that_nobody_told_of_is_found_by_asking_the_store(server: Instance) -> None:
    """The bus may lose messages; here a process that is not on the bus writes to the store."""
    server.deliver(letter(ALICE, "lost"))
    watcher = server.imap()
    watcher.select("INBOX")
    idle(watcher)
    time.sleep(2.2)  # while others are told of, one change more is found only later

    async def flag(store: Store) -> None:
        account = await store.account(ALICE)
        inbox = next(m for m in await store.mailboxes(account.id) if m.name == "INBOX")
        await store.store_flags(account.id, inbox.id, [UidRange(1, 2**32 - 1)], FlagChange.ADD, Flag.ANSWERED)

    server.with_store(flag)
    began = time.monotonic()
    while rb"\Answered" not in watcher.readline():
        assert time.monotonic() - began < 8, "nobody asked the store"
    done(watcher)
    watcher.logout()


def test_an_account_made_while_the_server_runs_receives_and_signs_in_at_once(server: Instance) -> None:
    with server.smtp() as client:  # the server has looked for it, and remembers nothing wrong
        client.mail("carol@elsewhere.test")
        assert client.rcpt(f"dave@{DOMAIN}")[0] == 550
    made = json.loads(server.poterne("account", "add", f"dave@{DOMAIN}", "--json").stdout)
    server.deliver(letter(f"dave@{DOMAIN}"), f"dave@{DOMAIN}")
    imap = server.imap("dave", made[0]["password"])
    assert imap.select("INBOX")[1] == [b"1"]

    server.poterne("account", "password", f"dave@{DOMAIN}", "--password-stdin", stdin="another-pass-word\n")
    server.imap("dave", "another-pass-word").logout()
    with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
        server.imap("dave", made[0]["password"])

    server.poterne("account", "remove", f"dave@{DOMAIN}", "--yes")
    with server.smtp() as client:
        client.mail("carol@elsewhere.test")
        assert client.rcpt(f"dave@{DOMAIN}")[0] == 550
    with pytest.raises((imaplib.IMAP4.error, imaplib.IMAP4.abort)):
        server.imap("dave", "another-pass-word")
    with contextlib.suppress(imaplib.IMAP4.error):  # who was signed in gets an answer, whatever it is, and no bug
        imap.fetch("1", "(BODY[])")
    imap.shutdown()


def test_an_alias_and_a_domain_work_at_once(server: Instance) -> None:
    server.poterne("domain", "add", "other.test")
    server.poterne("account", "add", "erin@other.test", "--password-stdin", stdin=PASSWORD)
    server.poterne("alias", "add", "all@other.test", "erin@other.test", ALICE)
    server.deliver(letter("all@other.test"), "all@other.test")
    server.poterne("alias", "remove", "all@other.test")
    with server.smtp() as client:
        client.mail("carol@elsewhere.test")
        assert client.rcpt("all@other.test")[0] == 550


def test_backup_check_and_compaction_while_mail_comes(server: Instance, tmp_path: Path) -> None:
    with server.smtp() as client:
        for number in range(20):
            client.send_message(letter(BOB, f"before {number}"), "carol@elsewhere.test", [BOB])
        server.poterne("backup", str(tmp_path / "copy"))
        client.send_message(letter(BOB, "after the backup"), "carol@elsewhere.test", [BOB])
    assert "clean" in server.poterne("store", "check").stdout
    assert json.loads(server.poterne("store", "check", "--json").stdout) == []
    assert "octets freed" in server.poterne("store", "compact").stdout
    server.poterne("restore", str(tmp_path / "copy"), str(tmp_path / "again"))
    assert (tmp_path / "again" / "data" / "tls" / "ca.key").exists()
    restored = server.poterne("restore", str(tmp_path / "copy"), str(tmp_path / "again"), status=1)
    assert "not empty" in restored.stderr
    shutil.rmtree(tmp_path / "copy" / "tls")
    (tmp_path / "copy" / "poterne.toml").unlink()
    assert "not a backup" in server.poterne("restore", str(tmp_path / "copy"), str(tmp_path / "third"), status=1).stderr
    inside = server.poterne("backup", str(server.folder / "data" / "copy"), status=1)
    assert "inside the data folder" in inside.stderr


def test_no_password_is_ever_logged(server: Instance) -> None:
    wrong = "wr0ng-but-guessed-password"
    with server.smtp("submission") as client, pytest.raises(smtplib.SMTPAuthenticationError):
        client.login(ALICE, wrong)
    with server.smtp("submission") as client:
        client.login(ALICE, PASSWORD)
    with pytest.raises(imaplib.IMAP4.error):
        server.imap("alice", wrong)
    server.imap().logout()
    for secret in (wrong, PASSWORD):
        pop = poplib.POP3_SSL(ADDRESS, server.ports["pop3s"], context=server.context(), timeout=20)
        pop.user(ALICE)
        if secret == wrong:
            with pytest.raises(poplib.error_proto):
                pop.pass_(secret)
        else:
            pop.pass_(secret)
        pop.close()
    wait_for(lambda: len(server.events("auth.failed")) >= 3)
    text = server.log.read_text()
    for secret in (wrong, PASSWORD):
        for form in (secret, base64.b64encode(secret.encode()).decode(), secret[:12]):
            assert form not in text
        plain = base64.b64encode(f"\0{ALICE}\0{secret}".encode()).decode()
        assert plain not in text


def test_trace_ids_join_connection_and_message(server: Instance) -> None:
    with server.smtp() as client:
        client.mail("carol@elsewhere.test")
        client.rcpt(ALICE)
        said = client.data(letter().as_bytes(policy=SMTP))[1].decode()
    trace = re.search(r"Accepted as (\S+)", said)
    assert trace is not None
    accepted = next(line for line in server.events("message.accepted") if line["trace"] == trace[1])
    closed = wait_for(lambda: [e for e in server.events("connection.closed") if e["trace"] == accepted["connection"]])
    assert closed[0]["service"] == "mx"
    assert closed[0]["peer"] == ADDRESS
    stamps = [line["timestamp"] for line in server.lines()]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", stamp) for stamp in stamps)


def test_counters_add_up_over_workers(server: Instance) -> None:
    before = server.metrics()
    for _ in range(8):  # connections spread over both workers
        server.deliver()
    with server.smtp("mx") as client:
        client.mail("carol@elsewhere.test")
        assert client.rcpt("x@not-ours.test")[0] == 550
    key = 'poterne_messages_total{outcome="accepted",service="mx"}'
    wait_for(lambda: server.metrics()[key] == before.get(key, 0) + 8, text="8 messages were not counted")
    found = server.metrics()
    assert found['poterne_smtp_refused_total{reason="relay",service="mx",stage="rcpt"}'] >= 1
    assert found['poterne_sign_ins_total{outcome="ok"}'] >= 1
    assert found["poterne_queued_recipients"] >= 0
    assert not [name for name in found if ADDRESS in name or DOMAIN in name or "pid" in name]


def test_a_visitor_of_the_metrics_page_who_says_nothing_holds_up_nobody(server: Instance) -> None:
    with socket.create_connection((ADDRESS, server.metrics_port)):
        assert server.metrics()
