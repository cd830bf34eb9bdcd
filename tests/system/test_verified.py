"""Who mail is from, from the socket to the mailbox: the answer, the folder, the field on top, the event, the count for the report."""

from collections.abc import Iterator
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from pathlib import Path
from typing import Any

import pytest

from poterne.values.event import Event
from tests.support.checked import DOMAIN, FORGER, HONEST, arrive, checking, letter, signed
from tests.support.server import Instance


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    with checking(tmp_path_factory.mktemp("verified")) as server:
        yield server


def found(server: Instance, folder: str, subject: str) -> list[EmailMessage]:
    """What alice has there under that subject."""
    with server.imap() as client:
        assert client.select(folder)[0] == "OK"
        numbers = client.search(None, "SUBJECT", f'"{subject}"')[1][0].split()
        raw = [client.fetch(number.decode(), "(BODY.PEEK[])")[1][0][1] for number in numbers]  # type: ignore[index]
    return [BytesParser(policy=default).parsebytes(one) for one in raw]  # type: ignore[arg-type]


def events(server: Instance, kind: str, reason: str) -> list[Event]:
    all_of_them: list[Event] = server.with_store(lambda store: store.events(kind=kind))
    return [event for event in all_of_them if event.reason.startswith(reason) or event.detail.get("why") == reason]


def results(message: EmailMessage) -> str:
    (field,) = message.get_all("Authentication-Results")
    return " ".join(str(field).split())


def test_what_is_proven_comes_into_the_inbox(server: Instance) -> None:
    message = signed(letter("ann@strict.test", "proven"), "strict.test")
    assert arrive(server, message, "ann@strict.test").startswith("250")
    (got,) = found(server, "INBOX", "proven")
    said = results(got)
    assert said.startswith(f"mail.{DOMAIN}; ")
    for words in ("spf=pass", "dkim=pass", "header.d=strict.test", "dmarc=pass", "header.from=strict.test"):
        assert words in said
    assert got.keys()[:2] == ["Return-Path", "Authentication-Results"]
    assert not got.get_all("X-Poterne-Reason")
    (event,) = events(server, "message.accepted", "proven")
    assert event.detail["dmarc"] == "pass"


@pytest.mark.parametrize("peer", [FORGER, HONEST])
def test_a_forged_author_is_refused_with_the_reason(server: Instance, peer: str) -> None:
    answer = arrive(server, letter("ann@strict.test", "forged"), "x@evil.test", peer=peer)
    assert answer.startswith("550 5.7.")
    assert "strict.test" in answer
    assert "http" not in answer
    assert not found(server, "INBOX", "forged")
    event = events(server, "message.refused", "dmarc-reject")[0]
    assert event.detail["dmarc"] == "fail"
    assert event.peer == peer


def test_any_changed_octet_ends_the_proof(server: Instance) -> None:
    message = signed(letter("ann@strict.test", "changed"), "strict.test").replace(b"Some text", b"Some test")
    assert arrive(server, message, "x@evil.test", peer=FORGER).startswith("550 5.7.")


def test_our_own_name_from_outside_needs_our_signature(server: Instance) -> None:
    plain = letter(f"boss@{DOMAIN}", "own-plain")
    for sender in (f"boss@{DOMAIN}", "x@evil.test", ""):
        for peer in (FORGER, HONEST):
            assert arrive(server, plain, sender, peer=peer).startswith("550 5.7.")
    assert arrive(server, signed(letter(f"boss@{DOMAIN}", "own-signed"), DOMAIN), f"boss@{DOMAIN}").startswith("250")
    assert found(server, "INBOX", "own-signed")


def test_what_only_looks_bad_goes_into_junk(server: Instance) -> None:
    assert arrive(server, letter("ann@plain.test", "no-policy"), "ann@plain.test", peer=FORGER).startswith("250")
    assert not found(server, "INBOX", "no-policy")
    (got,) = found(server, "Junk", "no-policy")
    assert "spf=fail" in results(got)
    assert str(got["X-Poterne-Reason"]).startswith("spf-fail; ")


def test_what_publishes_nothing_is_accepted(server: Instance) -> None:
    assert arrive(server, letter("ann@silent.test", "silent"), "ann@silent.test", peer=FORGER).startswith("250")
    (got,) = found(server, "INBOX", "silent")
    assert "dmarc=none" in results(got)


def test_a_big_message_has_its_results_too(server: Instance) -> None:
    body = "\r\n".join("A line of the attachment." for _ in range(60_000))
    message = signed(letter("ann@strict.test", "big", body=body), "strict.test")
    assert arrive(server, message, "ann@strict.test").startswith("250")
    (got,) = found(server, "INBOX", "big")
    assert "dkim=pass" in results(got)
    assert str(got.get_payload()).count("A line of") == 60_000


def test_dns_that_fails_defers(server: Instance) -> None:
    """No name server has this zone: nothing is known, so nothing is accepted, nor refused for good."""
    assert arrive(server, letter("ann@nowhere.example", "unknown"), "x@evil.test", peer=FORGER).startswith("451 4.")


def test_results_in_our_name_are_taken_out(server: Instance) -> None:
    message = letter(
        "ann@silent.test", "claimed", f"Authentication-Results: mail.{DOMAIN}; dmarc=pass header.from=bank.test"
    )
    assert arrive(server, message, "ann@silent.test", peer=FORGER).startswith("250")
    (got,) = found(server, "INBOX", "claimed")
    assert "bank.test" not in results(got)


def test_reports_are_kept_for_their_reader(server: Instance) -> None:
    for address in (f"dmarc-reports@{DOMAIN}", f"TLS-Reports@{DOMAIN}"):
        message = signed(letter("ann@strict.test", "report"), "strict.test")
        assert arrive(server, message, "ann@strict.test", to=[address]).startswith("250")
    waiting: list[Any] = server.with_store(lambda store: store.report_mail())
    kinds = {one.mail.kind.value: one.mail for one in waiting}
    assert kinds.keys() == {"dmarc", "tls"}
    assert kinds["dmarc"].proven
    assert kinds["dmarc"].domain == DOMAIN
