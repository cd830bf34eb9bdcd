import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poterne.message.texts import (
    LANGUAGES,
    TEXTS,
    WIDTH,
    date_text,
    listing,
    paragraph,
    printable,
    say,
    span_text,
)

NOW = 1_790_062_865


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


@pytest.mark.parametrize("key", TEXTS)
def test_every_language_says_it_with_the_same_placeholders(key: str) -> None:
    text = TEXTS[key]
    assert text._fields == LANGUAGES
    assert all(text)
    assert placeholders(text.en) == placeholders(text.fr)
    for one in text:
        assert one == one.strip()
        assert "'" not in one  # typewriter apostrophe
        assert '"' not in one
        assert "  " not in one.replace("\n    ", "")


@pytest.mark.parametrize("key", TEXTS)
def test_french_has_its_spaces(key: str) -> None:
    french = TEXTS[key].fr.replace("{minute:02}", "")
    for at, char in enumerate(french):
        if char in ";!?" and at:
            assert french[at - 1] == "\u202f", key
        if char in ":»":
            assert french[at - 1] == "\u00a0", key
        if char == "«":
            assert french[at + 1] == "\u00a0", key


def test_languages_differ() -> None:
    same = {key for key, text in TEXTS.items() if text.en == text.fr}
    assert same <= {"minutes", "origin.route"} | {key for key in same if key.startswith("fact.")}


def test_values_of_strangers_are_no_templates() -> None:
    assert say("en", "server", hostname="{hostname.__class__} {0}") == "Mail server {hostname.__class__} {0}"


def test_unknown_language_is_english_and_unknown_key_a_bug() -> None:
    assert say("xx", "minute") == "one minute"
    with pytest.raises(KeyError):
        say("en", "nonsense")


def test_dates() -> None:
    assert date_text("en", NOW, 120) == "22 September 2026, 09:41 (+0200)"
    assert date_text("fr", NOW, -210) == "22 septembre 2026 à 4\u00a0h\u00a011 (-0330)"
    assert date_text("fr", 1_786_000_000) == "6 août 2026 à 7\u00a0h\u00a006 (UTC)"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-5, "one minute"),
        (0, "one minute"),
        (119, "one minute"),
        (120, "2 minutes"),
        (3600, "one hour"),
        (5400, "90 minutes"),
        (4 * 3600, "4 hours"),
        (86_400, "one day"),
        (36 * 3600, "36 hours"),
        (5 * 86_400 + 300, "5 days"),
    ],
)
def test_spans(seconds: int, shown: str) -> None:
    assert span_text("en", seconds) == shown


def test_printable() -> None:
    assert printable("a\r\nb\tc\x00d\x1b[1m", 99) == "a b c?d?[1m"
    assert printable("a\u202eb\u2066c\u200ed\ufeff", 99) == "a?b?c?d?"
    assert printable("d\u00e9j\u00e0 \U0001f469\u200d\U0001f467", 99) == "d\u00e9j\u00e0 \U0001f469\u200d\U0001f467"
    assert printable("abcdef", 6) == "abcdef"
    assert printable("abcdefg", 6) == "abcde…"
    assert printable("\udc80", 6) == "?"


@given(st.text(max_size=100), st.integers(1, 60))
def test_printable_is_one_bounded_line(text: str, limit: int) -> None:
    shown = printable(text, limit)
    assert len(shown) <= limit
    assert len(shown.splitlines()) <= 1
    assert not set(shown) & {"\0", "\x1b", "\u202e", "\u2028"}


def test_layout() -> None:
    assert max(map(len, paragraph("word " * 100, "    > ").splitlines())) <= WIDTH
    assert paragraph("x" * 200) == "x" * 200
    assert listing([("A:", "one"), ("Long:", "two")]) == "A:     one\nLong:  two"
