"""What transcripts cannot show: the contract of the core with its driver and its session."""

import pytest

from poterne.proto.core import PeerError, Signal
from poterne.proto.imap import commands, responses
from poterne.proto.imap.limits import Limits
from poterne.proto.imap.responses import Bye, Challenge, Completed, Condition, Continue, Greeting, Untagged
from poterne.proto.imap.server import ServerCore
from poterne.proto.imap.table import COMMANDS, State, holds_expunges
from tests.support.imap_toy import SMALL, Toy
from tests.support.transcript import Runner


def known() -> ServerCore:
    core = ServerCore(tls=True)
    core.authenticated()
    return core


def fed(core: ServerCore, data: bytes) -> commands.Event | Signal:
    core.receive(data)
    return core.next_event()


def said(core: ServerCore) -> bytes:
    return b"".join(core.output())


OK = responses.ok(b"done")


def test_one_command_at_a_time() -> None:
    core = ServerCore()
    assert fed(core, b"a NOOP\r\nb CAPABILITY\r\n") == commands.Noop(b"a")
    assert core.next_event() is Signal.NEED_DATA
    assert core.next_event() is Signal.NEED_DATA
    core.send(OK)
    assert core.next_event() == commands.Capability(b"b")
    core.send(Completed(Condition.NO, b"not now", responses.UNAVAILABLE))
    assert core.next_event() is Signal.NEED_DATA
    assert said(core) == b"a OK done\r\nb NO [UNAVAILABLE] not now\r\n"
    assert core.pending == 0


def test_replies_that_do_not_fit_are_our_bug() -> None:
    core = ServerCore()
    with pytest.raises(RuntimeError):
        core.send(OK)
    with pytest.raises(RuntimeError):
        core.send(Continue())
    with pytest.raises(RuntimeError):
        core.send(Challenge())
    with pytest.raises(RuntimeError):
        core.selected(True)
    with pytest.raises(RuntimeError):
        core.tls_started()
    core.authenticated()
    with pytest.raises(RuntimeError):
        core.authenticated()
    fed(core, b"a IDLE\r\n")
    core.send(Continue())
    with pytest.raises(RuntimeError):
        core.send(OK)


def test_starttls_with_injected_command_gives_no_go_ahead() -> None:
    core = ServerCore()
    assert fed(core, b"a STARTTLS\r\nb LOGIN mallory x\r\n") == commands.StartTls(b"a")
    core.send(responses.ok(b"begin"))
    with pytest.raises(PeerError) as caught:
        core.next_event()
    assert caught.value.code == "starttls-injection"
    assert said(core) == b"* BYE Plaintext was sent after STARTTLS\r\n"
    assert core.next_event() is Signal.CLOSED


@pytest.mark.parametrize("injected", [b"b", b"b NOOP\r\n", b"\r\n"])
def test_starttls_with_late_injection(injected: bytes) -> None:
    core = ServerCore()
    fed(core, b"a STARTTLS\r\n")
    core.send(responses.ok(b"begin"))
    assert core.next_event() is Signal.START_TLS
    core.receive(injected)
    with pytest.raises(PeerError, match="starttls-injection"):
        core.tls_started()
    assert core.next_event() is Signal.CLOSED


def test_starttls_refused_goes_on_in_clear() -> None:
    core = ServerCore()
    fed(core, b"a STARTTLS\r\nb NOOP\r\n")
    core.send(responses.no(b"not here"))
    assert core.next_event() == commands.Noop(b"b")
    assert said(core) == b"a NO not here\r\n"


def test_tls_forgets_everything() -> None:
    core = ServerCore()
    core.enabled(["IMAP4REV2"])
    fed(core, b"a STARTTLS\r\n")
    core.send(OK)
    assert core.next_event() is Signal.START_TLS
    core.tls_started()
    assert core.tls
    assert not core.rev2
    assert core.state is State.NOT_AUTHENTICATED
    assert isinstance(fed(core, b"b STARTTLS\r\n"), commands.Bad)


def test_end_of_file() -> None:
    core = ServerCore()
    assert fed(core, b"a NOOP\r\nb NOOP\r\nc NO") == commands.Noop(b"a")
    core.receive(b"")
    assert core.next_event() is Signal.NEED_DATA, "the session still works"
    core.send(OK)
    assert core.next_event() == commands.Noop(b"b")
    core.send(OK)
    assert core.next_event() is Signal.CLOSED
    assert said(core) == b"a OK done\r\nb OK done\r\n"


def test_end_of_file_in_a_message_gives_no_end() -> None:
    core = known()
    assert isinstance(fed(core, b"a APPEND x {5+}\r\nab"), commands.AppendStart)
    core.send(Continue())
    assert core.next_event() == commands.AppendData(b"ab")
    core.receive(b"")
    assert core.next_event() is Signal.CLOSED


def test_passwords_are_in_no_repr() -> None:
    core = ServerCore(tls=True)
    event = fed(core, b'a LOGIN joe "hunter2"\r\n')
    assert isinstance(event, commands.Login)
    assert event.password.reveal() == b"hunter2"
    assert "hunter2" not in repr(event)
    core.send(responses.no(b"wrong", responses.AUTHENTICATIONFAILED))
    event = fed(core, b"b AUTHENTICATE PLAIN AGpvZQBodW50ZXIy\r\n")
    assert isinstance(event, commands.Authenticate)
    assert event.initial is not None
    assert event.initial.reveal() == b"\0joe\0hunter2"
    assert "hunter2" not in repr(event)
    core.send(Challenge(b"again"))
    event = fed(core, b"AGpvZQBodW50ZXIy\r\n")
    assert isinstance(event, commands.SaslResponse)
    assert event.data.reveal() == b"\0joe\0hunter2"
    assert "hunter2" not in repr(event)
    core.send(responses.no(b"no"))
    event = fed(core, b"c LOGIN joe hunter2 surplus\r\n")
    assert isinstance(event, commands.Bad)
    assert "hunter2" not in repr(event)
    assert said(core) == b"a NO [AUTHENTICATIONFAILED] wrong\r\n+ YWdhaW4=\r\nb NO no\r\n"


def test_exchange_of_several_challenges() -> None:
    core = ServerCore(tls=True)
    assert isinstance(fed(core, b"a AUTHENTICATE SCRAM-SHA-256\r\n"), commands.Authenticate)
    for octets in (b"", b"\xff\0"):
        core.send(Challenge(octets))
        event = fed(core, b"\r\n" if not octets else b"/wA=\r\n")
        assert isinstance(event, commands.SaslResponse)
        assert event.data.reveal() == octets
    core.authenticated()
    core.send(OK)
    assert core.state is State.AUTHENTICATED
    assert said(core) == b"+ \r\n+ /wA=\r\na OK done\r\n"


def test_message_comes_in_pieces_as_received() -> None:
    core = known()
    fed(core, b"a APPEND x {300000}\r\n")
    core.send(Continue())
    got = 0
    for _ in range(30):
        event = fed(core, b"z" * 10_000)
        assert isinstance(event, commands.AppendData)
        got += len(event.data)
        assert core.next_event() is Signal.NEED_DATA
    assert got == 300_000
    assert fed(core, b"\r\n") == commands.AppendEnd(last=True)


def test_message_refused_while_it_comes() -> None:
    core = known()
    fed(core, b"a APPEND x {10}\r\n")
    core.send(Continue())
    assert fed(core, b"1234") == commands.AppendData(b"1234")
    core.send(responses.no(b"disk full", responses.UNAVAILABLE))
    assert fed(core, b"567890\r\nb NOOP\r\n") == commands.Noop(b"b")
    assert said(core) == b"+ Ready for the message\r\na NO [UNAVAILABLE] disk full\r\n"


def test_multiappend_refused_between_messages() -> None:
    core = known()
    fed(core, b"a APPEND x {1+}\r\n1 {2+}\r\n22 {3}\r\n")
    core.send(Continue())
    assert core.next_event() == commands.AppendData(b"1")
    assert core.next_event() == commands.AppendEnd(last=False)
    core.send(responses.no(b"enough"))
    assert core.next_event() is Signal.NEED_DATA
    assert fed(core, b"b NOOP\r\n") == commands.Noop(b"b")


def test_unsolicited_data_and_farewell() -> None:
    core = known()
    core.send(Greeting(b"hello", (b"IMAP4rev1",)))
    core.send(responses.exists(3))
    core.send(Bye(b"shutting down", responses.UNAVAILABLE))
    assert core.next_event() is Signal.CLOSED
    assert said(core) == (b"* OK [CAPABILITY IMAP4rev1] hello\r\n* 3 EXISTS\r\n* BYE [UNAVAILABLE] shutting down\r\n")
    core.send(Bye(b"twice"))
    core.send(Untagged(b"* 4 EXISTS\r\n"))
    core.receive(b"a NOOP\r\n")
    assert core.pending == 0
    assert core.next_event() is Signal.CLOSED
    assert core.state is State.LOGOUT


def test_more_sent_ahead_than_allowed() -> None:
    core = ServerCore(SMALL)
    fed(core, b"a NOOP\r\n")
    core.receive(b"b NOOP\r\n" * 20_000)
    with pytest.raises(PeerError, match="pipeline-overflow"):
        core.next_event()
    assert core.next_event() is Signal.CLOSED


def test_sasl_answer_too_long() -> None:
    runner = Runner(core := ServerCore(SMALL), Toy(core, shows=False))
    runner.feed(b"a AUTHENTICATE PLAIN\r\n")
    assert runner.feed(b"A" * 64 + b"\r\nb NOOP\r\n") == b"a BAD [TOOBIG] Line is too long\r\nb OK done\r\n"


def test_announced_sizes_are_not_reserved_and_huge_ones_refused() -> None:
    core = known()
    event = fed(core, b"a SUBSCRIBE {99999999999999999999}\r\n")
    assert isinstance(event, commands.Bad)
    assert event.code == "literal-too-big"
    core.send(event.reply)
    with pytest.raises(PeerError, match="literal-too-big"):
        fed(core, b"a SUBSCRIBE {99999999999999999999+}\r\n")


def test_a_stranger_may_not_fill_memory() -> None:
    """Whatever comes without an end, the core keeps no more than its limits."""
    limits = Limits()
    for endless in (b"x", b"a LOGIN {4096+}\r\n", b"a b c ", b'"', b"("):
        core = ServerCore(limits)
        runner = Runner(core, Toy(core, shows=False))
        for _ in range(2_000):
            runner.feed(endless * (1000 // len(endless)))
            if runner.end:
                break
            assert len(core._buffer) < limits.guest_line_bytes + limits.guest_literal_bytes + 2_000
        assert runner.end == ("bare-lf" if b"\n" in endless else "discarded-too-much")


def test_names_in_utf8_once_enabled() -> None:
    core = known()
    fed(core, b"a ENABLE UTF8=ACCEPT\r\n")
    before = core.utf8
    core.enabled(["UTF8=ACCEPT"])
    core.send(OK)
    assert (before, core.utf8) == (False, True)
    assert fed(core, b'b DELETE "\xc3\xa9"\r\n') == commands.Delete(b"b", "é")


def test_every_command_has_its_state_checked() -> None:
    for name, entry in COMMANDS.items():
        core = ServerCore()
        event = fed(core, b"a %b\r\n" % name)
        if State.NOT_AUTHENTICATED in entry.states:
            assert not isinstance(event, commands.Bad) or event.code != "state"
        else:
            assert isinstance(event, commands.Bad)
            assert event.code == "state", name


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"a FETCH 1 FLAGS\r\n", True),
        (b"a STORE 1 FLAGS ()\r\n", True),
        (b"a SEARCH ALL\r\n", True),
        (b"a UID FETCH 1 FLAGS\r\n", False),
        (b"a NOOP\r\n", False),
        (b"a COPY 1 x\r\n", False),
    ],
)
def test_commands_that_hold_expunges(line: bytes, expected: bool) -> None:
    core = known()
    core.selected(True)
    event = fed(core, line)
    assert not isinstance(event, Signal)
    assert holds_expunges(event) is expected


def test_sets_seen() -> None:
    core = known()
    core.selected(True)
    for item, expected in (
        (b"BODY[]", True),
        (b"BODY.PEEK[]", False),
        (b"RFC822", True),
        (b"RFC822.HEADER", False),
        (b"RFC822.TEXT", True),
        (b"BINARY[1]", True),
        (b"(FLAGS BINARY.PEEK[1])", False),
        (b"BODYSTRUCTURE", False),
    ):
        event = fed(core, b"a FETCH 1 %b\r\n" % item)
        assert isinstance(event, commands.Fetch)
        assert event.sets_seen is expected, item
        core.send(OK)
