"""What POP3 says, in other languages (RFC 6856 §3). Sessions speak English; numbers in it stand where "#" is here.

A text that is not here is said in English. A test makes sure that every text of ours is here.
"""

import re
from typing import Final

LANGUAGES: Final = {"en": "English", "fr": "Français"}
"""Tags, and what each calls itself."""
DEFAULT: Final = "en"

_NUMBER: Final = re.compile(r"[0-9]+")

FRENCH: Final = {
    "# messages": "# messages",
    "# octets": "# octets",
    "A line holds a CR, lines end in CRLF": "Une ligne contient un CR, les lignes se terminent par CRLF",
    "Acting as somebody else is not possible: sign in as yourself": "Pas pour un autre : connectez-vous en votre nom",
    "Another program has this mailbox open, try again later": "Un autre logiciel utilise cette boîte, réessayez plus tard",
    "Authentication cancelled": "Authentification abandonnée",
    "Cannot check passwords for now, try again later": "Vérification des mots de passe impossible pour l’instant, réessayez",
    "Capabilities": "Fonctions offertes",
    "Goodbye": "Au revoir",
    "Goodbye, # messages removed": "Au revoir, # messages supprimés",
    "International text is on": "Le texte international est activé",
    "Language is now English": "Les réponses sont désormais en français",
    "Languages": "Langues",
    "Lines end in CRLF here, not in LF": "Les lignes se terminent ici par CRLF et non par LF",
    "Marked to be removed at QUIT": "Sera supprimé à QUIT",
    "No such message": "Ce message n’existe pas",
    "Nothing may follow STLS before the handshake": "Rien ne doit suivre STLS avant la négociation",
    "Ready to start TLS": "Prêt pour TLS",
    "Say STLS first": "Envoyez d’abord STLS",
    "Say UTF8 first: this message's header is international": "Envoyez d’abord UTF8 : l’en-tête du message est international",
    "Say USER first": "Envoyez d’abord USER",
    "Shutting down, try again later": "Le serveur s’arrête, réessayez plus tard",
    "Sign in first": "Identifiez-vous d’abord",
    "Signed in again too soon, wait # seconds": "Reconnexion trop rapide, attendez # secondes",
    "Something failed here, try again later": "Erreur de notre côté, réessayez plus tard",
    "TLS is running": "TLS est déjà actif",
    "That is not a response of this mechanism": "Ce n’est pas une réponse de ce mécanisme",
    "The argument is not what this command takes": "L’argument ne convient pas à cette commande",
    "The line does not end": "La ligne ne finit pas",
    "The line holds a NUL": "La ligne contient un NUL",
    "The line is too long": "La ligne est trop longue",
    "The messages could not be removed, they are all still there": "Les messages n’ont pu être supprimés, tous sont encore là",
    "This command is not known": "Commande inconnue",
    "This command is not offered": "Cette commande n’est pas offerte",
    "This is not base64": "Ce n’est pas du base64",
    "This is not what you are looking for": "Ce n’est pas ce que vous cherchez",
    "This language is not spoken here": "Cette langue n’est pas parlée ici",
    "This mechanism is not offered": "Ce mécanisme n’est pas offert",
    "Timed out": "Délai dépassé",
    "Too many errors": "Trop d’erreurs",
    "Sign in again": "Reconnectez-vous",
    "Unique ids": "Identifiants",
    "User name or password is wrong": "Nom d’utilisateur ou mot de passe incorrect",
    "You are signed in": "Vous êtes déjà identifié",
}


def chosen(wanted: str) -> str | None:
    """The tag for a language range like "fr" or "fr-CA" (RFC 4647 §3.4, by its first subtag); None: it is not spoken here."""
    tag = wanted.partition("-")[0].lower()
    return tag if tag in LANGUAGES else None


def said(text: str, language: str) -> str:
    """The text in this language, or as it is."""
    if language != "fr" or not text:
        return text
    if (exact := FRENCH.get(text)) is not None:
        return exact
    numbers: list[str] = _NUMBER.findall(text)
    found = FRENCH.get(_NUMBER.sub("#", text))
    if found is None:
        return text
    for number in numbers:
        found = found.replace("#", number, 1)
    return found
