"""The mail to somebody whose mailbox is nearly full."""

import email
import email.policy
from dataclasses import replace

import pytest

from poterne.message.compose import Mailbox
from poterne.message.quota_notice import QuotaNotice, quota_notice, size

NOTICE = QuotaNotice(
    hostname="mx.example.org",
    sender=Mailbox("postmaster@example.org"),
    to=Mailbox("ben@example.org", "Ben"),
    language="en",
    message_id="<q1@mx.example.org>",
    unix_s=1_790_062_865,
    percent=83,
    used_bytes=891_289_600,
    most_bytes=1_073_741_824,
    used_messages=120,
    most_messages=0,
    refuses=False,
)


def text(notice: QuotaNotice) -> str:
    octets = quota_notice(notice)
    message = email.message_from_bytes(octets, policy=email.policy.default)
    assert isinstance(message, email.message.EmailMessage)
    assert not message.defects
    assert message["Auto-Submitted"] == "auto-generated"
    assert str(notice.percent) in message["Subject"]
    assert message["To"] == "Ben <ben@example.org>"
    assert all(len(line) <= 78 for line in octets.split(b"\r\n"))
    return " ".join(message.get_content().split())


def test_it_says_how_much_and_what_then() -> None:
    said = text(NOTICE)
    assert "Your mailbox ben@example.org on mx.example.org is 83 % full: 850.0 MiB of 1.0 GiB Once" in said
    assert "waits at its senders' servers" in said
    assert "messages" not in said
    assert "is refused and its senders are told" in text(replace(NOTICE, refuses=True))
    assert "120 of 200 messages" in text(replace(NOTICE, most_bytes=0, most_messages=200))


def test_in_french() -> None:
    said = text(replace(NOTICE, language="fr", most_messages=200))
    assert "est remplie à 83 % : 850,0 Mio sur 1,0 Gio 120 messages sur 200" in said
    assert "attendra quelques jours" in said
    assert "sera refusé" in text(replace(NOTICE, language="fr", refuses=True))


@pytest.mark.parametrize(
    ("octets", "english", "french"),
    [
        (0, "0 bytes", "0 octets"),
        (1023, "1023 bytes", "1023 octets"),
        (1536, "1.5 KiB", "1,5 Kio"),
        (5 * 1024**4, "5120.0 GiB", "5120,0 Gio"),
    ],
)
def test_sizes(octets: int, english: str, french: str) -> None:
    assert size("en", octets).replace("\u00a0", " ") == english
    assert size("fr", octets).replace("\u00a0", " ") == french
