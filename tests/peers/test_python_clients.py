"""Python's own imaplib, poplib and smtplib; two devices on one mailbox, served by different workers."""

import contextlib
import imaplib
import json
import poplib
import re
import smtplib
import ssl
from collections.abc import Iterator

import pytest

from tests.support.peer_server import HOST, PASSWORD, PeerServer
from tests.support.peer_tools import NewAccount, awkward_letters, letter, written_by

pytestmark = pytest.mark.peers

MAX_CONNECTIONS = 30


@pytest.fixture
def trust(server: PeerServer) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=server.ca)


def imap(server: PeerServer, account: str, trust: ssl.SSLContext) -> imaplib.IMAP4_SSL:
    client = imaplib.IMAP4_SSL(HOST, server.ports["imaps"], ssl_context=trust, timeout=20)
    client.login(account, PASSWORD)
    return client


def worker(server: PeerServer, account: str) -> str:
    """The process that served this account's last sign-in."""
    lines = (json.loads(line) for line in server.log.read_text().splitlines())
    return str([line for line in lines if line["event"] == "auth.ok" and line["account"] == account][-1]["process"])


@pytest.fixture
def devices(
    server: PeerServer, account: str, trust: ssl.SSLContext
) -> Iterator[tuple[imaplib.IMAP4_SSL, imaplib.IMAP4_SSL]]:
    """Two clients of one account in two workers."""
    with contextlib.ExitStack() as stack:
        first: dict[str, imaplib.IMAP4_SSL] = {}
        for _ in range(MAX_CONNECTIONS):
            client = stack.enter_context(imap(server, account, trust))
            first.setdefault(worker(server, account), client)
            if len(first) == 2:
                break
        phone, desk = first.values()
        yield phone, desk


def fetched(client: imaplib.IMAP4_SSL) -> dict[int, str]:
    """The flags that this client was told of, without \\Recent; NOOP first."""
    client.noop()
    status, data = client.fetch("1:*", "(UID FLAGS)")
    assert status == "OK"
    found = (re.search(rb"UID (\d+) FLAGS \(([^)]*)\)", each) for each in data if isinstance(each, bytes))
    return {int(each[1]): " ".join(sorted(set(each[2].decode().split()) - {"\\Recent"})) for each in found if each}


def left_of(uids: list[int], expunged: list[bytes]) -> list[int]:
    """What a client keeps when it is told of these EXPUNGEs, one after the other."""
    for number in expunged:
        del uids[int(number) - 1]
    return uids


def test_two_devices(server: PeerServer, account: str, devices: tuple[imaplib.IMAP4_SSL, imaplib.IMAP4_SSL]) -> None:
    phone, desk = devices
    server.store.deliver(account, *(letter(str(n)) for n in range(5)))
    assert phone.select()[1] == desk.select()[1] == [b"5"]
    phone.fetch("2", "(BODY[])")
    assert fetched(desk) == {1: "", 2: "\\Seen", 3: "", 4: "", 5: ""}, "read here is read there"
    desk.store("3", "+FLAGS", "(\\Flagged $Work)")
    assert fetched(phone)[3] == "$Work \\Flagged"
    phone.store("1,4", "+FLAGS", "(\\Deleted)")
    assert left_of([1, 2, 3, 4, 5], phone.expunge()[1]) == [2, 3, 5]
    assert set(fetched(desk)) == {2, 3, 5}
    assert left_of([1, 2, 3, 4, 5], desk.response("EXPUNGE")[1]) == [2, 3, 5]
    desk.append("INBOX", "(\\Draft)", "", letter("mine"))
    assert fetched(phone)[6] == "\\Draft"
    assert phone.response("EXISTS")[1][-1] == b"4"
    desk.uid("MOVE", "5", "Archive")
    assert set(fetched(phone)) == {2, 3, 6}
    assert {each.uid for each in server.store.messages(account)} == {2, 3, 6}


def test_expunged_elsewhere_while_fetching(
    account: str, server: PeerServer, devices: tuple[imaplib.IMAP4_SSL, imaplib.IMAP4_SSL]
) -> None:
    """Numbers stay what they were until the client may be told; what is gone is answered without error or omitted."""
    phone, desk = devices
    server.store.deliver(account, *(letter(str(n)) for n in range(3)))
    phone.select()
    desk.select()
    desk.store("1", "+FLAGS.SILENT", "(\\Deleted)")
    desk.expunge()
    _, data = phone.fetch("2", "(UID)")
    assert data == [b"2 (UID 2)"], "no EXPUNGE inside FETCH (RFC 9051 §7.5.1)"
    phone.noop()
    assert phone.response("EXPUNGE")[1] == [b"1"]
    _, data = phone.fetch("2", "(UID)")
    assert data == [b"2 (UID 3)"]


def test_imaplib_tour(server: PeerServer, account: str, trust: ssl.SSLContext) -> None:
    with imap(server, account, trust) as client:
        for name in ("Work", "Work/2026", '"Two words"'):
            assert client.create(name)[0] == "OK"
        assert client.rename("Work", "Job")[0] == "OK"
        assert client.list(pattern="J*")[1] == [
            b'(\\HasChildren) "/" Job',
            b'(\\HasNoChildren) "/" Job/2026',
            b'(\\HasNoChildren \\Junk) "/" Junk',
        ]
        assert client.delete('"Two words"')[0] == "OK"
        letters = list(awkward_letters().values())
        for each in letters:
            assert client.append("Job", None, '"02-Nov-2026 10:00:00 +0100"', each)[0] == "OK"
        assert client.status("Job", "(MESSAGES UNSEEN SIZE)")[1] == [
            f"Job (MESSAGES {len(letters)} UNSEEN {len(letters)} SIZE {sum(map(len, letters))})".encode()
        ]
        client.select("Job", readonly=True)
        for number, each in enumerate(letters, 1):
            found = client.fetch(str(number), "(BODY[])")[1][0]
            assert isinstance(found, tuple)
            assert found[1] == each
        assert client.search(None, "SUBJECT", '"dots"')[1] == [b"2"]
        assert client.uid("SEARCH", "LARGER", "40000")[1] == [b"6 7"]
        assert client.fetch("1", "(INTERNALDATE)")[1] == [b'1 (INTERNALDATE "02-Nov-2026 10:00:00 +0100")']
        assert client.copy("1:2", "Archive")[0] == "OK"
        assert client.unselect()[0] == "OK"


@pytest.mark.parametrize("service", ["imap", "pop3", "submission", "mx"])
def test_starttls(server: PeerServer, account: str, trust: ssl.SSLContext, service: str) -> None:
    port = server.ports[service]
    match service:
        case "imap":
            with imaplib.IMAP4(HOST, port, timeout=20) as before:
                assert "LOGINDISABLED" in before.capabilities
                with pytest.raises(imaplib.IMAP4.error, match="PRIVACYREQUIRED"):
                    before.login(account, PASSWORD)
                before.starttls(trust)
                assert "LOGINDISABLED" not in before.capabilities
                assert before.login(account, PASSWORD)[0] == "OK"
        case "pop3":
            pop = poplib.POP3(HOST, port, timeout=20)
            assert "STLS" in pop.capa()
            with pytest.raises(poplib.error_proto):
                pop.user(account)
            pop.stls(trust)
            pop.user(account)
            pop.pass_(PASSWORD)
            pop.quit()
        case _:
            with smtplib.SMTP(HOST, port, timeout=20) as smtp:
                smtp.starttls(context=trust)
                smtp.ehlo()
                assert smtp.has_extn("auth") is (service == "submission")
                assert not smtp.has_extn("starttls")


def test_poplib_tour(server: PeerServer, account: str, trust: ssl.SSLContext) -> None:
    letters = list(awkward_letters().values())
    server.store.deliver(account, *letters)

    def sign_in() -> poplib.POP3_SSL:
        pop = poplib.POP3_SSL(HOST, server.ports["pop3s"], context=trust, timeout=20)
        pop.user(account)
        pop.pass_(PASSWORD)
        return pop

    pop = sign_in()
    assert pop.stat() == (len(letters), sum(map(len, letters)))
    assert pop.list()[1] == [f"{n} {len(each)}".encode() for n, each in enumerate(letters, 1)]
    uidl = [line.split()[1] for line in pop.uidl()[1]]
    for number, each in enumerate(letters, 1):
        assert b"\r\n".join([*pop.retr(number)[1], b""]) == each
    pop.dele(1)
    pop.dele(3)
    pop.rset()
    pop.dele(2)
    with pytest.raises(poplib.error_proto, match="-ERR"):
        pop.retr(2)
    pop.close()  # without QUIT nothing goes
    pop = sign_in()
    assert [line.split()[1] for line in pop.uidl()[1]] == uidl
    pop.dele(2)
    pop.quit()
    pop = sign_in()
    assert [line.split()[1] for line in pop.uidl()[1]] == [uidl[0], *uidl[2:]]
    pop.quit()


def test_smtplib_tour(server: PeerServer, new_account: NewAccount, trust: ssl.SSLContext) -> None:
    ada, bob = new_account("ada"), new_account("bob")
    with smtplib.SMTP_SSL(HOST, server.ports["submissions"], context=trust, timeout=20) as smtp:
        smtp.login(ada, PASSWORD)
        for each in awkward_letters().values():
            smtp.sendmail(ada, [bob], written_by(ada, each), mail_options=["BODY=8BITMIME"])
        refused = smtp.sendmail(
            ada, [bob, f"nobody@{bob.partition('@')[2]}"], written_by(ada, letter("one is unknown"))
        )
        assert [code for code, _ in refused.values()] == [550]
        smtp.sendmail(
            ada,
            [bob, "jürgen@bücher.test"],
            written_by(ada, letter("Grüße")),
            mail_options=["SMTPUTF8", "BODY=8BITMIME"],
        )
        assert smtp.noop()[0] == 250
        assert smtp.rset()[0] == 250
        assert smtp.verify(bob)[0] == 252
        with pytest.raises(smtplib.SMTPSenderRefused, match="not yours"):
            smtp.sendmail(bob, [ada], letter("forged"))
    found = [each.sent for each in server.store.messages(bob)]
    assert len(found) == len(awkward_letters()) + 2
    ((row, raw),) = [each for each in server.store.queued() if each[0].message.reverse_path == ada]
    assert row.message.smtputf8
    assert row.message.eight_bit
    assert row.forward_path == "jürgen@xn--bcher-kva.test"
    assert "Subject: Grüße".encode() in raw
