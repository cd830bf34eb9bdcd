"""What commands print for programs does nothing to a terminal."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poterne.cli.common import show, show_json

EVIL = "caf\u00e9 \x1b[2J \x7f \x9b2J \x85 \u202egpj.exe\u202c \u2066x\u2069 \u200b \u2028 \U000e0041 \ud800 日本 😀"


def test_strangers_text_steers_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    show([{"subject": EVIL}], as_json=True, empty="")
    printed = capsys.readouterr().out
    assert all(char.isprintable() or char == "\n" for char in printed)
    assert "café" in printed
    assert "日本 😀" in printed
    assert json.loads(printed) == [{"subject": EVIL}]


@given(st.text(st.characters(), max_size=50))
def test_programs_read_what_was_there(text: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        printed: list[str] = []
        patch.setattr("click.echo", printed.append)
        show_json({"text": text})
    assert json.loads(printed[0]) == {"text": text}
    assert printed[0].replace("\n", "").isprintable()
