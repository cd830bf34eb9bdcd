"""The lab's spoofer: forged mail to alice over real SMTP, and what became of each message.

He has a domain of his own and one that looks like ours, and does for both all that an honest sender does: SPF passes for them.
"""

import smtplib
import ssl
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from poterne.lab.letters import Post
from poterne.values.event import Event

ADDRESS: Final = "127.0.0.3"
DOMAIN: Final = "impostor.test"
LOOKALIKE: Final = "p0terne.test"
HELO: Final = f"mail.{DOMAIN}"
TEXT_MOST: Final = 100
"""Of an answer that is shown."""


@dataclass(frozen=True, slots=True)
class Forgery:
    """`shown`: in the table. `author`: of the From field."""

    shown: str
    sender: str
    author: str


def forgeries(neighbour: str, ours: str) -> tuple[Forgery, ...]:
    """In the name of the neighbour's account, and of one of ours."""
    local_part, _, domain = ours.partition("@")
    return (
        Forgery(f"{neighbour}, a stranger whose domain has p=reject", f"x@{DOMAIN}", neighbour),
        Forgery(f"{ours}, one of ours, from outside", ours, ours),
        Forgery(f"news@shop.{domain}, a name of ours that nobody has", f"x@{DOMAIN}", f"news@shop.{domain}"),
        Forgery(f"{local_part}@{LOOKALIKE}, a look-alike, proven", f"x@{LOOKALIKE}", f"{local_part}@{LOOKALIKE}"),
        Forgery(f'"{ours}" <x@{DOMAIN}>, a name that shows another', f"x@{DOMAIN}", f'"{ours}" <x@{DOMAIN}>'),
    )


def zones() -> dict[str, str]:
    """What he publishes."""
    return {
        domain: (
            "$TTL 300\n"
            f"@ SOA ns.{domain}. postmaster.{domain}. 1 3600 900 604800 300\n"
            f"@ NS ns.{domain}.\n"
            f"ns A {ADDRESS}\n"
            f"mail A {ADDRESS}\n"
            f'@ TXT "v=spf1 ip4:{ADDRESS} -all"\n'
            f'mail TXT "v=spf1 ip4:{ADDRESS} -all"\n'
            '_dmarc TXT "v=DMARC1; p=none"\n'
        )
        for domain in (DOMAIN, LOOKALIKE)
    }


def send(post: Post, ca_file: str, to: str, forged: Sequence[Forgery], date: str) -> list[str]:
    """The answer to each. Raises OSError or smtplib.SMTPException. Blocks."""
    context = ssl.create_default_context(cafile=ca_file)
    with smtplib.SMTP(post.host, post.port, local_hostname=HELO, timeout=20, source_address=(post.source, 0)) as client:
        client.starttls(context=context)
        client.ehlo()
        return [_send(client, one, to, number, date) for number, one in enumerate(forged, 1)]


def _send(client: smtplib.SMTP, forgery: Forgery, to: str, number: int, date: str) -> str:
    code, text = client.mail(forgery.sender)
    if code < 400:
        code, text = client.rcpt(to)
    if code < 400:
        code, text = client.data(
            f"From: {forgery.author}\r\nTo: {to}\r\nSubject: Urgent: please pay\r\nDate: {date}\r\n"
            f"Message-ID: <{number}@{HELO}>\r\n\r\nOur account has changed. Please use the new one.\r\n"
        )
    client.rset()
    return f"{code} {text.decode('ascii', 'replace')}"


def rows(forged: Sequence[Forgery], answers: Sequence[str], accepted: Sequence[Event]) -> Iterator[str]:
    """One line for each forgery: in whose name, and what became of it. `accepted`: events of messages that were taken."""
    by_trace = {str(event.trace_id): event for event in accepted}
    for forgery, answer in zip(forged, answers, strict=True):
        event = by_trace.get(answer.rpartition(" ")[2]) if answer.startswith("2") else None
        if event is None:
            became = answer if len(answer) <= TEXT_MOST else f"{answer[:TEXT_MOST].rpartition(' ')[0]} …"
        else:
            where = {"junk": "Junk", "quarantine": "quarantine"}.get(str(event.detail.get("verdict")), "INBOX")
            became = f"{where} ({event.detail.get('why')})"
        yield f"  {forgery.shown}\n      {became}"
