"""State desynchronisation: whatever commands come and however the session answers, no event is given out of its place."""

from hypothesis import given, settings
from hypothesis import strategies as st

from poterne.proto.core import Signal
from poterne.proto.smtp import events, replies
from poterne.proto.smtp.replies import Reply
from poterne.proto.smtp.server import Server
from poterne.proto.smtp.settings import Offer
from poterne.values.secret import Secret

LINES = [
    b"EHLO c\r\n", b"HELO c\r\n", b"MAIL FROM:<a@b>\r\n", b"MAIL FROM:<\xc3\xa9@b> SMTPUTF8\r\n", b"RCPT TO:<a@b>\r\n", b"RCPT TO:<\xc3\xa9@b>\r\n", b"RCPT TO:<%@b>\r\n",
    b"DATA\r\n", b"x\r\n.\r\n", b"x\0y\r\n.\r\n", b"BDAT 6\r\nRSET\r\n", b"BDAT 6 LAST\r\nQUIT\r\n", b"BDAT 2\r\na\n", b"BDAT 0 LAST\r\n", b"RSET\r\n", b"NOOP\r\n",
    b"AUTH PLAIN AAAA\r\n", b"FOO\r\n",
]  # fmt: skip
NO = Reply(550, "5.0.0", "no")
LATER = Reply(451, "4.0.0", "later")


class Model:
    """RFC 5321 §4.1.4 in plain words, kept by the events and their answers alone."""

    def __init__(self) -> None:
        self.greeted = self.mail = self.utf8 = self.data = self.chunks = False
        self.rcpts = 0
        self.expect_end = False

    def clear(self) -> None:
        self.mail = self.utf8 = self.data = self.chunks = False
        self.rcpts = 0

    def see(self, event: object, answer: Reply | None) -> None:
        yes = answer is not None and answer.code < 400
        match event:
            case events.Hello():
                self.clear()
                self.greeted = yes
            case events.MailFrom():
                assert self.greeted
                assert not self.mail
                self.mail, self.utf8 = yes, yes and event.smtputf8
            case events.RcptTo():
                assert self.mail
                assert not (self.data or self.chunks)  # noqa: PT018
                assert event.path.address is not None
                assert event.path.address.is_ascii or self.utf8
                self.rcpts += yes
            case events.DataStart():
                assert self.mail
                assert self.rcpts
                assert not (self.data or self.chunks)  # noqa: PT018
                self.data = yes
                if not yes:
                    self.clear()
            case events.DataChunk():
                assert self.data or self.chunks
            case events.ChunkEnd():
                assert self.data or self.chunks
                self.data, self.chunks = False, True
                if not yes:
                    self.clear()
            case events.DataEnd():
                assert self.data or self.chunks
                self.clear()
            case events.Rset():
                self.clear()
            case events.AuthStart():
                assert self.greeted
                assert not self.mail
                assert event.initial == Secret(b"\0\0\0")
            case _:
                pass


@settings(max_examples=500, deadline=None)
@given(
    st.lists(st.sampled_from(LINES), max_size=40),
    st.lists(st.sampled_from([True, True, True, False]), min_size=10, max_size=60),
    st.integers(1, 500),
)
def test_no_event_out_of_place(lines: list[bytes], answers: list[bool], step: int) -> None:
    core = Server(Offer(auth=("PLAIN",)), tls=True)
    model = Model()
    data = b"EHLO c\r\n" + b"".join(lines)
    asked = 0
    for i in range(0, len(data), step):
        core.receive(data[i : i + step])
        while not isinstance(event := core.next_event(), Signal):
            if isinstance(event, events.DataChunk):
                model.see(event, None)
                continue
            yes = answers[asked % len(answers)]
            asked += 1
            answer = replies.OK if yes else LATER
            if isinstance(event, events.DataStart) and yes:
                answer = replies.START_DATA
            elif isinstance(event, events.Connect):
                answer = Reply(220, "", "mx")
            elif isinstance(event, events.Bad):
                answer = event.reply
            elif isinstance(event, events.DataEnd | events.ChunkEnd) and event.refusal is not None:
                answer = event.refusal
            elif isinstance(event, events.AuthStart):
                answer = NO
            core.send(answer)
            model.see(event, answer)
            assert core.recipients == model.rcpts or isinstance(event, events.Quit)
        if event is Signal.CLOSED:
            break
