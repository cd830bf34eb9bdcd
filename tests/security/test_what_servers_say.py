"""What a hostile server says is shown to people, in lists, logs and notices: it must not steer their terminals or their eyes."""

import unicodedata
from pathlib import Path

import pytest

from poterne.message.texts import printable
from poterne.queue.outcome import Transient
from tests.support.outbound import Sender, hop, only
from tests.support.sink import Sink

TRICKS = [
    "\x1b[2J\x1b]0;owned\x07", "\x9b31m", "\x08\x08\x08", "\u202egnp.exe", "\u2066hidden\u2069", "\u200binvisible", "\u2028line",
    "\ufeffmark", "\U000e0041tag", "\u061cmark", "\xadsoft", "a\tb", "\x00nul", "\x7f",
]  # fmt: skip


@pytest.mark.parametrize("trick", TRICKS)
async def test_a_reply_is_plain_text(tmp_path: Path, trick: str) -> None:
    rule = b"450 4.2.0 before " + trick.encode() + b" after\r\n"
    with Sink({"RCPT": rule, "DATA": b"503 5.5.1 no\r\n"}) as sink:
        async with Sender(tmp_path / "blobs") as sender:
            outcome = only(await sender.send(hop(sink.port)))
    assert isinstance(outcome, Transient)
    if outcome.reply.startswith("450 "):
        assert "before" in outcome.reply
    assert not [char for char in outcome.reply if unicodedata.category(char)[0] == "C" or char in "\u2028\u2029"]
    assert printable(outcome.reply, 500) == outcome.reply, "what a notice shows of it is the same"


async def test_honest_words_of_all_people_stay(tmp_path: Path) -> None:
    words = "bo\xeete pleine, \u0446\u0435\u043b\u044b\u0439, \u6e80\u676f, \u05de\u05dc\u05d0"
    with Sink({"RCPT": b"450 4.2.0 " + words.encode() + b"\r\n", "DATA": b"503 5.5.1 no\r\n"}) as sink:
        async with Sender(tmp_path / "blobs") as sender:
            assert only(await sender.send(hop(sink.port))).reply.endswith(words)
