"""Which language is wanted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poterne.proto.http.language import preferred


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("", "en"),
        ("fr", "fr"),
        ("FR-ca", "fr"),
        ("fr-CH, fr;q=0.9, en;q=0.8, de;q=0.7, *;q=0.5", "fr"),
        ("en;q=0.1,fr;q=0.2", "fr"),
        ("en , fr", "en"),
        ("de, it", "en"),
        ("de, fr;q=0.1", "fr"),
        ("fr;q=0", "en"),
        ("fr;q=7", "en"),
        ("fr;q=1.000", "fr"),
        ("*, fr;q=0.1", "en"),
        ("x" * 500 + ", fr", "fr"),
        (", ," * 40 + "fr", "en"),
    ],
)
def test_language(field: str, expected: str) -> None:
    assert preferred(field, ("en", "fr"), "en") == expected


@given(st.text(st.sampled_from("fren-*;q=01. ,\t\xff")))
def test_whatever_comes(field: str) -> None:
    assert preferred(field, ("en", "fr"), "en") in {"en", "fr"}
