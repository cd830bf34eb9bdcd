"""The mail about reports, in both languages."""

import email
from email.policy import default

import pytest

from poterne.message.compose import Mailbox
from poterne.message.report_notice import KINDS, Item, ReportNotice, render
from poterne.policy.dmarc_alarms import Alarm

ITEMS = (
    Item("new-source", "198.51.100.0/24\r\nBcc: x@y\x1b[31m", 30, 12),
    Item("compliance-drop", messages=100, failed=34, percent=66, before=99),
    Item("reports-stopped", before=49),
)


def text(language: str) -> tuple[str, str]:
    notice = ReportNotice(
        "mx.example.org", "example.org", Mailbox("postmaster@example.org"), Mailbox("postmaster@example.org"), language,
        "<1@mx.example.org>", 1_790_000_000, ITEMS,
    )  # fmt: skip
    octets = render(notice)
    assert octets.isascii()
    assert b"\nBcc:" not in octets
    assert b"\x1b" not in octets
    found = email.message_from_bytes(octets, policy=default)
    assert found["Auto-Submitted"] == "auto-generated"
    body = found.get_body()
    assert body is not None
    return found["Subject"], " ".join(body.get_content().split())


@pytest.mark.parametrize(
    ("language", "subject", "parts"),
    [
        ("en", "Reports about example.org: please look",
         ["Messages: 30, of which 12 fail", "66 % instead of 99 %. 34 of 100", "for 49 hours", "poterne report dmarc example.org"]),
        ("fr", "Rapports sur example.org : à vérifier",
         ["Messages : 30, dont 12 échouent", "66 % au lieu de 99 %. 34 messages sur 100", "depuis 49 heures",
          "poterne report dmarc example.org"]),
        ("de", "Reports about example.org: please look", ["Messages: 30"]),
    ],
)  # fmt: skip
def test_texts(language: str, subject: str, parts: list[str]) -> None:
    title, body = text(language)
    assert title.replace("\u00a0", " ") == subject
    for part in parts:
        assert part in body.replace("\u00a0", " ")


def test_every_alarm_that_is_told_has_a_text() -> None:
    assert {alarm.value for alarm in Alarm} - {"invented-names"} == KINDS
