"""RFC 5256 §2.1, against a plain reading of its steps."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poterne.session.imap.base_subject import base_subject


@pytest.mark.parametrize(
    ("text", "base", "is_reply"),
    [
        ("Hello", "Hello", False),
        ("", "", False),
        ("Re: Hello", "Hello", True),
        ("re[5]: [x] Hello (fwd)", "Hello", True),
        ("[fwd: Re: Hello]", "Hello", True),
        ("[Fwd: [fwd: z] (FWD)]", "z", True),
        ("[blob]", "[blob]", False),
        ("[a] [b]", "[b]", False),
        ("[list] Fwd: [other] Re [2] : x", "x", True),
        ("Re:", "", True),
        ("  a \t b\r\n c ", "a b c", False),
        ("Hello (fwd)  (fwd)", "Hello", True),
        ("reward", "reward", False),
        ("Re", "Re", False),
        ("fw: fwd:y", "y", True),
        ("re: [x]", "[x]", True),
        ("(fwd)", "", True),
        ("[unclosed re: x", "[unclosed re: x", False),
        ("[fwd: x", "[fwd: x", False),
        ("İİ (fwd)", "İİ", True),
        ("AW: x", "AW: x", False),
    ],
)
def test_examples(text: str, base: str, is_reply: bool) -> None:
    assert base_subject(text) == (base, is_reply)


def plain(text: str) -> tuple[str, bool]:
    """The steps as they are written, one removal at a time."""
    text, is_reply = re.sub(r"[ \t\r\n]+", " ", text), False
    blob, refwd = r"\[[^\[\]]*\] *", r"(?:re|fwd?) *(?:\[[^\[\]]*\] *)?:"
    while True:
        while found := re.search(r"(\(fwd\)| )\Z", text, re.IGNORECASE):
            is_reply |= found[1] != " "
            text = text[: found.start()]
        while True:
            before = text
            while found := re.match(rf"(?:{blob})*{refwd}| ", text, re.IGNORECASE):
                is_reply |= found[0] != " "
                text = text[found.end() :]
            if (found := re.match(blob, text)) and text[found.end() :].strip(" "):
                text = text[found.end() :]
            if text == before:
                break
        if not re.fullmatch(r"\[fwd:.*\]", text, re.IGNORECASE | re.DOTALL):
            return text, is_reply
        text, is_reply = text[5:-1], True


@given(
    st.lists(
        st.sampled_from(["re", "Fw", "fwd", ":", "[", "]", "[fwd:", "(fwd)", " ", "\t", "x", "[b]", "é"]), max_size=14
    )
)
def test_as_the_steps_say(words: list[str]) -> None:
    assert base_subject("".join(words)) == plain("".join(words))


@pytest.mark.parametrize(
    "piece",
    ["re:", "[a]", "(fwd)", "[", "[fwd:", " ", "re", "re [", "[a] re", "fwd [x] ", "[a]" * 50 + "re:", "(fwd) "],
)
def test_time_is_linear(piece: str) -> None:
    text = piece * (100_000 // len(piece)) + "]" * 20_000
    began = time.process_time()
    base_subject(text)
    assert time.process_time() - began < 1
