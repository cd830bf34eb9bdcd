"""The lab's remote organisations: alice writes to each of them, and finds what its line in the table promises."""

import asyncio
import email
import email.policy
import imaplib
import json
import re
import smtplib
import ssl
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Any, TypeVar

import pytest

from poterne.admin.instance import DATA
from poterne.app.stores import open_instance_store
from poterne.config.load import load
from poterne.lab.instances import PASSWORD
from poterne.lab.remotes import REMOTES
from poterne.mailauth.dkim.outcome import Result
from poterne.mailauth.dkim.verify import Verifier
from poterne.message.header import index
from poterne.store.interface import Store
from poterne.values.event import Event
from tests.support.lab import Lab, offset
from tests.support.name_server import stub
from tests.support.server import ADDRESS, wait_for

ALICE = "alice@poterne.test"
SENT = {
    "clear.test": "clear",
    "sts.test": "verified",
    "dane.test": "verified",
    "slow.test": "encrypted",
    "seven-bit.test": "encrypted",
}
WAITS = {
    "stripped.test": r"4\.7\.4 .*does not offer encryption",
    "wrong-name.test": r"4\.7\.5 .*certificate is not valid",
    "expired.test": r"4\.7\.5 .*certificate is not valid",
    "dane-wrong.test": r"4\.7\.5 .*TLSA records",
    "dane-bogus.test": r"DNS does not tell now which certificate",
    "grey.test": r"451 4\.7\.1 greylisted",
    "storm.test": r"451 4\.3\.2 the disk is full",
    "dead.test": r"4\.4\.1 .*refused the connection",
    "tarpit.test": r"4\.4\.2 .*did not answer in time",
    "reset.test": r"4\.4\.2 .*connection to the server was lost",
}
RETURNED = {
    "nobody.test": ("5.1.10", "takes no mail"),
    "refuses.test": ("5.1.1", "nobody has that name here"),
}
REPORTED = {
    "clear.test": "no-policy-found 0/1 starttls-not-supported",
    "stripped.test": "sts 0/1 starttls-not-supported",
    "sts.test": "sts 1/0",
    "wrong-name.test": "sts 0/1 certificate-host-mismatch",
    "expired.test": "sts 0/1 certificate-expired",
    "dane.test": "tlsa 1/0",
    "dane-wrong.test": "tlsa 0/1 validation-failure",
    "dane-bogus.test": "tlsa 0/1 dnssec-invalid",
    **dict.fromkeys(
        ("grey.test", "storm.test", "slow.test", "reset.test", "refuses.test", "seven-bit.test"), "no-policy-found 1/0"
    ),
}
BODY = "L'été, à midi =\r\n.\r\nfin\r\n"


@dataclass
class Outcome:
    lab: Lab
    sent: dict[str, Event]
    """message.sent by domain."""
    queue: dict[str, dict[str, Any]]
    """What `poterne queue list` says, by domain."""
    notices: dict[str, EmailMessage]

    def poterne(self, *arguments: str) -> str:
        settings = self.lab.folder / "ours/poterne.toml"
        command = [sys.executable, "-m", "poterne", "-c", str(settings), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout

    def taken(self, domain: str) -> list[EmailMessage]:
        paths = sorted((self.lab.folder / "taken" / domain).glob("*.eml"))
        return [email.message_from_bytes(path.read_bytes(), policy=email.policy.default) for path in paths]


def write_to_all(lab: Lab) -> None:
    context = ssl.create_default_context(cafile=str(lab.folder / "ours/data/tls/ca.pem"))
    with smtplib.SMTP(ADDRESS, lab.offset + 587, timeout=20) as client:
        client.starttls(context=context)
        client.login(ALICE, PASSWORD)
        for remote in REMOTES:
            message = EmailMessage(policy=email.policy.SMTP)
            message["From"], message["To"] = ALICE, f"anyone@{remote.domain}"
            message["Subject"] = f"to {remote.domain}"
            message.set_content(BODY, cte="8bit")
            client.send_message(message, mail_options=["BODY=8BITMIME"])


T = TypeVar("T")


def stored(lab: Lab, work: Callable[[Store], Awaitable[T]]) -> T:
    """What our server's store has, while it runs."""

    async def run() -> T:
        folder = lab.folder / "ours"
        store: Store = open_instance_store(folder / DATA, load(folder / "poterne.toml"))
        try:
            return await work(store)
        finally:
            await store.close()

    return asyncio.run(run())


def events(lab: Lab, *kinds: str) -> list[Event]:
    """Those of messages to remote organisations."""

    async def found(store: Store) -> list[Event]:
        return [event for kind in kinds for event in await store.events(kind=kind)]

    return [event for event in stored(lab, found) if str(event.detail.get("to", "")).startswith("anyone@")]


def counted(lab: Lab) -> dict[str, str]:
    """What the reports about TLS will say (RFC 8460): `kind succeeded/failed result…` by domain."""

    async def found(store: Store) -> dict[str, str]:
        said: dict[str, list[str]] = {}
        for day, domain in await store.tls_to_report(1 << 40):
            for count in await store.tls_counts(day, domain):
                results = " ".join(sorted(failure.result.value for failure, _ in count.failures))
                line = f"{count.policy.kind.value} {count.succeeded}/{count.failed} {results}".strip()
                said.setdefault(domain, []).append(line)
        return {domain: "; ".join(lines) for domain, lines in said.items()}

    return stored(lab, found)


def domain_of(event: Event) -> str:
    return str(event.detail["to"]).partition("@")[2]


def notices(lab: Lab) -> dict[str, EmailMessage]:
    """Reports in alice's INBOX, by the domain that they are about."""
    context = ssl.create_default_context(cafile=str(lab.folder / "ours/data/tls/ca.pem"))
    found: dict[str, EmailMessage] = {}
    with imaplib.IMAP4_SSL(ADDRESS, lab.offset + 993, ssl_context=context, timeout=10) as client:
        client.login(ALICE, PASSWORD)
        client.select("INBOX", readonly=True)
        for (_, text), _ in zip(*[iter(client.fetch("1:*", "(BODY.PEEK[])")[1])] * 2, strict=True):
            message = email.message_from_bytes(text, policy=email.policy.default)
            if message.get_content_type() == "multipart/report":
                about = re.search(r"Final-Recipient: *rfc822; *anyone@(\S+)", message.as_string())
                assert about is not None
                assert about[1] not in found, "told twice"
                found[about[1]] = message
    return found


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcome]:
    lab = Lab(tmp_path_factory.mktemp("strangers") / "world", offset()).ready()
    try:
        assert time.monotonic() - lab.began < 15
        write_to_all(lab)
        kinds = ("message.sent", "message.deferred", "message.failed")
        wait_for(
            lambda: len({domain_of(one) for one in events(lab, *kinds)}) == len(REMOTES), 40, "some have no outcome"
        )
        wait_for(lambda: len(notices(lab)) >= len(RETURNED))
        made = Outcome(lab, {}, {}, {})
        made.sent = {domain_of(event): event for event in events(lab, "message.sent")}
        made.queue = {row["domain"]: row for row in json.loads(made.poterne("queue", "list", "--json"))}
        made.notices = notices(lab)
        made.poterne("queue", "hold", "--all")  # however long the tests take, this was the first attempt
        yield made
    finally:
        lab.end()


def test_the_table_names_them_all(outcome: Outcome) -> None:
    for remote in REMOTES:
        assert re.search(rf"^  {remote.domain} +{re.escape(remote.expected)}$", outcome.lab.said, re.MULTILINE)
    assert "not there" not in outcome.lab.said
    assert f"what they took: {outcome.lab.folder}/taken/" in outcome.lab.said
    assert {remote.domain for remote in REMOTES} == set(SENT) | set(WAITS) | set(RETURNED)
    for words, found in (("delivered", SENT), ("waits", WAITS), ("comes back", RETURNED)):
        assert {remote.domain for remote in REMOTES if remote.expected.startswith(words)} == set(found)


def test_each_has_one_outcome(outcome: Outcome) -> None:
    assert set(outcome.sent) == set(SENT)
    assert set(outcome.queue) == set(WAITS)
    assert set(outcome.notices) == set(RETURNED)


@pytest.mark.parametrize("domain", SENT)
def test_delivered(outcome: Outcome, domain: str) -> None:
    detail = outcome.sent[domain].detail
    how = "verified" if detail.get("tls_verified") else "encrypted" if detail.get("tls") else "clear"
    assert how == SENT[domain]
    assert detail["host"] == f"mx.{domain}"
    (taken,) = outcome.taken(domain)
    assert (taken["Delivered-To"], taken["Return-Path"]) == (f"anyone@{domain}", f"<{ALICE}>")
    assert taken["Subject"] == f"to {domain}"
    assert taken.get_content() == BODY
    received = str(taken.get_all("Received", [""])[0])
    assert ("not encrypted" in received) == (how == "clear")
    encoding = "quoted-printable" if domain == "seven-bit.test" else "8bit"
    assert taken["Content-Transfer-Encoding"] == encoding


async def test_what_arrives_is_signed_and_its_keys_are_in_the_labs_dns(outcome: Outcome) -> None:
    lab = outcome.lab
    names = stub(53 + lab.offset)
    for domain in SENT:
        (path,) = (lab.folder / "taken" / domain).glob("*.eml")
        octets = path.read_bytes()
        header = index(octets)
        verifier = Verifier(header, int(time.time()))
        verifier.feed(octets[header.end :])
        found = verifier.finish({name: await names.txt(name) for name in verifier.names})
        assert [(one.result, one.domain) for one in found] == [(Result.PASS, "poterne.test")] * 2
    names.close()


@pytest.mark.parametrize("domain", WAITS)
def test_waits_and_says_why(outcome: Outcome, domain: str) -> None:
    row = outcome.queue[domain]
    assert (row["state"], row["attempts"], row["to"]) == ("waiting", 1, f"anyone@{domain}")
    assert re.search(WAITS[domain], row["last_reply"])
    assert 30 <= row["due_at"] - row["queued_at"] <= 120
    # Of the one whose answer never came the message is there all the same: only its answer is missing.
    assert len(outcome.taken(domain)) == (domain == "reset.test")


def test_people_see_the_same(outcome: Outcome) -> None:
    said = outcome.poterne("queue", "list").splitlines()
    for domain, reason in WAITS.items():
        (line,) = [line for line in said if f"anyone@{domain} " in line]
        assert re.search(reason, line)
    assert len(said) == len(WAITS) + 1
    number = str(outcome.queue["storm.test"]["id"])
    assert "451 4.3.2 the disk is full" in outcome.poterne("queue", "show", number)
    assert "DNSSEC" in outcome.poterne("queue", "route-test", "anyone@dane.test")
    assert "mode enforce" in outcome.poterne("queue", "route-test", "anyone@sts.test")


def test_how_tls_went_is_counted_for_the_reports(outcome: Outcome) -> None:
    wait_for(lambda: set(counted(outcome.lab)) >= set(REPORTED), text="counts are missing")
    assert counted(outcome.lab) == REPORTED


@pytest.mark.parametrize("domain", RETURNED)
def test_comes_back_with_the_reason(outcome: Outcome, domain: str) -> None:
    status, words = RETURNED[domain]
    notice = outcome.notices[domain]
    assert notice["Return-Path"] in {"<>", None}
    assert notice["To"] == ALICE
    text = notice.get_body(("plain",))
    assert text is not None
    assert f"anyone@{domain}" in text.get_content()
    assert words in text.get_content()
    assert re.search(rf"(?m)^Status: {re.escape(status)}\s*$", notice.as_string())
    assert not outcome.taken(domain)


def test_the_authority_is_the_labs_alone(outcome: Outcome) -> None:
    folder: Path = outcome.lab.folder / "internet"
    assert sorted(path.name for path in folder.iterdir()) == ["ca.key", "ca.pem"]
    assert folder.stat().st_mode & 0o077 == 0
