"""The invariant of every core: events or PeerError, bounded memory, the whole input equals byte by byte."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from poterne.proto.smtp.server import Server
from tests.support import smtp_toy

WORDS = [
    b"EHLO c.example\r\n", b"HELO c\r\n", b"LHLO c\r\n", b"MAIL FROM:<a@b.example>\r\n", b"MAIL FROM:<>", b" SIZE=5", b" BODY=8BITMIME", b" SMTPUTF8",
    b"RCPT TO:<a@b.example>\r\n", b"RCPT TO:<no@b.example>\r\n", b"RCPT TO:<later@b>\r\n", b"DATA\r\n", b"\r\n.\r\n", b".\r\n", b"BDAT 5\r\n", b"BDAT 3 LAST\r\n",
    b"BDAT 0 LAST\r\n", b"BDAT -1", b"RSET\r\n", b"NOOP\r\n", b"QUIT\r\n", b"AUTH PLAIN\r\n", b"AUTH LOGIN\r\n", b"*\r\n", b"AGFubmEAc2VjcmV0\r\n", b"auth plain ",
    b"STARTTLS\r\n", b"VRFY x\r\n", b"HELP\r\n", b"\r\n", b"\r", b"\n", b"\0", b"abcde", b"x" * 300, b"..", b" ", b'<"a\\"', b">", b"@", b"\xc3\xa9", b"REJECT",
]  # fmt: skip
START = b"EHLO c.example\r\n"
ENVELOPE = b"MAIL FROM:<a@b.example>\r\nRCPT TO:<a@b.example>\r\n"
INPUT = st.builds(
    lambda start, words: start + b"".join(words),
    st.sampled_from([b"", START, START + ENVELOPE, START + ENVELOPE + b"DATA\r\n", START + b"AUTH LOGIN\r\n"]),
    st.lists(st.sampled_from(WORDS), max_size=25) | st.lists(st.binary(max_size=20), max_size=10),
)
OPTIONS = st.sampled_from(
    [frozenset[str](), frozenset({"tls", "auth"}), frozenset({"small"}), frozenset({"lmtp"}), frozenset({"plain"})]
)


def run(data: bytes, step: int, options: frozenset[str]) -> tuple[list[Any], bytes, str | None]:
    runner = smtp_toy.runner(options)
    toy, core = runner.answer, runner.core
    assert isinstance(toy, smtp_toy.Toy)
    assert isinstance(core, Server)
    for i in range(0, len(data), step):
        runner.feed(data[i : i + step])
        assert core.buffered <= smtp_toy.LIMITS.skipped_line
        if runner.end:
            break
    else:
        runner.feed(b"")
    return [*toy.seen, *toy.messages], bytes(runner.said), runner.end


@settings(max_examples=400, deadline=None)
@given(INPUT, OPTIONS, st.integers(2, 9))
def test_whole_is_bytewise(data: bytes, options: frozenset[str], step: int) -> None:
    whole = run(data, len(data) + 1, options)
    assert whole[2] is not None  # every connection ends
    assert run(data, 1, options) == whole
    assert run(data, step, options) == whole


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200), st.integers(1, 50))
def test_any_octets(data: bytes, step: int) -> None:
    runner = smtp_toy.runner()
    for i in range(0, len(data), step):
        if runner.end is None:
            runner.feed(data[i : i + step])
