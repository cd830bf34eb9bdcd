"""Messages that are known by a number: whoever sees one knows what all of it must be."""

import datetime as dt
import re
from dataclasses import dataclass
from functools import lru_cache

_SUBJECTS = ("Budget", "Re: Budget", "Conseil municipal", "Re: Conseil municipal", "Cantine", "Fwd: Cantine", "Travaux")
_AUTHORS = ("ada", "grace", "hedy", "mary")
_WORDS = ("pomme", "poire", "cerise", "figue", "noix")
_BEGIN = dt.datetime(2026, 1, 1, 12, 0, tzinfo=dt.UTC)
NUMBER_FIELD = b"BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)]"
_NUMBER = re.compile(rb"^Message-ID: <(\d+)@stress\.test>", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Facts:
    """What searches and sorts go by."""

    number: int
    subject: str
    author: str
    word: str
    sent: dt.datetime

    @property
    def base_subject(self) -> str:
        return self.subject.removeprefix("Re: ").removeprefix("Fwd: ").upper()


@lru_cache(maxsize=4096)
def facts(number: int) -> Facts:
    return Facts(
        number,
        _SUBJECTS[number * 5 % len(_SUBJECTS)],
        _AUTHORS[number * 3 % len(_AUTHORS)],
        _WORDS[number * 7 % len(_WORDS)],
        _BEGIN + dt.timedelta(hours=number * 37 % 4000),
    )


@lru_cache(maxsize=4096)
def body(number: int) -> bytes:
    return f"{facts(number).word} {number}\r\n".encode() * (1 + number * 11 % 23)


@lru_cache(maxsize=4096)
def letter(number: int) -> bytes:
    known = facts(number)
    head = (
        f"From: {known.author} <{known.author}@elsewhere.test>\r\n"
        "To: someone@peers.test\r\n"
        f"Subject: {known.subject}\r\n"
        f"Date: {known.sent:%a, %d %b %Y %H:%M:%S +0000}\r\n"
        f"Message-ID: <{number}@stress.test>\r\n\r\n"
    )
    return head.encode() + body(number)


def number_of(header: bytes) -> int:
    """The number of the message whose header, or a part of it, this is; 0: it is not one of ours."""
    found = _NUMBER.search(header)
    return int(found[1]) if found else 0
