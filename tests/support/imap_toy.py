"""A session for the IMAP core that shows each event as a comment line and says OK: what transcripts and fuzzing run on."""

import re

from poterne.proto.imap import commands, responses
from poterne.proto.imap.limits import Limits
from poterne.proto.imap.responses import Challenge, Continue, Greeting, Untagged
from poterne.proto.imap.server import ServerCore
from tests.support.transcript import Runner, Transcript

SMALL = Limits(
    guest_line_bytes=100,
    line_bytes=400,
    sasl_line_bytes=60,
    guest_literal_bytes=20,
    literal_bytes=100,
    append_bytes=1000,
    append_messages=3,
    literals=5,
    discard_bytes=300,
    guest_discard_bytes=150,
    pipelined_bytes=100_000,
    depth=8,
    search_keys=20,
    list_items=12,
    sequence_parts=10,
    part_depth=5,
)


def _braced(members: str) -> str:
    """Members of a frozenset in a fixed order."""
    return "{" + ", ".join(sorted(members.split(", "))) + "}"


def show(event: object) -> bytes:
    """The event on one line of ASCII, tag and reply left out, enum members by name."""
    text = repr(event)
    text = re.sub(r"tag=b'[^']*'(, )?", "", text)
    text = re.sub(r"frozenset\(\{([^}]*)\}\)", lambda found: _braced(found[1]), text)
    text = re.sub(r"<\w+\.(\w+): [^>]*>", r"\1", text)
    text = re.sub(r", reply=Completed\(.*\)(, in_append=(\w+))?\)$", r", in_append=\2)", text)
    return text.encode("ascii", "backslashreplace")


class Toy:
    """Mailboxes named "No…" and messages of more than 500 octets are refused; credentials are never wrong."""

    def __init__(self, core: ServerCore, *, shows: bool = True) -> None:
        self.core = core
        self.shows = shows
        self.seen: list[str] = []
        self.data = bytearray()

    def __call__(self, event: commands.Event) -> None:
        core = self.core
        if isinstance(event, commands.AppendData):
            self.data += event.data
            return
        self.seen.append(repr(event) + repr(bytes(self.data)))
        if self.shows:
            if self.data:
                core.send(Untagged(b"* # data %a\r\n" % bytes(self.data)))
            core.send(Untagged(b"* # %b\r\n" % show(event)))
        self.data.clear()
        self._answer(event)

    def _answer(self, event: commands.Event) -> None:
        core = self.core
        match event:
            case commands.Bad():
                core.send(event.reply)
            case commands.AppendStart():
                if event.mailbox.startswith("No") or event.size > 500:
                    core.send(responses.no(b"refused", responses.OVERQUOTA))
                else:
                    core.send(Continue())
            case commands.Idle():
                core.send(Continue())
            case commands.AppendEnd(last=False):
                pass
            case commands.Authenticate(mechanism=mechanism) if mechanism == "PLAIN" and event.initial is None:
                core.send(Challenge(b""))
            case commands.SaslCancelled():
                core.send(responses.bad(b"cancelled"))
            case commands.Login() | commands.Authenticate() | commands.SaslResponse():
                core.authenticated()
                core.send(responses.ok(b"welcome"))
            case commands.Select():
                core.selected(not event.mailbox.startswith("No"))
                core.send(responses.ok(b"done", responses.READ_WRITE))
            case commands.Close() | commands.Unselect():
                core.selected(False)
                core.send(responses.ok(b"done"))
            case commands.Enable():
                core.enabled(event.capabilities)
                core.send(responses.ok(b"done"))
            case commands.Logout():
                core.send(responses.Bye(b"bye"))
                core.send(responses.ok(b"done"))
            case _:
                core.send(responses.ok(b"done"))


def runner(transcript: Transcript) -> Runner:
    """Options: "tls", "small" (SMALL limits), "known" (signed in), "selected", "rev2"."""
    options = transcript.options
    core = ServerCore(SMALL if "small" in options else Limits(), tls="tls" in options)
    if options & {"known", "selected"}:
        core.authenticated()
    if "selected" in options:
        core.selected(True)
    if "rev2" in options:
        core.enabled(["IMAP4REV2"])

    def greet() -> None:
        if "greeting" in options:
            core.send(Greeting(b"ready", (b"IMAP4rev1", b"IMAP4rev2")))

    return Runner(core, Toy(core), greet)
