"""The notice that mail could not be forwarded: for whoever forwards, or for the postmaster when a list does.

Nobody outside is ever written to: whoever wrote the mail may be a stranger, or not be who they say. Plain text that says that no
person wrote it (RFC 3834 §5).
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final

from poterne.message.compose import Letter, Mailbox, compose
from poterne.message.texts import listing, paragraph, printable, say

_MAX_NAME: Final = 254
_MAX_SAID: Final = 500


class Kept(Enum):
    """What became of the message; the value is the key of the paragraph that says so."""

    MAILBOX = "forward.kept"
    """It is in the mailbox of whoever forwards."""
    LIST = "forward.list"
    """A list: the others have it."""
    NOWHERE = "forward.full"
    """It should have been in the mailbox, which could not take it."""


@dataclass(frozen=True, slots=True)
class ForwardNotice:
    """What the notice is made from. `via`, `address`, `said`, `author` and `remote` may hold anything."""

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
    via: str
    """The address of ours that forwards."""
    address: str
    """Where to."""
    kept: Kept
    said: str
    """What the other server said, or why we could not go on."""
    remote: str
    """Who said it; "" when we found it ourselves."""
    trace: str


def render(notice: ForwardNotice) -> bytes:
    """The notice as a message. Always returns."""
    language = notice.language
    values = {
        "hostname": printable(notice.hostname, _MAX_NAME),
        "via": printable(notice.via, _MAX_NAME),
        "address": printable(notice.address, _MAX_NAME),
    }
    who = "dsn.answered" if notice.remote else "dsn.reason"
    paragraphs = [
        paragraph(say(language, "forward.what", **values)),
        say(language, who, remote=printable(notice.remote, _MAX_NAME)),
        paragraph(printable(notice.said, _MAX_SAID) or "-", "    "),
        paragraph(say(language, notice.kept.value, **values)),
    ]
    if notice.kept is Kept.MAILBOX:
        paragraphs.append(paragraph(say(language, "forward.owner", **values)))
    paragraphs.append(listing([(say(language, "fact.trace"), printable(notice.trace, _MAX_NAME))]))
    name = notice.sender.name or say(language, "server", hostname=values["hostname"])
    return compose(
        Letter(
            sender=Mailbox(notice.sender.address, name),
            to=(notice.to,),
            subject=say(language, "forward.subject", **values),
            text="\n\n".join(paragraphs) + "\n",
            unix_s=notice.unix_s,
            message_id=notice.message_id,
        )
    )
