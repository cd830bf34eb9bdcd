"""What the server's own mails say, in every language of an account. One entry holds all languages, so none can be forgotten.

Placeholders are filled by `say`. What fills them may come from strangers: it is never itself read as a template, and the callers
made it one printable line before (`printable`).

French is written here with plain spaces; `_french` sets the no-break spaces that its typography wants.
"""

import datetime as dt
import re
import textwrap
import unicodedata
from typing import Final, NamedTuple

LANGUAGES: Final = ("en", "fr")
WIDTH: Final = 72


class Text(NamedTuple):
    en: str
    fr: str


_NARROW: Final = "\u202f"
_NO_BREAK: Final = "\u00a0"


def _french(text: str) -> str:
    """With no-break spaces: narrow before ; ! ?, full before a colon, inside guillemets and behind a number."""
    text = re.sub(r" (?=[;!?])", _NARROW, text)
    text = re.sub(r" (?=[:»])|(?<=«) ", _NO_BREAK, text)
    return re.sub(r"(?<=[0-9}]) (?=(?:jours?|heures?|minutes?|octets|Mo|h)\b)", _NO_BREAK, text)


_TABLE: Final = {
    # Words
    "no-subject": Text("without a subject", "sans objet"),
    "days": Text("{count} days", "{count} jours"),
    "day": Text("one day", "un jour"),
    "hours": Text("{count} hours", "{count} heures"),
    "hour": Text("one hour", "une heure"),
    "minutes": Text("{count} minutes", "{count} minutes"),
    "minute": Text("one minute", "une minute"),
    "date": Text(
        "{day} {month} {year}, {hour:02}:{minute:02} ({zone})", "{day} {month} {year} à {hour:02} h {minute:02} ({zone})"
    ),
    # Delivery status notifications: the letter
    "dsn.from": Text("Mail server {hostname}", "Serveur de messagerie {hostname}"),
    "dsn.subject.failed": Text("Not delivered: {subject}", "Message non remis : {subject}"),
    "dsn.subject.delayed": Text("Delayed: {subject}", "Message retardé : {subject}"),
    "dsn.subject.done": Text("Delivered: {subject}", "Message remis : {subject}"),
    "dsn.your-message": Text(
        "This is the mail server {hostname}, about your message “{subject}” of {date}.",
        "Ici le serveur de messagerie {hostname}, au sujet de votre message « {subject} » du {date}.",
    ),
    "dsn.failed": Text(
        "It could not be delivered to the following recipients, and it will not be tried again.",
        "Il n’a pas pu être remis aux destinataires suivants, et il n’y aura pas d’autre tentative.",
    ),
    "dsn.delayed": Text(
        "It has not been delivered yet to the following recipients. The server keeps trying until {until}; you need not send it "
        "again, and you will be told if it fails for good.",
        "Il n’a pas encore été remis aux destinataires suivants. Le serveur continue d’essayer jusqu’au {until} ; vous n’avez "
        "pas besoin de le renvoyer, et vous serez averti en cas d’échec définitif.",
    ),
    "dsn.delivered": Text(
        "It was delivered to the following recipients. This does not say that they have read it.",
        "Il a été remis aux destinataires suivants. Cela ne veut pas dire qu’ils l’ont lu.",
    ),
    "dsn.relayed": Text(
        "It was handed over to the servers of the following recipients, which will not confirm its delivery.",
        "Il a été transmis aux serveurs des destinataires suivants, qui n’en confirmeront pas la remise.",
    ),
    "dsn.expanded": Text(
        "It was delivered to the following addresses, which pass it on to several people.",
        "Il a été remis aux adresses suivantes, qui le font suivre à plusieurs personnes.",
    ),
    "dsn.tried": Text("The server tried for {span}.", "Le serveur a essayé pendant {span}."),
    "dsn.answered": Text("The server {remote} said:", "Le serveur {remote} a répondu :"),
    "dsn.reason": Text("Detail:", "Détail :"),
    "dsn.attached-header": Text(
        "The header of your message is attached.", "L’en-tête de votre message est joint."
    ),
    "dsn.attached-message": Text("Your message is attached.", "Votre message est joint."),
    "dsn.more": Text(
        "… and {count} more recipients: the attached report lists them all.",
        "… et {count} autres destinataires : le rapport joint les énumère tous.",
    ),
    # What happened, and what to do
    "cause.address": Text("There is no such address there.", "Cette adresse n’existe pas là-bas."),
    "todo.address": Text(
        "Check its spelling, or ask for the right address by another way.",
        "Vérifiez son orthographe, ou demandez la bonne adresse par un autre moyen.",
    ),
    "cause.other": Text("The message was not accepted.", "Le message n’a pas été accepté."),
    "todo.other": Text(
        "If the answer below does not help, show this message to your administrator.",
        "Si la réponse ci-dessous ne vous aide pas, montrez ce message à votre administrateur.",
    ),
}  # fmt: skip

TEXTS: Final = {key: Text(text.en, _french(text.fr)) for key, text in _TABLE.items()}


def say(language: str, key: str, **values: str | int) -> str:
    """The text in that language, English when there is none of it. KeyError for a key that is none: a bug."""
    text = TEXTS[key]
    return (text.fr if language == "fr" else text.en).format(**values)


_MONTHS: Final = {
    "en": (
        "January", "February", "March", "April", "May", "June",
        "July", "August", "September", "October", "November", "December",
    ),
    "fr": (
        "janvier", "février", "mars", "avril", "mai", "juin",
        "juillet", "août", "septembre", "octobre", "novembre", "décembre",
    ),
}  # fmt: skip


def date_text(language: str, unix_s: int, offset_minutes: int = 0) -> str:
    """A date and time for people, with its zone."""
    zone = dt.timezone(dt.timedelta(minutes=offset_minutes))
    when = dt.datetime.fromtimestamp(unix_s, zone)
    months = _MONTHS["fr" if language == "fr" else "en"]
    shown = f"{when:%z}" if offset_minutes else "UTC"
    return say(
        language, "date",
        day=when.day, month=months[when.month - 1], year=when.year, hour=when.hour, minute=when.minute, zone=shown,
    )  # fmt: skip


def span_text(language: str, seconds: int) -> str:
    """A length of time, rounded: days, below two of them hours, below two of them minutes."""
    for unit_s, one, many in ((86_400, "day", "days"), (3600, "hour", "hours"), (60, "minute", "minutes")):
        if seconds >= 2 * unit_s:
            return say(language, many, count=round(seconds / unit_s))
        if unit_s <= seconds < unit_s * 5 // 4 and unit_s != 60:
            return say(language, one)
    return say(language, "minute")


def printable(text: str, limit: int) -> str:
    """One line of it: what steers a terminal, hides or turns writing around is "?", and it ends in "…" when it was longer."""
    text = " ".join(text[: limit + 1].split())
    if not text.isascii() or not text.isprintable():
        text = "".join("?" if unicodedata.category(char)[0] == "C" else char for char in text)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def paragraph(text: str, indent: str = "") -> str:
    """The text in lines of at most WIDTH characters, where words allow it."""
    return textwrap.fill(
        text, WIDTH, initial_indent=indent, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
