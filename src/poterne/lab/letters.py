"""Sample mail of the lab, made with the standard library and sent over real SMTP, as any mail program would."""

import datetime as dt
import smtplib
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid


@dataclass(frozen=True, slots=True)
class Post:
    """Where an organisation's server takes mail of others, and from which address it is brought."""

    host: str
    port: int
    source: str = ""
    """Empty: the system chooses."""


def samples(sender: str, receiver: str, now: dt.datetime) -> Iterator[EmailMessage]:
    """A few messages as people send them: plain, French, with pictures and attachments, a forward."""
    yield _plain(sender, receiver, now)
    yield _french(sender, receiver, now)
    yield _with_attachment(sender, receiver, now)
    yield _forward(sender, receiver, now)


def _new(sender: str, receiver: str, subject: str, now: dt.datetime) -> EmailMessage:
    message = EmailMessage()
    message["From"] = sender
    message["To"] = receiver
    message["Subject"] = subject
    message["Date"] = format_datetime(now)
    message["Message-ID"] = make_msgid(domain=sender.partition("@")[2])
    return message


def _plain(sender: str, receiver: str, now: dt.datetime) -> EmailMessage:
    message = _new(sender, receiver, "Welcome to the lab", now)
    message.set_content(
        "Hello,\n\nthis message came over SMTP with STARTTLS from the neighbour's server.\n"
        "Answer it, move it, flag it on two devices: everything here is real, except the Internet.\n"
    )
    return message


def _french(sender: str, receiver: str, now: dt.datetime) -> EmailMessage:
    message = _new(sender, receiver, "Réunion du conseil : ordre du jour à compléter", now)
    message.set_content(
        "Bonjour,\n\nla réunion aura lieu jeudi à 18 h 30, salle des fêtes.\nMerci de compléter l'ordre du jour.\n\nÀ bientôt\n"
    )
    message.add_alternative(
        "<p>Bonjour,</p><p>la réunion aura lieu <b>jeudi à 18 h 30</b>, salle des fêtes.</p>", subtype="html"
    )
    return message


def _with_attachment(sender: str, receiver: str, now: dt.datetime) -> EmailMessage:
    message = _new(sender, receiver, "Budget figures attached", now)
    message.set_content("The figures are attached, as text and as a spreadsheet that is really just commas.\n")
    message.add_attachment("year,amount\n2025,1200\n2026,1350\n", subtype="csv", filename="budget 2026.csv")
    message.add_attachment(bytes(range(256)) * 40, maintype="application", subtype="octet-stream", filename="été.bin")
    return message


def _forward(sender: str, receiver: str, now: dt.datetime) -> EmailMessage:
    inner = _plain("someone@elsewhere.example", sender, now - dt.timedelta(days=3))
    message = _new(sender, receiver, "Fwd: Welcome to the lab", now)
    message.set_content("For you to see:\n")
    message.add_attachment(inner)
    return message


def send(post: Post, ca_file: str, helo: str, sender: str, receiver: str, messages: Iterator[EmailMessage]) -> int:
    """Deliver over STARTTLS, verified by the lab's CA; gives how many. Raises OSError or smtplib.SMTPException. Blocks."""
    context = ssl.create_default_context(cafile=ca_file)
    count = 0
    source = (post.source, 0) if post.source else None
    with smtplib.SMTP(post.host, post.port, local_hostname=helo, timeout=20, source_address=source) as client:
        client.starttls(context=context)
        client.ehlo()
        for message in messages:
            client.send_message(message, sender, [receiver])
            count += 1
    return count
