"""Who mail is from, from the socket to the mailbox: the answer, the folder, the field on top, the event, the count for the report."""

import json
from collections.abc import Iterator
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from typing import Any

import pytest

from poterne.values.event import Event
from tests.support.checked import FORGER, HONEST, LIST, arrive, checking, letter, signed
from tests.support.server import DOMAIN, Instance


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
    (field,) = message.get_all("Authentication-Results", [])
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


# -- signs of an honest forwarder, lists, quarantine -------------------------------------------------------------------


def test_what_a_known_forwarder_broke_is_kept_in_quarantine_until_somebody_decides(server: Instance) -> None:
    """bob named the forwarder; for alice the same message is forged."""
    letters = [letter("ann@strict.test", f"forwarded-{number}") for number in range(3)]
    for one in letters:
        assert arrive(server, one, "x@lists.test", peer=LIST, to=[f"bob@{DOMAIN}"]).startswith("550 5.7.")
    server.poterne("account", "forwarded-by", f"bob@{DOMAIN}", "--from", "lists.test")
    for one in letters:
        assert arrive(server, one, "x@lists.test", peer=LIST, to=[f"bob@{DOMAIN}"]).startswith("250")
    assert arrive(server, letters[0], "x@lists.test", peer=LIST).startswith("550 5.7.")
    assert arrive(server, letters[0], "x@evil.test", peer=FORGER, to=[f"bob@{DOMAIN}"]).startswith("550 5.7.")

    listed = json.loads(server.poterne("quarantine", "list", f"bob@{DOMAIN}", "--json").stdout)
    assert [one["subject"] for one in listed] == [f"forwarded-{number}" for number in range(3)]
    assert {one["reason"] for one in listed} == {"dmarc-reject+forwarder"}
    assert json.loads(server.poterne("quarantine", "list", f"alice@{DOMAIN}", "--json").stdout) == []
    first, second, third = (str(one["id"]) for one in listed)
    shown = server.poterne("quarantine", "show", first).stdout
    assert "From: ann@strict.test" in shown
    assert "\nWhy: Nothing proves that this message is from strict.test" in shown
    assert (
        "nothing with the number 99999 is" in server.poterne("quarantine", "release", first, "99999", status=1).stderr
    )
    server.poterne("quarantine", "show", first)  # it is there still: all of them, or none
    assert "is delivered to" in server.poterne("quarantine", "release", first).stdout
    server.poterne("quarantine", "delete", "--yes", second)
    assert "quarantine list" in server.poterne("quarantine", "release", first, status=1).stderr
    with server.imap("bob") as client:
        client.select("INBOX")
        assert client.search(None, "SUBJECT", "forwarded-0")[1] != [b""]
        assert client.search(None, "SUBJECT", "forwarded-1")[1] == [b""]
    left = json.loads(server.poterne("quarantine", "list", DOMAIN, "--json").stdout)
    assert [str(one["id"]) for one in left] == [third]


def test_one_recipient_with_a_forwarder_does_not_lose_it_for_another_without(server: Instance) -> None:
    server.poterne("account", "forwarded-by", f"bob@{DOMAIN}", "--from", "lists.test")
    both = [f"alice@{DOMAIN}", f"bob@{DOMAIN}"]
    assert arrive(server, letter("ann@strict.test", "both"), "x@lists.test", peer=LIST, to=both).startswith("250")
    kept = json.loads(server.poterne("quarantine", "list", "--json").stdout)
    assert {one["for"] for one in kept if one["subject"] == "both"} == set(both)
    assert not found(server, "INBOX", "both")


def test_a_proven_member_writes_to_a_closed_list(server: Instance) -> None:
    server.poterne(
        "alias", "add", f"closed@{DOMAIN}", f"alice@{DOMAIN}", "--posting", "listed", "--poster", "ann@strict.test"
    )
    closed = [f"closed@{DOMAIN}"]
    proven = signed(letter("ann@strict.test", "closed-proven"), "strict.test")
    assert arrive(server, proven, "ann@strict.test", to=closed).startswith("250")
    assert found(server, "INBOX", "closed-proven")
    other = signed(letter("eve@strict.test", "closed-other"), "strict.test")
    assert arrive(server, other, "ann@strict.test", to=closed).startswith("550 5.7.2")
    unproven = letter("ann@silent.test", "closed-unproven")
    assert arrive(server, unproven, "ann@strict.test", to=closed).startswith("550 5.7.2")
    assert not found(server, "INBOX", "closed-other")
    assert not found(server, "INBOX", "closed-unproven")
    for order in ([f"alice@{DOMAIN}", *closed], [*closed, f"alice@{DOMAIN}"]):
        assert arrive(server, proven, "ann@strict.test", to=order).startswith("452 4.5.3")


def test_what_is_not_proven_is_not_forwarded(server: Instance) -> None:
    server.poterne("account", "add", f"away@{DOMAIN}")
    server.poterne("account", "forward", f"away@{DOMAIN}", "--to", "away@silent.test", "--no-keep")
    server.poterne("queue", "pause", "--all")
    to = [f"away@{DOMAIN}"]
    assert arrive(server, letter("ann@plain.test", "stays"), "ann@plain.test", peer=FORGER, to=to).startswith("250")
    proven = signed(letter("ann@strict.test", "goes"), "strict.test")
    assert arrive(server, proven, "ann@strict.test", to=to).startswith("250")
    queued = json.loads(server.poterne("queue", "list", "--json").stdout)
    assert len([one for one in queued if "away@silent.test" in str(one)]) == 1


def test_who_has_it_in_the_inbox_does_not_read_there_that_it_is_junk(server: Instance) -> None:
    """One message, two verdicts: bob named the forwarder. All who have it have the same octets."""
    server.poterne("account", "forwarded-by", f"bob@{DOMAIN}", "--from", "lists.test")
    both = [f"alice@{DOMAIN}", f"bob@{DOMAIN}"]
    message = letter("ann@plain.test", "two-verdicts")
    assert arrive(server, message, "ann@plain.test", peer=LIST, to=both, helo="lists.test").startswith("250")
    with server.imap("bob") as client:
        client.select("INBOX")
        (number,) = client.search(None, "SUBJECT", "two-verdicts")[1][0].split()
        raw = client.fetch(number.decode(), "(BODY.PEEK[])")[1][0][1]  # type: ignore[index]
    assert b"X-Poterne-" not in raw  # type: ignore[operator]
    assert len(found(server, "Junk", "two-verdicts")) == 1
    assert arrive(server, message, "ann@plain.test", peer=LIST, helo="lists.test").startswith("250")
    assert found(server, "Junk", "two-verdicts")[1]["X-Poterne-Verdict"] == "junk"
