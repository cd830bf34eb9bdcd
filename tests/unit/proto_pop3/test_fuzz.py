from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from poterne.proto.pop3.server import Server
from tests.support import pop3_toy

WORDS = [
    b"USER anna\r\n", b"PASS secret\r\n", b"PASS x\r\n", b"AUTH PLAIN\r\n", b"AUTH PLAIN AGFubmEAc2VjcmV0\r\n", b"*\r\n", b"AGFubmEAc2VjcmV0\r\n", b"CAPA\r\n",
    b"STAT\r\n", b"LIST\r\n", b"LIST 1\r\n", b"UIDL\r\n", b"RETR 1\r\n", b"RETR 2\r\n", b"TOP 1 1\r\n", b"DELE 1\r\n", b"RSET\r\n", b"NOOP\r\n", b"QUIT\r\n", b"STLS\r\n",
    b"UTF8\r\n", b"LANG\r\n", b"LANG fr\r\n", b"LANG *\r\n", b"LANG de\r\n",
    b"\r\n", b"\r", b"\n", b"\0", b"x" * 200, b"auth ", b" ", b"9", b"\xff",
]  # fmt: skip
INPUT = st.builds(
    lambda start, words: start + b"".join(words),
    st.sampled_from([b"", b"USER anna\r\nPASS secret\r\n"]),
    st.lists(st.sampled_from(WORDS), max_size=25) | st.lists(st.binary(max_size=20), max_size=10),
)


def run(data: bytes, step: int, options: frozenset[str]) -> tuple[list[Any], bytes, str | None]:
    runner = pop3_toy.runner(options)
    toy, core = runner.answer, runner.core
    assert isinstance(toy, pop3_toy.Toy)
    assert isinstance(core, Server)
    for i in range(0, len(data), step):
        runner.feed(data[i : i + step])
        assert core.buffered <= 1000
        if runner.end:
            break
    else:
        runner.feed(b"")
    return toy.seen, bytes(runner.said), runner.end


@settings(max_examples=300, deadline=None)
@given(INPUT, st.sampled_from([frozenset[str](), frozenset({"tls", "auth"})]), st.integers(2, 9))
def test_whole_is_bytewise(data: bytes, options: frozenset[str], step: int) -> None:
    whole = run(data, len(data) + 1, options)
    assert whole[2] is not None
    assert run(data, 1, options) == whole
    assert run(data, step, options) == whole
