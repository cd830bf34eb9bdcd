r"""SMTP smuggling (CVE-2023-51764, -51765, -51766 and kin): no sequence but CRLF.CRLF ends a message, or leaves us in one.

Each sequence stands in a body, followed by smuggled commands, as an attacker pipelines them. Then the message is either refused
whole (and nothing of it was taken for a command), or accepted as one message that holds the sequence as plain text and that our
own client sends on without any octets that another server could take for an end.
"""

import random
import re
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poterne.proto.dots import DotStuffer
from poterne.proto.smtp import events
from tests.support import smtp_toy

SMUGGLED = b"MAIL FROM:<evil@b.example>\r\nRCPT TO:<victim@b.example>\r\nDATA\r\nSubject: smuggled\r\n\r\nhi"
HELLO = b"EHLO c.example\r\n"
ENVELOPE = b"MAIL FROM:<a@b.example>\r\nRCPT TO:<a@b.example>\r\n"

SEQUENCES = {
    "LF.LF": b"\n.\n",
    "LF.CR": b"\n.\r",
    "CR.LF": b"\r.\n",
    "CR.CR": b"\r.\r",
    "LF.CRLF": b"\n.\r\n",
    "CR.CRLF": b"\r.\r\n",
    "CRLF.LF": b"\r\n.\n",
    "CRLF.CR": b"\r\n.\r",
    "CRLF.CRCRLF": b"\r\n.\r\r\n",
    "CRCRLF.CRCRLF": b"\r\r\n.\r\r\n",
    "CRCRLF.CRLF": b"\r\r\n.\r\n",
    "CRLF-NUL.CRLF": b"\r\n\0.\r\n",
    "CRLF.NUL-CRLF": b"\r\n.\0\r\n",
    "CRLF.-NUL-LF": b"\r\n.\0\n",
    "CR-NUL-LF.CR-NUL-LF": b"\r\0\n.\r\0\n",
    "LFCR.LFCR": b"\n\r.\n\r",
    "CRLF.SP-CRLF": b"\r\n. \r\n",
    "CRLF.TAB-CRLF": b"\r\n.\t\r\n",
    "CRLF-SP.CRLF": b"\r\n .\r\n",
    "CRLF-BS.CRLF": b"\r\n\x08.\r\n",
    "VT.VT": b"\x0b.\x0b",
    "FF.FF": b"\x0c.\x0c",
    "NEL.NEL": b"\xc2\x85.\xc2\x85",
    "LS.LS": b"\xe2\x80\xa8.\xe2\x80\xa8",
}
REAL_END = {"CRCRLF.CRLF"}
"""Holds a CRLF.CRLF: the message does end there, is refused for its bare CR, and the rest are the client's own commands."""
TEXT = {"CRLF.SP-CRLF", "CRLF.TAB-CRLF", "CRLF-SP.CRLF", "CRLF-BS.CRLF", "VT.VT", "FF.FF", "NEL.NEL", "LS.LS"}
"""No bare CR or LF, no NUL: text to everybody."""


def bodies(sequence: bytes) -> list[bytes]:
    return [b"Subject: x\r\n\r\nhello" + sequence + SMUGGLED, sequence + SMUGGLED, b"x\r\n" + sequence + SMUGGLED]


def run(pieces: list[bytes]) -> tuple[smtp_toy.Toy, bytes, str | None]:
    runner = smtp_toy.runner()
    said = b"".join(runner.feed(piece) for piece in pieces if runner.end is None)
    assert isinstance(runner.answer, smtp_toy.Toy)
    return runner.answer, said, runner.end


def in_pieces(data: bytes, seed: int) -> list[bytes]:
    if seed == 0:
        return [data]
    if seed == 1:
        return [data[i : i + 1] for i in range(len(data))]
    rng = random.Random(seed)
    places = sorted({0, len(data), *(rng.randrange(len(data)) for _ in range(rng.randrange(1, 12)))})
    return [data[a:b] for a, b in pairwise(places)]


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("name", SEQUENCES)
def test_data(name: str, seed: int) -> None:
    for body in bodies(SEQUENCES[name]):
        toy, said, end = run([HELLO, ENVELOPE + b"DATA\r\n", *in_pieces(body + b"\r\n.\r\nNOOP\r\n", seed)])
        assert end is None
        assert said.endswith(b"250 2.0.0 OK\r\n")  # the connection lives on, at the right place
        ends = [e for e in toy.seen if isinstance(e, events.DataEnd)]
        if name in REAL_END:
            assert ends[0].fault is events.DataFault.BARE_CR
            continue
        assert len(ends) == 1
        assert not any(isinstance(e, events.MailFrom) and "evil" in e.path.raw for e in toy.seen)
        # At the start of a message, CRLF.SP CRLF and its like begin with an empty line.
        if name in TEXT:
            assert [m.body for m in toy.messages] == [re.sub(rb"(\A|\r\n)\.", rb"\1", body) + b"\r\n"]
        else:
            assert ends[0].fault is not None
            assert not toy.messages
            assert b"550 5.6.0" in said


@pytest.mark.parametrize("name", SEQUENCES)
def test_bdat(name: str) -> None:
    for body in bodies(SEQUENCES[name]):
        text = body + b"\r\n"
        toy, said, end = run([HELLO, ENVELOPE, b"BDAT %d LAST\r\n%bNOOP\r\n" % (len(text), text)])
        assert end is None
        assert said.endswith(b"250 2.0.0 OK\r\n")
        assert not any(isinstance(e, events.MailFrom) and "evil" in e.path.raw for e in toy.seen)
        plain = not (
            text.replace(b"\r\n", b"").count(b"\r") or text.replace(b"\r\n", b"").count(b"\n") or b"\0" in text
        )
        assert [m.body for m in toy.messages] == ([text] if plain else [])


def test_bdat_payload_is_stuffed_on_its_way_out() -> None:
    payload = b"Subject: x\r\n\r\nhi\r\n.\r\nMAIL FROM:<evil@b.example>\r\n.\r\n"
    toy, _, _ = run([HELLO, ENVELOPE, b"BDAT %d LAST\r\n" % len(payload) + payload])
    (message,) = toy.messages
    assert message.body == payload
    stuffer = DotStuffer(check=True)
    wire = stuffer.feed(message.body) + stuffer.finish()
    assert wire.count(b"\r\n.\r\n") == 1
    assert wire.endswith(b"\r\n.\r\n")


@pytest.mark.parametrize("name", SEQUENCES)
def test_outbound(name: str) -> None:
    """Our client refuses to send any of it unless it is text to everybody."""
    for body in bodies(SEQUENCES[name]):
        for seed in range(4):
            stuffer = DotStuffer(check=True)
            wire = b"".join(stuffer.feed(piece) for piece in in_pieces(body, seed)) + stuffer.finish()
            bare = body.replace(b"\r\n", b"")
            assert (stuffer.fault is None) == (b"\r" not in bare and b"\n" not in bare and b"\0" not in bare)
            if stuffer.fault is None:
                assert wire.find(b"\r\n.\r\n") == len(wire) - 5
                assert b"\n.\r" not in wire[:-4]


@settings(max_examples=500, deadline=None)
@given(
    st.lists(st.sampled_from([b"\r", b"\n", b".", b"\r\n", b"\0", b"a", b"\r\n.", b"\n.\n"]), max_size=14).map(
        b"".join
    ),
    st.integers(0, 50),
)
def test_any_mixture(body: bytes, seed: int) -> None:
    """Whatever stands before the first CRLF.CRLF is one message or none; a message that is taken holds nothing bare."""
    data = body + b"\r\n.\r\n"
    toy, _, _ = run([HELLO, ENVELOPE + b"DATA\r\n", *in_pieces(data, seed)])
    stop = (b"\r\n" + data).index(b"\r\n.\r\n")
    message = (b"\r\n" + data)[: stop + 2]
    bare = message.replace(b"\r\n", b"")
    dirty = b"\r" in bare or b"\n" in bare or b"\0" in bare
    first = next(e for e in toy.seen if isinstance(e, events.DataEnd))
    assert (first.fault is not None) == dirty
    assert [m.body for m in toy.messages[:1]] == ([] if dirty else [message.replace(b"\r\n.", b"\r\n")[2:]])
