"""The delivery notices of `tests/corpus/notices`, made anew: what people and their mail programs get to see."""

from dataclasses import replace
from pathlib import Path
from typing import Final

from poterne.message.compose import Mailbox
from poterne.message.dsn import Action, Notification, Original, RecipientReport, render

FOLDER: Final = Path(__file__).parents[1] / "corpus" / "notices"
NOW: Final = 1_795_428_000
"""23 November 2026, 10:00 UTC."""
_ORIGINAL: Final = (
    b"Received: from [192.0.2.7] (unknown [192.0.2.7])\r\n\tby mail.example.org (TLSv1.3) with ESMTPSA id 1m82w7zc60051;\r\n"
    b"\tMon, 23 Nov 2026 04:59:00 +0000\r\n"
    b"Date: Mon, 23 Nov 2026 05:59:00 +0100\r\n"
    b"From: =?utf-8?Q?=C3=89lodie_Martin?= <elodie@example.org>\r\n"
    b"To: Bob <bob@far.example>, carol@far.example\r\n"
    b"Subject: =?utf-8?Q?R=C3=A9union_de_jeudi?=\r\n"
    b"Message-ID: <a1b2@example.org>\r\n"
    b"MIME-Version: 1.0\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\n\r\n"
)
_GONE: Final = RecipientReport(
    recipient="bob@far.example",
    action=Action.FAILED,
    status="5.1.1",
    said="550 5.1.1 <bob@far.example>: Recipient address rejected: User unknown in virtual mailbox table",
    remote="mx1.far.example",
    orcpt="rfc822;bob@far.example",
    attempted_at=NOW,
)
_EXPIRED: Final = RecipientReport(
    recipient="carol@far.example",
    action=Action.FAILED,
    status="4.4.1",
    said="The server cannot be reached: connection timed out",
    remote="mx2.far.example",
    local=True,
    attempted_at=NOW,
)


def _notification(language: str, *recipients: RecipientReport) -> Notification:
    return Notification(
        hostname="mail.example.org",
        sender=Mailbox("postmaster@example.org"),
        to="elodie@example.org",
        language=language,
        message_id="<1m82w7zc60051.7.1795428000@mail.example.org>",
        unix_s=NOW,
        arrived_at=NOW - 5 * 3600,
        recipients=recipients,
        original=Original(_ORIGINAL),
        envid="outbox 17",
        offset_minutes=60,
    )


_DELAYED: Final = replace(
    _EXPIRED,
    action=Action.DELAYED,
    said="450 4.2.0 <carol@far.example>: Recipient address rejected: Greylisted, come back in 10 minutes",
    status="4.2.0",
    local=False,
    retry_until=NOW + 5 * 86_400,
)
_RELAYED: Final = replace(_GONE, action=Action.RELAYED, status="2.0.0", said="250 2.0.0 Ok: queued as 4Tz1")
_DELIVERED: Final = replace(
    _GONE,
    recipient="dan@example.org",
    action=Action.DELIVERED,
    status="2.0.0",
    said="250 2.0.0 Delivered to a mailbox of this server",
    remote="",
    orcpt="",
)

NOTICES: Final = {
    "failure-en.eml": _notification("en", _GONE, _EXPIRED),
    "failure-fr.eml": _notification("fr", _GONE, _EXPIRED),
    "delay-en.eml": _notification("en", _DELAYED),
    "success-en.eml": _notification("en", _RELAYED, _DELIVERED),
}


def rendered(name: str) -> bytes:
    return render(NOTICES[name]).octets
