"""The mail to somebody whose mailbox is nearly full: how much is used, what happens when it is full, and what to do."""

from dataclasses import dataclass
from typing import Final, NamedTuple

from poterne.message.compose import Letter, Mailbox, compose
from poterne.message.texts import paragraph, printable, say

_NAME_MOST: Final = 254


class _Words(NamedTuple):
    en: str
    fr: str

    def of(self, language: str) -> str:
        return self.fr if language == "fr" else self.en


_SUBJECT: Final = _Words("Your mailbox is {percent} % full", "Votre boîte est remplie à {percent}\u00a0%")
_WHAT: Final = _Words(
    "Your mailbox {address} on {hostname} is {percent} % full:",
    "Votre boîte {address} sur {hostname} est remplie à {percent}\u00a0%\u00a0:",
)
_BYTES: Final = _Words("{used} of {most}", "{used} sur {most}")
_MESSAGES: Final = _Words("{used} of {most} messages", "{used} messages sur {most}")
_THEN: Final = {
    False: _Words(
        "Once it is full, mail to you waits at its senders' servers for some days, and is then returned to them.",
        "Une fois la boîte pleine, le courrier qui vous est destiné attendra quelques jours chez ses expéditeurs, puis leur sera "
        "renvoyé.",
    ),
    True: _Words(
        "Once it is full, mail to you is refused and its senders are told.",
        "Une fois la boîte pleine, le courrier qui vous est destiné sera refusé, et ses expéditeurs en seront avertis.",
    ),
}
_DO: Final = _Words(
    "To make room, delete what you no longer need (large attachments first), and empty the trash. If you need more room, ask "
    "your administrator.",
    "Pour faire de la place, supprimez ce dont vous n’avez plus besoin, en commençant par les grosses pièces jointes, puis videz "
    "la corbeille. S’il vous faut davantage de place, adressez-vous à votre administrateur.",
)
_ONCE: Final = _Words(
    "You will not get this mail again before the mailbox has been emptier.",
    "Vous ne recevrez plus ce message tant que la boîte n’aura pas été allégée.",
)
_UNITS: Final = (
    _Words("GiB", "Gio"),
    _Words("MiB", "Mio"),
    _Words("KiB", "Kio"),
)


@dataclass(frozen=True, slots=True)
class QuotaNotice:
    """What it is made from. A most of 0 is none."""

    hostname: str
    sender: Mailbox
    """Without a name it gets one."""
    to: Mailbox
    language: str
    message_id: str
    unix_s: int
    percent: int
    used_bytes: int
    most_bytes: int
    used_messages: int
    most_messages: int
    refuses: bool
    """Mail beyond is refused, and not put off."""


def quota_notice(notice: QuotaNotice) -> bytes:
    """The mail."""
    language = notice.language
    hostname, address = printable(notice.hostname, _NAME_MOST), printable(notice.to.address, _NAME_MOST)
    lines: list[str] = []
    if notice.most_bytes:
        used, most = size(language, notice.used_bytes), size(language, notice.most_bytes)
        lines.append("    " + _BYTES.of(language).format(used=used, most=most))
    if notice.most_messages:
        numbers = {"used": notice.used_messages, "most": notice.most_messages}
        lines.append("    " + _MESSAGES.of(language).format(**numbers))
    text = "\n\n".join(
        (
            paragraph(_WHAT.of(language).format(address=address, hostname=hostname, percent=notice.percent)),
            "\n".join(lines),
            paragraph(_THEN[notice.refuses].of(language)),
            paragraph(_DO.of(language)),
            paragraph(_ONCE.of(language)),
        )
    )
    name = notice.sender.name or say(language, "server", hostname=hostname)
    return compose(
        Letter(
            sender=Mailbox(notice.sender.address, name),
            to=(notice.to,),
            subject=_SUBJECT.of(language).format(percent=notice.percent),
            text=text + "\n",
            unix_s=notice.unix_s,
            message_id=notice.message_id,
        )
    )


def size(language: str, octets: int) -> str:
    """With a unit, one decimal."""
    for power, unit in zip((3, 2, 1), _UNITS, strict=True):
        if octets >= 1024**power:
            number = f"{octets / 1024**power:.1f}"
            return f"{number.replace('.', ',') if language == 'fr' else number}\u00a0{unit.of(language)}"
    return f"{octets}\u00a0{'octets' if language == 'fr' else 'bytes'}"
