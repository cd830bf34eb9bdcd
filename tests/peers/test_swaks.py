"""swaks on 25, 587 and 465: what is taken, what is refused, and in which words."""

import base64
import re
from pathlib import Path

import pytest

from tests.support.peer_server import DOMAIN, HOSTNAME, MAX_MESSAGE_BYTES, PASSWORD, PeerServer, Ran, run
from tests.support.peer_tools import NewAccount, awkward_letters, letter, needs

pytestmark = needs("swaks")

NO_RECIPIENT, REFUSED_MAIL, REFUSED_RCPT, REFUSED_DATA, NO_AUTH, TLS_FAILED = 24, 23, 24, 26, 28, 29
"""Exit statuses of swaks."""


def swaks(server: PeerServer, service: str, *options: str | Path, expect: int | None = 0) -> Ran:
    where = ["--server", f"127.0.0.1:{server.ports[service]}", "--helo", "client.elsewhere.test"]
    return run("swaks", *where, *options, expect=expect)


def signed_in(address: str, *options: str) -> list[str]:
    return ["--from", address, "-au", address, "-ap", PASSWORD, *options]


@pytest.fixture
def stranger() -> list[str]:
    return ["--from", "carol@elsewhere.test"]


# -- 25: strangers bring mail ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tls", [[], ["-tls"]], ids=["clear", "starttls"])
def test_mail_arrives(server: PeerServer, account: str, stranger: list[str], tls: list[str]) -> None:
    said = swaks(server, "mx", *stranger, "--to", account, *tls, "--h-Subject", "to the postern")
    assert re.search(r"250 2\.0\.0 Accepted as [0-9a-z]+$", said.out, re.MULTILINE)
    (found,) = server.store.messages(account)
    assert found.flags == frozenset()
    assert b"Subject: to the postern\r\n" in found.sent
    head = found.raw[: -len(found.sent)]
    assert head.startswith(b"Return-Path: <carol@elsewhere.test>\r\nReceived: from client.elsewhere.test ")
    assert (b" with ESMTPS " in head.replace(b"\r\n", b"").replace(b"\t", b" ")) is bool(tls)
    assert f"for <{account}>".encode() in head
    assert f"by {HOSTNAME}".encode() in head


@pytest.mark.parametrize("name", [*awkward_letters()])
def test_bytes_are_kept(server: PeerServer, account: str, stranger: list[str], tmp_path: Path, name: str) -> None:
    wanted = awkward_letters()[name]
    ready = tmp_path / "message"
    ready.write_bytes(wanted.replace(b"\r\n.", b"\r\n..") + b".")  # swaks sends it as it is, with one CRLF
    swaks(server, "mx", *stranger, "--to", account, "-tls", "--no-data-fixup", "--data", f"@{ready}")
    assert [each.sent for each in server.store.messages(account)] == [wanted]


def test_attachment(server: PeerServer, account: str, stranger: list[str], tmp_path: Path) -> None:
    attached = tmp_path / "attached.bin"
    attached.write_bytes(bytes(range(256)) * 400)
    swaks(server, "mx", *stranger, "--to", account, "-tls", "--body", "see below", "--attach", f"@{attached}")
    (found,) = server.store.messages(account)
    encoded = re.sub(rb"\s", b"", base64.encodebytes(attached.read_bytes()))
    assert encoded in re.sub(rb"\s", b"", found.sent)


def test_pipelining_and_several_recipients(server: PeerServer, new_account: NewAccount, stranger: list[str]) -> None:
    people = [new_account(name) for name in ("ada", "bob", "eve")]
    said = swaks(server, "mx", *stranger, "--to", ",".join(people), "-tls", "--pipeline")
    assert re.search(r"~> RCPT.*\n ~> RCPT.*\n ~> RCPT.*\n ~> DATA\n<~  250", said.out), said.out
    for person in people:
        (found,) = server.store.messages(person)
        assert b"for <" not in found.raw.partition(b"\r\n\r\n")[0], "recipients must not learn of each other"


def test_one_of_several_recipients_is_unknown(server: PeerServer, account: str, stranger: list[str]) -> None:
    said = swaks(server, "mx", *stranger, "--to", f"nobody@{DOMAIN},{account}", "-tls", "--pipeline")
    assert "<~* 550 5.1.1 No such recipient here: check the address" in said.out
    assert len(server.store.messages(account)) == 1


def test_unknown_recipient(server: PeerServer, stranger: list[str]) -> None:
    said = swaks(server, "mx", *stranger, "--to", f"nobody@{DOMAIN}", expect=REFUSED_RCPT)
    assert "550 5.1.1 No such recipient here: check the address" in said.all


@pytest.mark.parametrize("recipient", ["x@elsewhere.test", f"x@sub.{DOMAIN}"])
@pytest.mark.parametrize("sender", ["carol@elsewhere.test", "<>", f"postmaster@{DOMAIN}"])
def test_no_relay(server: PeerServer, recipient: str, sender: str) -> None:
    before = len(server.store.queued())
    said = swaks(server, "mx", "--from", sender, "--to", recipient, "-tls", expect=REFUSED_RCPT)
    assert re.search(r"<~\* 550 5\.7\.1 We do not relay: .* Send through your own provider", said.all)
    assert len(server.store.queued()) == before


@pytest.mark.parametrize(
    "recipient", ["x%elsewhere.test@elsewhere.test", f"x%elsewhere.test@{DOMAIN}", f"@{DOMAIN}:x@elsewhere.test", "a!b"]
)
def test_no_old_ways_to_relay(server: PeerServer, stranger: list[str], recipient: str) -> None:
    before = len(server.store.queued())
    said = swaks(server, "mx", *stranger, "--to", recipient, "-tls", expect=REFUSED_RCPT)
    assert re.search(r"<~\* (550|553|501) 5\.1\.[1-3] ", said.all), said.all
    assert len(server.store.queued()) == before


def test_no_sign_in_on_25(server: PeerServer, account: str) -> None:
    said = swaks(server, "mx", *signed_in(account), "--to", "x@elsewhere.test", "-tls", expect=NO_AUTH)
    assert "Host did not advertise authentication" in said.all


def test_too_large_as_announced_and_as_it_comes(
    server: PeerServer, account: str, stranger: list[str], tmp_path: Path
) -> None:
    large = tmp_path / "large"
    large.write_bytes(letter("large", (b"z" * 76 + b"\r\n") * (MAX_MESSAGE_BYTES // 78 + 1)))
    said = swaks(server, "mx", *stranger, "--to", account, "-tls", "--data", f"@{large}", expect=REFUSED_DATA)
    assert re.search(r"<~\* 552 5\.3\.4 .*", said.all), said.all[-500:]
    assert f"250-SIZE {MAX_MESSAGE_BYTES}" in said.out
    assert server.store.messages(account) == []


def test_plus_addressing_alias_and_case(server: PeerServer, account: str, stranger: list[str]) -> None:
    alias = account.replace("@", ".alias@")
    server.store.add_alias(alias, account)
    local = account.partition("@")[0]
    for address in (f"{local}+shop@{DOMAIN}", account.upper(), alias):
        swaks(server, "mx", *stranger, "--to", address, "-tls")
    assert len(server.store.messages(account)) == 3


# -- 587 and 465: people submit ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
@pytest.mark.parametrize(("service", "tls"), [("submission", "-tls"), ("submissions", "-tlsc")], ids=["587", "465"])
def test_submission(server: PeerServer, new_account: NewAccount, service: str, tls: str, mechanism: str) -> None:
    ada, bob = new_account("ada"), new_account("bob")
    outside = f"{mechanism}.{service}@elsewhere.test"
    said = swaks(server, service, tls, "-a", mechanism, *signed_in(ada), "--to", f"{bob},{outside}")
    assert "235 2.7.0 Authenticated" in said.out
    (found,) = server.store.messages(bob)
    ((row, raw),) = [each for each in server.store.queued() if outside in each[0].forward_path]
    assert (row.message.reverse_path, row.forward_path) == (ada, outside)
    assert raw == found.raw
    head = found.raw[: -len(found.sent)]
    for private in (b"127.0.0.1", b"client.elsewhere.test"):
        assert private not in head, "where people submit from stays private"
    assert b"ESMTPSA" in head


@pytest.mark.parametrize(("service", "tls"), [("submission", "-tls"), ("submissions", "-tlsc")], ids=["587", "465"])
def test_wrong_password(server: PeerServer, account: str, service: str, tls: str) -> None:
    # From an address of its own: failures slow the next answers to their address.
    source = ["--local-interface", "127.0.0.21" if service == "submission" else "127.0.0.22"]
    options = ["-a", "PLAIN", "--from", account, "-au", account, "--to", account, *source]
    said = swaks(server, service, tls, *options, "-ap", "a guess", expect=NO_AUTH)
    assert "<~* 535 5.7.8 User name or password is wrong" in said.all
    unknown = swaks(server, service, tls, *options, "-au", f"x{account}", "-ap", "a guess", expect=NO_AUTH)
    assert "<~* 535 5.7.8 User name or password is wrong" in unknown.all


def test_no_sign_in_before_tls(server: PeerServer, account: str) -> None:
    said = swaks(server, "submission", *signed_in(account), "--to", account, expect=NO_AUTH)
    assert "AUTH" not in said.out, "not even offered"
    forced = swaks(server, "submission", "--from", account, "--to", account, expect=REFUSED_MAIL)
    assert re.search(r"<\*\* 530 5\.7\.0 .*STARTTLS", forced.all)


def test_submission_needs_sign_in(server: PeerServer, account: str) -> None:
    said = swaks(server, "submissions", "-tlsc", "--from", account, "--to", account, expect=REFUSED_MAIL)
    assert "<~* 530 5.7.0 Authentication required" in said.all


def test_a_sender_of_somebody_else(server: PeerServer, new_account: NewAccount) -> None:
    ada, bob = new_account("ada"), new_account("bob")
    options = ["-tlsc", "-au", ada, "-ap", PASSWORD, "--to", bob]
    for other in (bob, "boss@elsewhere.test", "<>"):
        said = swaks(server, "submissions", *options, "--from", other, expect=REFUSED_MAIL)
        text = "The null sender is for notices between servers" if other == "<>" else "This sender address is not yours"
        assert f"<~* 553 5.7.1 {text}" in said.all


def test_tls_on_the_port_without(server: PeerServer, account: str) -> None:
    said = swaks(server, "mx", "-tlsc", "--from", "c@elsewhere.test", "--to", account, expect=TLS_FAILED)
    assert "TLS startup failed" in said.all
