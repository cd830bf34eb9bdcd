"""What people read, in every language. One entry holds all languages, so none can be forgotten."""

from typing import Final, NamedTuple

LANGUAGES: Final = ("en", "fr")


class Text(NamedTuple):
    en: str
    fr: str


TEXTS: Final = {
    "title": Text("Set up your mail program", "Configurer votre logiciel de messagerie"),
    "title-of": Text("Set up {address}", "Configurer {address}"),
    "easy": Text(
        "Most programs (Thunderbird, Outlook, the mail app of a phone…) need your address and your password only, "
        "and find the rest by themselves.",
        "La plupart des logiciels (Thunderbird, Outlook, l’application de messagerie d’un téléphone…) ne demandent "
        "que votre adresse et votre mot de passe, et trouvent le reste tout seuls.",
    ),
    "ask": Text("Your mail address", "Votre adresse électronique"),
    "show": Text("Show", "Afficher"),
    "unknown": Text("This is not an address of this server.", "Cette adresse n’appartient pas à ce serveur."),
    "apple": Text("iPhone, iPad, Mac", "iPhone, iPad, Mac"),
    "apple-text": Text(
        "Download the profile and open it; the device asks for your password. On an iPhone or iPad it waits in "
        "Settings, “Profile Downloaded”.",
        "Téléchargez le profil et ouvrez-le\u202f; l’appareil vous demande votre mot de passe. Sur un iPhone ou un iPad, "
        "il attend dans Réglages, «\u00a0Profil téléchargé\u00a0».",
    ),
    "download": Text("Download the profile", "Télécharger le profil"),
    "by-hand": Text("To type in by hand", "À saisir à la main"),
    "what": Text("What for", "Usage"),
    "server": Text("Server", "Serveur"),
    "port": Text("Port", "Port"),
    "encryption": Text("Encryption", "Chiffrement"),
    "imap": Text("Receiving (IMAP)", "Réception (IMAP)"),
    "pop3": Text("Receiving (POP3)", "Réception (POP3)"),
    "smtp": Text("Sending (SMTP)", "Envoi (SMTP)"),
    "implicit": Text("SSL/TLS", "SSL/TLS"),
    "starttls": Text("STARTTLS", "STARTTLS"),
    "choose": Text(
        "Choose IMAP when you read your mail on several devices; POP3 fetches it to one. Of several lines of one "
        "kind the first is the best.",
        "Choisissez IMAP si vous lisez votre courrier sur plusieurs appareils\u202f; POP3 le rapatrie sur un seul. "
        "Parmi plusieurs lignes d’un même usage, la première est la meilleure.",
    ),
    "user": Text("User name", "Nom d’utilisateur"),
    "user-text": Text("your full address", "votre adresse complète"),
    "password": Text("Password", "Mot de passe"),
    "password-text": Text(
        "yours, as “normal password”, for sending too",
        "le vôtre, en «\u00a0mot de passe normal\u00a0», pour l’envoi aussi",
    ),
    "warning": Text(
        "A program that reports a wrong certificate is not connected to this server: do not type your password, ask "
        "your administrator.",
        "Un logiciel qui signale un certificat incorrect n’est pas connecté à ce serveur\u202f: ne saisissez pas "
        "votre mot de passe, demandez à votre administrateur.",
    ),
    "profile": Text("Mail of {domain}", "Messagerie de {domain}"),
    "profile-text": Text(
        "Sets up {address} in Mail. It holds no password.",
        "Configure {address} dans Mail. Il ne contient aucun mot de passe.",
    ),
}


def say(key: str, language: str, **fields: str) -> str:
    """The text; what fills it may come from strangers and is never read as a template. An unknown language: English."""
    text = TEXTS[key]
    return (text.fr if language == "fr" else text.en).format(**fields)
