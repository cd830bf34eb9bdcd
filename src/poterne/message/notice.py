"""Short mails of the server to its people, in their language: that mail is held, why, and what to do.

Mail is held for a look and never dropped, so somebody must be told to look: whoever sent it, whoever answers for the script that
sent it, and the administrator, who decides. All are plain text and say that no person wrote them (RFC 3834 §5).
"""

from dataclasses import dataclass
from typing import Final

from poterne.message.compose import Letter, Mailbox, compose
from poterne.message.texts import date_text, listing, paragraph, printable, say
from poterne.values.origin import Origin, OriginKind
from poterne.values.sending import HoldReason, Incident, SendingLimits

_MAX_NAME: Final = 254
_LOOPS: Final = frozenset({HoldReason.REPEATED, HoldReason.PING_PONG})


@dataclass(frozen=True, slots=True)
class HeldNotice:
    """What a notice of held mail is made from. Each reader gets their own, in their language, with an id of its own."""

    hostname: str
    """Ours."""
    sender: Mailbox
    """The From field; without a name it gets one."""
    to: Mailbox
    language: str
    message_id: str
    """From `compose.message_id`."""
    unix_s: int
    """Now."""
    incident: Incident
    limit: int = 0
    """Which was passed, from `limit_of`; 0 when it is not known."""
    offset_minutes: int = 0
    """Zone for the dates in the text."""


def limit_of(limits: SendingLimits, reason: HoldReason) -> int:
    """The limit that this reason is about; 0 for those that are about none."""
    return {
        HoldReason.DAY: limits.per_day,
        HoldReason.EXTERNAL: limits.external_per_hour,
        HoldReason.NEW: limits.new_per_day,
        HoldReason.BURST: limits.burst,
        HoldReason.REPEATED: limits.same_per_hour,
        HoldReason.PING_PONG: limits.answers_per_hour,
        HoldReason.OPEN_INCIDENT: 0,
    }[reason]


def to_person(notice: HeldNotice) -> bytes:
    """For whoever signed in and sent it: it is held; whom to tell; and that the password may be known."""
    name = _name(notice.incident.origin)
    return _letter(
        notice,
        say(notice.language, "held.person.subject"),
        [
            _say(notice, "held.person.what", name=name),
            _facts(notice),
            _say(notice, "held.person.mine"),
            _say(notice, "held.person.not-mine"),
            _say(notice, "held.person.meanwhile"),
        ],
    )


def to_owner(notice: HeldNotice) -> bytes:
    """For whoever answers for a script: it is held, and perhaps in a loop."""
    name = _name(notice.incident.origin)
    advice = "held.owner.loop" if notice.incident.reason in _LOOPS else "held.owner.limit"
    return _letter(
        notice,
        say(notice.language, "held.owner.subject", name=name),
        [
            _say(notice, "held.owner.what", name=name),
            _facts(notice),
            _say(notice, advice),
            _say(notice, "held.owner.meanwhile"),
        ],
    )


def to_administrator(notice: HeldNotice) -> bytes:
    """For whoever decides: what is held of whom, and the commands that show, release and purge it."""
    language, incident = notice.language, notice.incident
    origin = say(language, f"origin.{incident.origin.kind.value}", name=_name(incident.origin))
    kind = incident.origin.kind
    advice = kind.value if kind in {OriginKind.ACCOUNT, OriginKind.SENDER} else "other"
    return _letter(
        notice,
        say(language, "held.admin.subject", origin=origin, incident=incident.id),
        [
            _say(notice, "held.admin.what", origin=origin),
            _facts(notice),
            _say(notice, f"held.admin.{advice}"),
            say(language, "held.admin.commands", incident=incident.id),  # its lines are as they are to be typed
        ],
    )


def _say(notice: HeldNotice, key: str, **values: str | int) -> str:
    hostname = printable(notice.hostname, _MAX_NAME)
    return paragraph(say(notice.language, key, hostname=hostname, **values))


def _name(origin: Origin) -> str:
    return printable(origin.name, _MAX_NAME)


def _facts(notice: HeldNotice) -> str:
    language, incident = notice.language, notice.incident
    known = notice.limit or incident.reason is HoldReason.OPEN_INCIDENT
    reason = say(language, f"reason.{incident.reason.value}", limit=notice.limit if known else "?")
    facts = {
        "reason": reason,
        "since": date_text(language, incident.opened_at, notice.offset_minutes),
        "messages": str(incident.messages),
        "recipients": str(incident.recipients),
        "incident": str(incident.id),
    }
    return listing((say(language, f"fact.{label}"), text) for label, text in facts.items())


def _letter(notice: HeldNotice, subject: str, paragraphs: list[str]) -> bytes:
    sender = notice.sender
    name = sender.name or say(notice.language, "server", hostname=printable(notice.hostname, _MAX_NAME))
    return compose(
        Letter(
            sender=Mailbox(sender.address, name),
            to=(notice.to,),
            subject=subject,
            text="\n\n".join(paragraphs) + "\n",
            unix_s=notice.unix_s,
            message_id=notice.message_id,
            offset_minutes=notice.offset_minutes,
        )
    )
