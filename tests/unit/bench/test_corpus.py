import email
import email.policy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.corpus import BODY_NEEDLE, SUBJECT_NEEDLE, mixed_corpus, plain_message

MESSAGES = list(mixed_corpus(600))


@given(size=st.integers(min_value=400, max_value=200_000), number=st.integers(min_value=0, max_value=10**6))
def test_a_plain_message_has_exactly_its_size(size: int, number: int) -> None:
    message = plain_message(size, number)
    assert len(message) == size
    assert message.endswith(b"\r\n")
    assert b"\n" not in message.replace(b"\r\n", b"")


def test_a_size_without_room_is_an_error() -> None:
    with pytest.raises(ValueError, match="no room"):
        plain_message(100)


def test_same_seed_same_bytes() -> None:
    assert MESSAGES[:50] == list(mixed_corpus(50))
    assert MESSAGES[:50] != list(mixed_corpus(50, seed=2))


def test_mean_size_is_about_what_was_asked() -> None:
    mean = sum(map(len, mixed_corpus(2000))) / 2000
    assert 0.8 * 41_000 < mean < 1.25 * 41_000


def test_lines_are_strict_and_short_and_need_no_stuffing() -> None:
    for message in MESSAGES:
        assert message.endswith(b"\r\n")
        rest = message.replace(b"\r\n", b"")
        assert b"\r" not in rest
        assert b"\n" not in rest
        assert b"\0" not in message
        assert b"\r\n." not in message
        assert b" FETCH (" not in message
        assert max(map(len, message.split(b"\r\n"))) <= 998


def test_needles_are_where_the_searches_expect_them() -> None:
    subjects = [n for n, m in enumerate(MESSAGES) if SUBJECT_NEEDLE.encode() in m.partition(b"\r\n\r\n")[0]]
    bodies = [n for n, m in enumerate(MESSAGES) if BODY_NEEDLE.encode() in m.partition(b"\r\n\r\n")[2]]
    assert subjects == list(range(3, 600, 100))
    assert bodies == list(range(7, 600, 500))


def test_it_is_a_mix() -> None:
    parsed = [email.message_from_bytes(m, policy=email.policy.default) for m in MESSAGES]
    kinds = {m.get_content_type() for m in parsed}
    assert {"text/plain", "multipart/alternative", "multipart/mixed"} <= kinds
    assert any(part.get_content_type() == "message/rfc822" for m in parsed for part in m.walk())
    assert any(not m["subject"].isascii() for m in parsed)
    assert any(not m.isascii() for m in MESSAGES)
    assert all(not part.defects for m in parsed for part in m.walk())
