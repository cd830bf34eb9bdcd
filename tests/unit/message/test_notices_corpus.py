"""Notices as they were read by people and approved: whoever changes a word of them sees it here, and commits the new ones."""

import email
import email.policy

import pytest

from tests.support.notices import FOLDER, NOTICES, rendered


@pytest.mark.parametrize("name", NOTICES)
def test_it_is_what_was_approved(name: str) -> None:
    """`python -m tests.unit.message.test_notices_corpus` writes them anew."""
    assert rendered(name) == (FOLDER / name).read_bytes()


def test_nothing_else_lies_there() -> None:
    assert {path.name for path in FOLDER.iterdir()} == set(NOTICES)


@pytest.mark.parametrize("name", NOTICES)
def test_python_reads_it(name: str) -> None:
    message = email.message_from_bytes((FOLDER / name).read_bytes(), policy=email.policy.default)
    assert isinstance(message, email.message.EmailMessage)
    assert message.get_content_type() == "multipart/report"
    assert message["Auto-Submitted"] == "auto-replied"  # RFC 3834 §5
    assert "Réunion de jeudi" in message["Subject"]
    text, report, original = message.iter_parts()
    assert "Réunion de jeudi" in " ".join(text.get_content().split())
    assert all(len(line) <= 78 for line in text.get_content().splitlines())
    blocks = report.get_payload()
    assert isinstance(blocks, list)
    assert isinstance(blocks[0], email.message.Message)
    assert blocks[0]["Reporting-MTA"] == "dns; mail.example.org"
    assert len(blocks) == 1 + len(NOTICES[name].recipients)
    assert original.get_content_type() == "text/rfc822-headers"
    assert not message.defects


if __name__ == "__main__":
    for each in NOTICES:
        (FOLDER / each).write_bytes(rendered(each))
