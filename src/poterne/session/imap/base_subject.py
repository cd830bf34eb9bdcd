"""The base subject, by which SORT and THREAD compare (RFC 5256 §2.1, exactly: clients do the same on their side)."""

import re
from typing import Final, NamedTuple

_SPACES: Final = re.compile(r"[ \t\r\n]+")
_PLAIN: Final = re.compile(r"(?![ ]|re|fw|\[)[^\t\r\n ]++(?: [^\t\r\n ]++)*+(?<!\(fwd\))", re.IGNORECASE).fullmatch
"""A subject that is its own base."""
_BLOBS: Final = re.compile(r"(?:\[[^\[\]]*+\] *+)++").match
_REFWD: Final = re.compile(r"(?:re|fwd?) *+(?:\[[^\[\]]*+\] *+)?+:", re.IGNORECASE).match


class Subject(NamedTuple):
    base: str
    """As it was written: fold it to compare."""
    is_reply: bool
    """Something that stands for a reply or a forward was removed."""


def base_subject(text: str) -> Subject:
    """Of a subject whose encoded words are decoded. Takes linear time, whatever is in it."""
    if _PLAIN(text):
        return Subject(text, is_reply=False)
    text = _SPACES.sub(" ", text)
    lower = text.lower()
    if len(lower) != len(text):  # a few characters become two; what is looked for is ASCII
        lower = "".join([c.lower() if c.isascii() else c for c in text])
    at, end, is_reply = 0, len(text), False
    while True:
        while at < end and (text[end - 1] == " " or lower.endswith("(fwd)", at, end)):  # (2)
            is_reply |= text[end - 1] != " "
            end -= 1 if text[end - 1] == " " else 5
        at, replied = _without_leaders(text, at, end)
        is_reply |= replied
        if not (lower.startswith("[fwd:", at, end) and text[end - 1] == "]"):  # (6)
            return Subject(text[at:end], is_reply)
        at, end, is_reply = at + 5, end - 1, True


def _without_leaders(text: str, at: int, end: int) -> tuple[int, bool]:
    """Steps (3) to (5): where the text begins, and whether it was a reply."""
    is_reply = False
    while at < end:
        if text[at] == " ":
            at += 1
            continue
        blobs = _BLOBS(text, at, end)  # all at once: one by one, each would look at all that follow
        behind = at if blobs is None else blobs.end()
        if (refwd := _REFWD(text, behind, end)) is not None:
            at, is_reply = refwd.end(), True
        elif blobs is None:
            break
        elif behind < end:
            at = behind
        else:  # the last one is the subject
            at = text.rfind("[", at, end)
            break
    return at, is_reply
