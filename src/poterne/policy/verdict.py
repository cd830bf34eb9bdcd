"""What becomes of a message from a stranger, with the words for each who is told: who sent it and who reads it."""

from dataclasses import dataclass, field
from typing import Final

from poterne.policy.reasons import Found, Reason, Told
from poterne.policy.verdict_texts import answer, field_of, sentence
from poterne.proto.smtp.replies import Reply

_NOTHING: Final = Told()


@dataclass(frozen=True, slots=True)
class _Decided:
    reason: Reason
    found: Found | None = None
    """The sign that made it milder, if one did."""
    told: Told = field(default=_NOTHING, repr=False, compare=False)

    @property
    def word(self) -> str:
        """Reason and sign as one stable word, at most 60 characters: `dmarc-reject+known-list`."""
        return self.reason.value if self.found is None else f"{self.reason.value}+{self.found.sign.value}"

    def sentence(self, language: str = "en") -> str:
        """For whoever reads the message: one line that says why it is where it is. At most 400 characters, printable."""
        return sentence(language, self.reason, self.found, self.told)

    def field(self, language: str = "en") -> bytes:
        """`X-Poterne-Reason: word; sentence` with its CRLF, folded, ASCII."""
        return field_of(self.word, self.sentence(language))


@dataclass(frozen=True, slots=True)
class Accept(_Decided):
    pass


@dataclass(frozen=True, slots=True)
class Junk(_Decided):
    """Delivered, into the mailbox for junk."""


@dataclass(frozen=True, slots=True)
class Quarantine(_Decided):
    """Taken, and kept from the mailbox."""


@dataclass(frozen=True, slots=True)
class Defer(_Decided):
    @property
    def reply(self) -> Reply:
        """451. Printable ASCII, at most 500 octets on the wire."""
        return answer(self.reason, self.told)


@dataclass(frozen=True, slots=True)
class Refuse(_Decided):
    @property
    def reply(self) -> Reply:
        """550 with a code of RFC 3463 or RFC 7372. Printable ASCII, at most 500 octets on the wire."""
        return answer(self.reason, self.told)


Verdict = Accept | Junk | Quarantine | Defer | Refuse
