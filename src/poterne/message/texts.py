"""What the server's own mails say, in every language of an account. One entry holds all languages, so none can be forgotten.

Placeholders are filled by `say`. What fills them may come from strangers: it is never itself read as a template, and the callers
made it one printable line before (`printable`).

French is written here with plain spaces; `_french` sets the no-break spaces that its typography wants.
"""

import datetime as dt
import re
import textwrap
import unicodedata
from collections.abc import Iterable
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
    "no-subject": Text("(no subject)", "(sans objet)"),
    "days": Text("{count} days", "{count} jours"),
    "day": Text("one day", "un jour"),
    "hours": Text("{count} hours", "{count} heures"),
    "hour": Text("one hour", "une heure"),
    "minutes": Text("{count} minutes", "{count} minutes"),
    "minute": Text("one minute", "une minute"),
    "date": Text(
        "{day} {month} {year}, {hour:02}:{minute:02} ({zone})", "{day} {month} {year} à {hour} h\u00a0{minute:02} ({zone})"
    ),
    # Delivery status notifications: the letter
    "server": Text("Mail server {hostname}", "Serveur de messagerie {hostname}"),
    "dsn.subject.failed": Text("Not delivered: {subject}", "Message non remis : {subject}"),
    "dsn.subject.delayed": Text("Delayed: {subject}", "Message retardé : {subject}"),
    "dsn.subject.delivered": Text("Delivered: {subject}", "Message remis : {subject}"),
    "dsn.subject.relayed": Text("Passed on: {subject}", "Message transmis : {subject}"),
    "dsn.your-message": Text(
        "This is the mail server {hostname}, about your message “{subject}” of {date}.",
        "Ici le serveur de messagerie {hostname}, au sujet de votre message « {subject} » du {date}.",
    ),
    "dsn.failed": Text("It could not be delivered to:", "Il n’a pas pu être remis à :"),
    "dsn.failed.end": Text(
        "The server has stopped trying. Once the cause is gone, send the message again.",
        "Le serveur a cessé d’essayer. Une fois la cause écartée, renvoyez le message.",
    ),
    "dsn.delayed": Text("It has not been delivered yet to:", "Il n’a pas encore été remis à :"),
    "dsn.delayed.end": Text(
        "The server keeps trying. You need not send the message again: you will be told if it fails for good.",
        "Le serveur continue d’essayer. Inutile de renvoyer le message : vous serez averti en cas d’échec définitif.",
    ),
    "dsn.delayed.until": Text(
        "The server keeps trying until {until}. You need not send the message again: you will be told if it fails for good.",
        "Le serveur continue d’essayer jusqu’au {until}. Inutile de renvoyer le message : vous serez averti en cas d’échec "
        "définitif.",
    ),
    "dsn.delivered": Text("It was delivered to:", "Il a été remis à :"),
    "dsn.delivered.end": Text(
        "This does not say that anybody has read it.", "Cela ne veut pas dire que quelqu’un l’ait lu."
    ),
    "dsn.relayed": Text(
        "It was passed on to another server, which will not confirm its delivery, for:",
        "Il a été transmis à un autre serveur, qui n’en confirmera pas la remise, pour :",
    ),
    "dsn.relayed.end": Text(
        "You will be told if that server reports a failure.", "Vous serez averti si ce serveur signale un échec."
    ),
    "dsn.expanded": Text(
        "It was delivered to the following address, which passes it on to several people:",
        "Il a été remis à l’adresse suivante, qui le fait suivre à plusieurs personnes :",
    ),
    "dsn.expanded.end": Text(
        "You will be told if it does not reach one of them.", "Vous serez averti s’il ne parvient pas à l’une d’elles."
    ),
    "dsn.tried": Text("The server tried for {span}.", "Le serveur a essayé pendant {span}."),
    "dsn.answered": Text("The server {remote} said:", "Le serveur {remote} a répondu :"),
    "dsn.reason": Text("In detail:", "En détail :"),
    "dsn.attached-header": Text("The header of your message is attached.", "L’en-tête de votre message est joint."),
    "dsn.attached-message": Text("Your message is attached.", "Votre message est joint."),
    "dsn.more": Text(
        "Only the first recipients are shown ({shown} of {count}): the attached report has all of them.",
        "Seuls les premiers destinataires sont indiqués ({shown} sur {count}) : le rapport joint les contient tous.",
    ),
    # What happened, and what to do
    "cause.address": Text("There is no such address.", "Cette adresse n’existe pas."),
    "todo.address": Text(
        "Check its spelling, or ask for the right address by another way.",
        "Vérifiez son orthographe, ou demandez la bonne adresse par un autre moyen.",
    ),
    "cause.domain": Text(
        "The domain of this address, which is what follows the @, does not exist.",
        "Le domaine de cette adresse, c’est-à-dire ce qui suit le @, n’existe pas.",
    ),
    "todo.domain": Text("Check its spelling.", "Vérifiez son orthographe."),
    "cause.syntax": Text("This is not a valid address.", "Cette adresse n’est pas valide."),
    "todo.syntax": Text(
        "Check its spelling: often a space, a comma or an accent has slipped in.",
        "Vérifiez son orthographe : souvent un espace, une virgule ou un accent s’y est glissé.",
    ),
    "cause.moved": Text(
        "The recipient has moved to another address, and this one takes no mail any more.",
        "Le destinataire a changé d’adresse, et celle-ci ne reçoit plus de courrier.",
    ),
    "todo.moved": Text(
        "Ask for the new address by another way.", "Demandez la nouvelle adresse par un autre moyen."
    ),
    "cause.sender": Text(
        "The recipient’s server does not accept mail from your address.",
        "Le serveur du destinataire n’accepte pas de courrier venant de votre adresse.",
    ),
    "todo.sender": Text("Show this message to your administrator.", "Montrez ce message à votre administrateur."),
    "cause.null-mx": Text(
        "The domain of this address says that it takes no mail at all.",
        "Le domaine de cette adresse déclare ne recevoir aucun courrier.",
    ),
    "todo.null-mx": Text(
        "Check its spelling, or ask for another address.",
        "Vérifiez son orthographe, ou demandez une autre adresse.",
    ),
    "cause.disabled": Text(
        "This mailbox takes no mail now: it is closed or out of use.",
        "Cette boîte ne reçoit pas de courrier : elle est fermée ou hors service.",
    ),
    "todo.disabled": Text("Reach the recipient by another way.", "Joignez le destinataire par un autre moyen."),
    "cause.full": Text("The recipient’s mailbox is full.", "La boîte du destinataire est pleine."),
    "todo.full": Text(
        "Send the message again in some days, or tell the recipient by another way.",
        "Renvoyez le message dans quelques jours, ou prévenez le destinataire par un autre moyen.",
    ),
    "cause.too-big": Text(
        "The message is too big for the recipient’s server.",
        "Le message est trop volumineux pour le serveur du destinataire.",
    ),
    "todo.too-big": Text(
        "Send a link in place of the attachments, or several smaller messages.",
        "Envoyez un lien à la place des pièces jointes, ou plusieurs messages plus petits.",
    ),
    "cause.list": Text("You may not write to this list.", "Vous n’êtes pas autorisé à écrire à cette liste."),
    "todo.list": Text("Ask whoever answers for the list.", "Adressez-vous au responsable de la liste."),
    "cause.system": Text(
        "A mail server on the way does not work as it should.",
        "Un serveur de messagerie sur le trajet ne fonctionne pas comme il le devrait.",
    ),
    "todo.system": Text(
        "Send the message again later. If it fails again, show this message to your administrator.",
        "Renvoyez le message plus tard. S’il échoue encore, montrez ce message à votre administrateur.",
    ),
    "cause.unreachable": Text(
        "The recipient’s server could not be reached.", "Le serveur du destinataire n’a pas pu être joint."
    ),
    "todo.unreachable": Text(
        "Check the spelling of what follows the @. If it is right, send the message again later.",
        "Vérifiez l’orthographe de ce qui suit le @. Si elle est juste, renvoyez le message plus tard.",
    ),
    "cause.dns": Text(
        "It could not be found out which server takes mail for this address (DNS).",
        "Il n’a pas été possible de savoir quel serveur reçoit le courrier de cette adresse (DNS).",
    ),
    "todo.dns": Text(
        "Check the spelling of what follows the @. If it is right, send the message again later.",
        "Vérifiez l’orthographe de ce qui suit le @. Si elle est juste, renvoyez le message plus tard.",
    ),
    "cause.route": Text(
        "No server that can be reached takes mail for this address.",
        "Aucun serveur joignable ne reçoit le courrier de cette adresse.",
    ),
    "todo.route": Text(
        "Check the spelling of what follows the @.", "Vérifiez l’orthographe de ce qui suit le @."
    ),
    "cause.loop": Text(
        "Servers pass the message on to each other in a circle.",
        "Des serveurs se renvoient le message en boucle.",
    ),
    "todo.loop": Text(
        "Tell the recipient by another way: an address of theirs is forwarded wrongly.",
        "Prévenez le destinataire par un autre moyen : l’une de ses adresses est mal redirigée.",
    ),
    "cause.expired": Text(
        "The message could not be delivered in time.", "Le message n’a pas pu être remis à temps."
    ),
    "todo.expired": Text(
        "Send it again later, or reach the recipient by another way.",
        "Renvoyez-le plus tard, ou joignez le destinataire par un autre moyen.",
    ),
    "cause.too-many": Text(
        "The message has too many recipients for this server.", "Le message a trop de destinataires pour ce serveur."
    ),
    "todo.too-many": Text("Send it to fewer of them at a time.", "Envoyez-le à moins de personnes à la fois."),
    "cause.protocol": Text(
        "The two mail servers did not understand each other.",
        "Les deux serveurs de messagerie ne se sont pas compris.",
    ),
    "todo.protocol": Text("Show this message to your administrator.", "Montrez ce message à votre administrateur."),
    "cause.content": Text(
        "The form of the message was not accepted.", "La forme du message n’a pas été acceptée."
    ),
    "todo.content": Text(
        "Write it anew as plain text, without unusual attachments.",
        "Réécrivez-le en texte brut, sans pièces jointes inhabituelles.",
    ),
    "cause.eight-bit": Text(
        "The recipient’s server does not take messages of this form (8-bit text).",
        "Le serveur du destinataire n’accepte pas les messages de cette forme (texte sur 8 bits).",
    ),
    "todo.eight-bit": Text(
        "Send it from another mail program, or as plain text without accents.",
        "Envoyez-le depuis un autre logiciel de messagerie, ou en texte brut sans accents.",
    ),
    "cause.international": Text(
        "The recipient’s server does not take international addresses (SMTPUTF8).",
        "Le serveur du destinataire n’accepte pas les adresses internationales (SMTPUTF8).",
    ),
    "todo.international": Text(
        "Use an address without accents, yours and theirs.",
        "Utilisez une adresse sans accents, pour vous comme pour le destinataire.",
    ),
    "cause.policy": Text(
        "The recipient’s server refused the message by its rules.",
        "Le serveur du destinataire a refusé le message en application de ses règles.",
    ),
    "todo.policy": Text(
        "Its answer may say why. Links and attachments are frequent causes; otherwise show this message to your administrator.",
        "Sa réponse peut dire pourquoi. Les liens et les pièces jointes en sont souvent la cause ; sinon, montrez ce message à "
        "votre administrateur.",
    ),
    "cause.authentication": Text(
        "The recipient’s server doubts that the message really comes from your domain.",
        "Le serveur du destinataire doute que le message vienne vraiment de votre domaine.",
    ),
    "todo.authentication": Text(
        "Show this message to your administrator: the SPF, DKIM or DMARC records of your domain need a look.",
        "Montrez ce message à votre administrateur : les enregistrements SPF, DKIM ou DMARC de votre domaine sont à vérifier.",
    ),
    "cause.encryption": Text(
        "The message may only travel encrypted, and an encrypted connection that can be trusted could not be made.",
        "Le message ne doit circuler que chiffré, et aucune connexion chiffrée digne de confiance n’a pu être établie.",
    ),
    "todo.encryption": Text(
        "Nothing was sent in clear. Show this message to your administrator.",
        "Rien n’a été envoyé en clair. Montrez ce message à votre administrateur.",
    ),
    "cause.requiretls": Text(
        "You asked for encryption all the way (REQUIRETLS), which the recipient’s server does not promise.",
        "Vous avez demandé un chiffrement sur tout le trajet (REQUIRETLS), que le serveur du destinataire ne garantit pas.",
    ),
    "todo.requiretls": Text(
        "Nothing was sent in clear. If the content permits, send it again without asking for that.",
        "Rien n’a été envoyé en clair. Si le contenu le permet, renvoyez-le sans cette exigence.",
    ),
    "cause.rate": Text(
        "The recipient’s server takes no more mail for now.",
        "Le serveur du destinataire n’accepte plus de courrier pour le moment.",
    ),
    "todo.rate": Text("Send it again tomorrow.", "Renvoyez-le demain."),
    "cause.other": Text("The message was not accepted.", "Le message n’a pas été accepté."),
    "todo.other": Text(
        "If the detail does not help you, show this message to your administrator.",
        "Si le détail ne vous aide pas, montrez ce message à votre administrateur.",
    ),
    # Notices of held mail: words
    "origin.account": Text("the account {name}", "le compte {name}"),
    "origin.sender": Text("the script {name}", "le script {name}"),
    "origin.relay": Text("the relay rule {name}", "la règle de relais {name}"),
    "origin.forward": Text("mail forwarded by {name}", "le courrier redirigé par {name}"),
    "origin.route": Text("the route {name}", "la route {name}"),
    "origin.system": Text("this server itself", "le serveur lui-même"),
    "reason.recipients-per-day": Text(
        "too many recipients in 24 hours (the limit is {limit})",
        "trop de destinataires en 24 heures (limite :\u00a0{limit})",
    ),
    "reason.external-per-hour": Text(
        "too many recipients at other organisations in an hour (the limit is {limit})",
        "trop de destinataires extérieurs en une heure (limite :\u00a0{limit})",
    ),
    "reason.new-recipients-per-day": Text(
        "too many recipients in 24 hours who never had mail from this sender before (the limit is {limit})",
        "trop de destinataires en 24 heures à qui cet expéditeur n’avait jamais écrit (limite :\u00a0{limit})",
    ),
    "reason.burst": Text(
        "too many recipients in one minute (the limit is {limit})",
        "trop de destinataires en une minute (limite :\u00a0{limit})",
    ),
    "reason.loop-same-content": Text(
        "the same message to the same recipient again and again (the limit is {limit} an hour)",
        "le même message au même destinataire, encore et encore (limite :\u00a0{limit} par heure)",
    ),
    "reason.loop-answers": Text(
        "answer after answer to the same recipient, as when two programs talk to each other (the limit is {limit} an hour)",
        "réponse sur réponse au même destinataire, comme quand deux programmes se répondent (limite :\u00a0{limit} par heure)",
    ),
    "reason.incident-open": Text(
        "an earlier incident of the same sender is not decided yet",
        "un incident précédent du même expéditeur n’est pas encore tranché",
    ),
    "fact.reason": Text("Reason:", "Motif :"),
    "fact.since": Text("Since:", "Depuis :"),
    "fact.messages": Text("Messages:", "Messages :"),
    "fact.recipients": Text("Recipients:", "Destinataires :"),
    "fact.incident": Text("Incident:", "Incident :"),
    # Notices of held mail: to the person who sent it
    "held.person.subject": Text("Your outgoing mail is held", "Votre courrier sortant est retenu"),
    "held.person.what": Text(
        "The mail server {hostname} holds mail that was sent from your account {name}. It has not left, and it is not lost.",
        "Le serveur de messagerie {hostname} retient du courrier envoyé depuis votre compte {name}. Il n’est pas parti, et il "
        "n’est pas perdu.",
    ),
    "held.person.mine": Text(
        "If you sent it: tell your administrator, with the number of the incident. The administrator can let it go, and give "
        "you a higher limit.",
        "Si c’est vous qui l’avez envoyé : dites-le à votre administrateur, avec le numéro de l’incident. Il peut laisser "
        "partir ce courrier, et relever votre limite.",
    ),
    "held.person.not-mine": Text(
        "If you did not: somebody may know your password. Change it at once, and tell your administrator.",
        "Si ce n’est pas vous : quelqu’un connaît peut-être votre mot de passe. Changez-le tout de suite, et prévenez votre "
        "administrateur.",
    ),
    "held.person.meanwhile": Text(
        "Meanwhile you can read and receive mail as usual. What you send is held too, until the administrator has decided.",
        "En attendant, vous pouvez lire et recevoir du courrier comme d’habitude. Ce que vous envoyez est retenu aussi, "
        "jusqu’à la décision de l’administrateur.",
    ),
    # … to the administrator
    "held.admin.subject": Text("Mail held: {origin} (incident {incident})", "Courrier retenu : {origin} (incident {incident})"),
    "held.admin.what": Text(
        "The mail server {hostname} holds mail of {origin}. More of it will be held until you decide.",
        "Le serveur de messagerie {hostname} retient du courrier. Origine : {origin}. Tout nouvel envoi de la même origine "
        "sera retenu jusqu’à votre décision.",
    ),
    "held.admin.commands": Text(
        "To see what is held, and to whom it goes:\n    poterne hold show {incident}\n"
        "To let it go:\n    poterne hold release {incident}\n"
        "To remove it all; nobody is told:\n    poterne hold purge {incident}",
        "Pour voir ce qui est retenu, et pour qui :\n    poterne hold show {incident}\n"
        "Pour le laisser partir :\n    poterne hold release {incident}\n"
        "Pour tout supprimer, sans avertir personne :\n    poterne hold purge {incident}",
    ),
    "held.admin.account": Text(
        "Ask the person by another way than mail first. If it was somebody else, the password is known: change it before "
        "anything else (poterne account password).",
        "Interrogez d’abord la personne, autrement que par courrier électronique. Si ce n’était pas elle, son mot de passe est "
        "connu : changez-le avant toute autre chose (poterne account password).",
    ),
    "held.admin.sender": Text(
        "Ask whoever answers for the script. If it is in a loop, or no longer theirs alone, revoke it (poterne sender revoke).",
        "Interrogez le responsable du script. Si le script boucle, ou s’il sert à d’autres, révoquez-le (poterne sender revoke).",
    ),
    "held.admin.other": Text(
        "Find out what has changed there before you let it go.",
        "Cherchez ce qui y a changé avant de laisser partir ce courrier.",
    ),
    # … to the owner of a script
    "held.owner.subject": Text("Mail of your script {name} is held", "Le courrier de votre script {name} est retenu"),
    "held.owner.what": Text(
        "The mail server {hostname} holds mail of the script {name}, for which you answer. It has not left, and it is not lost.",
        "Le serveur de messagerie {hostname} retient du courrier du script {name}, dont vous êtes responsable. Il n’est pas "
        "parti, et il n’est pas perdu.",
    ),
    "held.owner.loop": Text(
        "The script seems to be in a loop. Stop it, and find out why it writes so often; then ask your administrator to remove "
        "what is held.",
        "Le script semble boucler. Arrêtez-le, et cherchez pourquoi il écrit si souvent ; demandez ensuite à votre "
        "administrateur de supprimer ce qui est retenu.",
    ),
    "held.owner.limit": Text(
        "If the script should send so much: tell your administrator, with the number of the incident. If it should not: stop "
        "it, for somebody may be using it.",
        "Si le script doit envoyer autant : dites-le à votre administrateur, avec le numéro de l’incident. Sinon : "
        "arrêtez-le, car quelqu’un s’en sert peut-être.",
    ),
    "held.owner.meanwhile": Text(
        "What the script sends meanwhile is held too, until the administrator has decided.",
        "Ce que le script envoie entre-temps est retenu aussi, jusqu’à la décision de l’administrateur.",
    ),
    # Notices of forwards that failed: to whoever forwards, and to the postmaster about lists
    "forward.subject": Text("Forwarding to {address} failed", "Échec de la redirection vers {address}"),
    "forward.what": Text(
        "The mail server {hostname} could not forward a message for {via} to {address}. It has stopped trying.",
        "Le serveur de messagerie {hostname} n’a pas pu rediriger vers {address} un message destiné à {via}. Il a cessé "
        "d’essayer.",
    ),
    "forward.kept": Text(
        "Nothing is lost: the message is in your mailbox.", "Rien n’est perdu : le message est dans votre boîte."
    ),
    "forward.owner": Text(
        "If that address is wrong or no longer used, have your administrator change the forwarding or end it. Whoever wrote "
        "the message was not told. This notice comes once a day at most for each address; later messages are kept in the "
        "same way.",
        "Si cette adresse est fausse ou abandonnée, faites changer ou supprimer la redirection par votre administrateur. "
        "L’auteur du message n’a pas été averti. Cet avis n’est envoyé qu’une fois par jour et par adresse ; les messages "
        "suivants sont conservés de la même façon.",
    ),
    "forward.list": Text(
        "If that address is wrong or no longer used, take it off {via} (poterne alias). Whoever wrote the message was not "
        "told, and it is not kept for that address. This notice comes once a day at most for each address; every failure is "
        "recorded as an event (message.failed).",
        "Si cette adresse est fausse ou abandonnée, retirez-la de {via} (poterne alias). L’auteur du message n’a pas été "
        "averti, et le message n’est pas conservé pour cette adresse. Cet avis n’est envoyé qu’une fois par jour et par "
        "adresse ; chaque échec est enregistré comme événement (message.failed).",
    ),
    "forward.full": Text(
        "The mailbox of {via} could not take the message in place of that address: it is full, or gone. The message is lost.",
        "La boîte de {via} n’a pas pu recevoir le message à la place de cette adresse : elle est pleine, ou supprimée. Le "
        "message est perdu.",
    ),
    "fact.trace": Text("Trace:", "Trace :"),
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


_JOINERS: Final = "\u200c\u200d"
"""Some writing, and many an emoji, is made with them."""


def printable(text: str, limit: int) -> str:
    """One line of it: what steers a terminal, hides or turns writing around is "?", and it ends in "…" when it was longer."""
    text = " ".join(text[: limit + 1].split())
    if not text.isascii() or not text.isprintable():
        text = "".join("?" if unicodedata.category(char)[0] == "C" and char not in _JOINERS else char for char in text)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def paragraph(text: str, indent: str = "") -> str:
    """The text in lines of at most WIDTH characters, where words allow it."""
    return _filled(text, indent, indent)


def listing(items: Iterable[tuple[str, str]]) -> str:
    """Labels and what belongs to them, in two columns."""
    items = tuple(items)
    width = max(len(label) for label, _ in items) + 2
    return "\n".join(_filled(text, label.ljust(width), " " * width) for label, text in items)


def _filled(text: str, first: str, others: str) -> str:
    return textwrap.fill(
        text, WIDTH, initial_indent=first, subsequent_indent=others, break_long_words=False, break_on_hyphens=False
    )
