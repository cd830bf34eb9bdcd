"""The folders that every account begins with: their special use (RFC 6154) and their name in each language."""

from typing import Final

from poterne.values.mailbox import SpecialUse

DEFAULT_LANGUAGE: Final = "en"

FOLDERS: Final[dict[str, tuple[tuple[str, SpecialUse], ...]]] = {
    "en": (
        ("Drafts", SpecialUse.DRAFTS),
        ("Sent", SpecialUse.SENT),
        ("Junk", SpecialUse.JUNK),
        ("Trash", SpecialUse.TRASH),
        ("Archive", SpecialUse.ARCHIVE),
    ),
    "fr": (
        ("Brouillons", SpecialUse.DRAFTS),
        ("Envoyés", SpecialUse.SENT),
        ("Indésirables", SpecialUse.JUNK),
        ("Corbeille", SpecialUse.TRASH),
        ("Archives", SpecialUse.ARCHIVE),
    ),
}
"""Clients find them by their use, people by their name; all of them are subscribed."""


def folder_name(use: SpecialUse, language: str) -> str:
    """In the language, else in English; "" for a use that no account begins with."""
    names = FOLDERS.get(language) or FOLDERS[DEFAULT_LANGUAGE]
    return next((name for name, its in names if its is use), "")
