"""A session for the POP3 core, small enough to foresee: user anna, password secret, three messages."""

from dataclasses import dataclass, field
from typing import Any

from poterne.proto.core import Signal
from poterne.proto.pop3 import commands, replies, texts
from poterne.proto.pop3.replies import BodyChunk, BodyEnd, BodyStart, Err, Listing, Ok, Sent
from poterne.proto.pop3.server import Server
from poterne.proto.pop3.settings import Limits, Offer
from poterne.proto.sasl.mechanism import Challenge, Credentials, Exchange
from poterne.proto.sasl.registry import exchange
from tests.support.transcript import Runner, Transcript

MESSAGES = (
    b"Subject: one\r\n\r\nfirst\r\n.\r\n.second\r\nthird\r\n",
    b"\r\n.no header\r\nno end",
    b"Subject: only a header\r\n",
)


@dataclass
class Toy:
    """Messages go to the core in chunks of `chunk` octets."""

    core: Server
    chunk: int = 5
    seen: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.deleted: set[int] = set()
        self.exchange: Exchange | None = None

    def __call__(self, event: Any) -> None:
        self.seen.append(event)
        for reply in self.answers(event):
            self.core.send(reply)

    def answers(self, event: Any) -> list[Sent]:
        left = [(i, m) for i, m in enumerate(MESSAGES, 1) if i not in self.deleted]
        number = getattr(event, "number", None)
        if number is not None and number not in [i for i, _ in left]:
            return [replies.NO_SUCH_MESSAGE]
        match event:
            case commands.Connect():
                return [Ok("pop.test ready")]
            case commands.Pass(name, password):
                return [Ok("3 messages") if (name, password.reveal()) == ("anna", b"secret") else replies.AUTH_FAILED]
            case commands.AuthStart() | commands.AuthResponse():
                return [self.authenticate(event)]
            case commands.AuthCancel():
                return [replies.AUTH_CANCELLED]
            case commands.Stat():
                return [replies.stat(len(left), sum(len(m) for _, m in left))]
            case commands.List(None):
                return [Listing("list follows", [b"%d %d" % (i, len(m)) for i, m in left])]
            case commands.Uidl(None):
                return [Listing("", (b"%d uid-%d" % (i, i) for i, _ in left))]
            case commands.List(n) if n:
                return [Ok(f"{n} {len(MESSAGES[n - 1])}")]
            case commands.Uidl(n) if n:
                return [Ok(f"{n} uid-{n}")]
            case commands.Retr(n) | commands.Top(n):
                return self.body(MESSAGES[n - 1])
            case commands.Dele(n):
                self.deleted.add(n)
                return [Ok()]
            case commands.Rset():
                self.deleted.clear()
                return [Ok()]
            case commands.Utf8():
                return [Ok()]
            case commands.Lang(None):
                return [Listing("Languages", [f"{tag} {name}".encode() for tag, name in texts.LANGUAGES.items()])]
            case commands.Lang(str(wanted)):
                tag = texts.chosen("en" if wanted == "*" else wanted)
                if tag is None:
                    return [Err("This language is not spoken here")]
                self.core.speak(tag)
                return [Ok(f"{tag} {texts.said('Language is now English', tag)}")]
            case commands.Bad():
                return [event.reply]
            case _:
                return [Ok("OK")]

    def body(self, message: bytes) -> list[Sent]:
        chunks = [message[i : i + self.chunk] for i in range(0, len(message), self.chunk)]
        return [BodyStart(f"{len(message)} octets"), *map(BodyChunk, chunks), BodyEnd()]

    def authenticate(self, event: commands.AuthStart | commands.AuthResponse) -> Sent:
        if isinstance(event, commands.AuthStart):
            self.exchange = exchange(event.mechanism)
            assert self.exchange is not None
            step = self.exchange.start(event.initial)
        else:
            assert self.exchange is not None
            step = self.exchange.step(event.data)
        match step:
            case Challenge(data):
                return replies.Challenge(data)
            case Credentials("anna", password, "") if password.reveal() == b"secret":
                return Ok("signed in")
            case _:
                return Err("No\r\n+OK really", replies.Code.AUTH)


def runner(options: frozenset[str] = frozenset()) -> Runner:
    offer = Offer(stls="stls" in options, auth=("PLAIN", "LOGIN") if "auth" in options else ())
    core = Server(offer, Limits(command_line=255, auth_line=700, skipped_line=1000), tls="tls" in options)
    toy = Toy(core)

    def greet() -> None:
        event = core.next_event()
        assert not isinstance(event, Signal)
        toy(event)

    return Runner(core, toy, greet)


def make(transcript: Transcript) -> Runner:
    return runner(transcript.options)
