import re
import time

from hypothesis import given
from hypothesis import strategies as st

from poterne.session.imap.wildcards import matcher


def by_regex(pattern: str, name: str) -> bool:
    parts = [".*" if char == "*" else "[^/]*" if char == "%" else re.escape(char) for char in pattern]
    return re.fullmatch("".join(parts), name, re.DOTALL) is not None


@given(st.text("ab/%*", max_size=8), st.text("ab/", max_size=10))
def test_as_the_obvious_expression(pattern: str, name: str) -> None:
    assert matcher(pattern)(name) == by_regex(pattern, name)


def test_inbox_in_any_case() -> None:
    for pattern in ("inbox", "InB*", "%", "*", "i%X"):
        assert matcher(pattern)("INBOX")
    assert not matcher("inbox")("inbox2")
    assert not matcher("sent")("Sent")


def test_time_is_linear() -> None:
    began = time.monotonic()
    assert not matcher("*a" * 500)("a" * 499)
    assert not matcher("%*a" * 300 + "b")("a" * 1000)
    assert time.monotonic() - began < 0.5
