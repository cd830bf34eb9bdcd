"""A session for the SMTP core, small enough to foresee: what transcripts, fuzzing and the client's tests run on."""

from dataclasses import dataclass, field
from typing import Any

from poterne.proto.core import Signal
from poterne.proto.sasl.mechanism import Challenge, Credentials, Exchange
from poterne.proto.sasl.registry import exchange
from poterne.proto.smtp import events, replies
from poterne.proto.smtp.replies import Reply
from poterne.proto.smtp.server import Server
from poterne.proto.smtp.settings import Limits, Offer
from tests.support.transcript import Runner, Transcript

GREETING = Reply(220, "", "mx.test ESMTP")
HELLO = Reply(250, "", "mx.test")
REFUSED = Reply(550, "5.1.1", "No such user")
SENDER_REFUSED = Reply(550, "5.7.1", "Not from you")
DATA_REFUSED = Reply(451, "4.3.0", "Not now")
CONTENT_REFUSED = Reply(554, "5.6.0", "I do not like it")


@dataclass
class Message:
    mail: events.MailFrom
    rcpts: list[events.RcptTo]
    body: bytes
    end: events.DataEnd


@dataclass
class Toy:
    """Local part "no": refused; recipient "later": DATA is refused; body with REJECT: refused; user anna has password secret."""

    core: Server
    messages: list[Message] = field(default_factory=list)
    seen: list[Any] = field(default_factory=list)
    """Events, the chunks of a message joined to one bytes object, and left out when the message has a fault."""

    def __post_init__(self) -> None:
        self.mail: events.MailFrom | None = None
        self.rcpts: list[events.RcptTo] = []
        self.body = bytearray()
        self.exchange: Exchange | None = None

    def __call__(self, event: Any) -> None:
        if isinstance(event, events.DataChunk):
            assert event.data, "an empty chunk"
            self.body += event.data
            return
        if isinstance(event, events.DataEnd) and event.fault is None:
            self.seen.append(bytes(self.body))
        if not isinstance(event, events.ChunkEnd):  # its own size tells where it was
            self.seen.append(event)
        else:
            self.seen.append((event.size, event.refusal))
        for reply in self.answers(event):
            self.core.send(reply)

    def answers(self, event: Any) -> list[replies.Sent]:
        match event:
            case events.Connect():
                return [GREETING]
            case events.Hello():
                return [HELLO]
            case events.MailFrom(path):
                self.mail, self.rcpts = event, []
                return [SENDER_REFUSED if path.address and path.address.local_part == "no" else replies.SENDER_OK]
            case events.RcptTo(path):
                if path.address and path.address.local_part == "no":
                    return [REFUSED]
                self.rcpts.append(event)
                return [replies.RECIPIENT_OK]
            case events.DataStart():
                self.body.clear()
                later = any(r.path.address and r.path.address.local_part == "later" for r in self.rcpts)
                return [DATA_REFUSED if later else replies.START_DATA]
            case events.ChunkEnd():
                return [event.refusal or replies.CHUNK_OK]
            case events.DataEnd():
                return self.end(event)
            case events.Vrfy():
                return [replies.CANNOT_VRFY]
            case events.Help():
                return [replies.HELP]
            case events.Quit():
                return [replies.BYE]
            case events.StartTls():
                return [replies.START_TLS]
            case events.AuthStart() | events.AuthResponse():
                return [self.authenticate(event)]
            case events.AuthCancel():
                return [replies.AUTH_CANCELLED]
            case events.Bad():
                return [event.reply]
            case _:
                return [replies.OK]

    def end(self, event: events.DataEnd) -> list[replies.Sent]:
        count = len(self.rcpts) if self.core.lmtp else 1
        if event.refusal is not None:
            return [event.refusal] * count
        if b"REJECT" in self.body:
            return [CONTENT_REFUSED] * count
        assert self.mail is not None
        self.messages.append(Message(self.mail, self.rcpts, bytes(self.body), event))
        return [replies.OK] * count

    def authenticate(self, event: events.AuthStart | events.AuthResponse) -> replies.Sent:
        if isinstance(event, events.AuthStart):
            self.exchange = exchange(event.mechanism)
            assert self.exchange is not None
            step = self.exchange.start(event.initial)
        else:
            assert self.exchange is not None
            step = self.exchange.step(event.data)
        match step:
            case Challenge(data):
                return replies.Challenge(data)
            case Credentials("anna", password, "" | "anna") if password.reveal() == b"secret":
                return replies.AUTHENTICATED
            case _:
                return replies.AUTH_FAILED


def offer(options: frozenset[str] = frozenset()) -> Offer:
    return Offer(
        size_bytes=1000 if "small" in options else 100_000,
        starttls="starttls" in options,
        auth=("PLAIN", "LOGIN") if "auth" in options else (),
        chunking="plain" not in options,
        smtputf8="plain" not in options,
        dsn="plain" not in options,
        requiretls="auth" in options,
        recipients=3 if "small" in options else 1000,
        lmtp="lmtp" in options,
    )


LIMITS = Limits(command_line=512, auth_line=700, skipped_line=1500)


def runner(options: frozenset[str] = frozenset()) -> Runner:
    core = Server(offer(options), LIMITS, tls="tls" in options)
    toy = Toy(core)

    def greet() -> None:
        event = core.next_event()
        assert not isinstance(event, Signal)
        toy(event)

    return Runner(core, toy, greet)


def make(transcript: Transcript) -> Runner:
    return runner(transcript.options)
