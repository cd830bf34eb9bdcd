"""Every text of ours is there in French, and nothing else is; capabilities as RFC 2449 writes them."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from poterne.proto.pop3 import replies, texts
from poterne.proto.pop3.replies import Capabilities, Err, Ok

SOURCE = Path(__file__).resolve().parents[3] / "src" / "poterne"
FILES = [*(SOURCE / "proto" / "pop3").glob("*.py"), *(SOURCE / "session" / "pop3").glob("*.py")]
CALLS = {"Ok", "Err", "Listing", "BodyStart", "Capabilities"}


def spoken(file: Path) -> Iterator[str]:
    """First arguments of replies; what is filled in stands as "#"."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CALLS and node.args:
            for choice in (
                [node.args[0].body, node.args[0].orelse] if isinstance(node.args[0], ast.IfExp) else [node.args[0]]
            ):
                if isinstance(choice, ast.Constant) and isinstance(choice.value, str):
                    yield choice.value
                elif isinstance(choice, ast.JoinedStr):
                    yield "".join(str(one.value) if isinstance(one, ast.Constant) else "#" for one in choice.values)


ALL = {text for file in FILES for text in spoken(file)}


def test_all_of_it_is_there_in_french() -> None:
    plain = {text for text in ALL if re.search(r"[A-Za-z]{3}", text.replace("POP3", ""))}
    assert len(plain) > 30
    assert plain - set(texts.FRENCH) == set()


def test_nothing_is_there_that_nobody_says() -> None:
    indirect = {"Language is now English", "Signed in again too soon, wait # seconds"}
    assert set(texts.FRENCH) - ALL - indirect == set()
    assert all(f'"{text.replace("#", "{")}'.split("{")[0] in "".join(f.read_text() for f in FILES) for text in indirect)


@pytest.mark.parametrize("text", sorted(texts.FRENCH))
def test_numbers_stay_where_they_are(text: str) -> None:
    numbers = [str(11 * n) for n in range(1, text.count("#") + 1)]
    english, french = text, texts.FRENCH[text]
    for number in numbers:
        english, french = english.replace("#", number, 1), french.replace("#", number, 1)
    assert texts.said(english, "fr") == french
    assert texts.said(english, "en") == english
    assert "#" not in french
    assert len(replies.line(Err(english), "fr")) <= 512


@pytest.mark.parametrize(("wanted", "tag"), [("fr", "fr"), ("FR-ca", "fr"), ("en-GB", "en"), ("de", None), ("*", None)])
def test_chosen(wanted: str, tag: str | None) -> None:
    assert texts.chosen(wanted) == tag


def test_what_is_not_a_text_is_said_as_it_is() -> None:
    assert replies.line(Ok("2 320"), "fr") == b"+OK 2 320\r\n"
    assert replies.line(Ok(""), "fr") == b"+OK\r\n"


def test_capabilities() -> None:
    nothing = Capabilities("x")
    assert replies.capabilities(nothing, signed_in=True) == [b"EXPIRE NEVER"]
    some = Capabilities("x", 5, True, 60, "Poterne")
    assert replies.capabilities(some, signed_in=False) == [b"EXPIRE 5 USER", b"LOGIN-DELAY 60"]
    assert replies.capabilities(some, signed_in=True) == [b"EXPIRE 5", b"LOGIN-DELAY 60", b"IMPLEMENTATION Poterne"]
