import pytest
from hypothesis import given
from hypothesis import strategies as st

from poterne.message.autosubmitted import forced, is_automatic
from poterne.message.header import index


@pytest.mark.parametrize(
    "field",
    [
        b"Auto-Submitted: auto-generated",
        b"auto-submitted: Auto-Replied (vacation)",
        b"Auto-Submitted: auto-notified; owner-email=x@y",
        b"Auto-Submitted:",
        b"Auto-Submitted: (no) yes",
        b"Auto-Submitted : auto-generated",
        b"Auto-Submitted: no\r\nAuto-Submitted: auto-replied",
        b"Precedence: bulk",
        b"Precedence: LIST",
        b"Precedence: junk",
        b"Precedence: auto_reply",
        b"List-Id: <a.example.org>",
        b"List-Unsubscribe: <mailto:x@y>",
        b"X-Auto-Response-Suppress: All",
        b"X-Auto-Response-Suppress: OOF, DR",
    ],
)
def test_automatic(field: bytes) -> None:
    assert is_automatic(index(b"Subject: x\r\n" + field + b"\r\n\r\n"))


@pytest.mark.parametrize(
    "field",
    [
        b"Auto-Submitted: no",
        b"Auto-Submitted: No (I wrote it)",
        b"Auto-Submitted: (hello) no",
        b"Precedence: first-class",
        b"Precedence: listen",
        b"X-Auto-Response-Suppress: None",
        b"X-Auto-Response-Suppress:",
        b"Subject: Auto-Submitted: auto-generated",
        b"X-List-Id: y",
    ],
)
def test_people(field: bytes) -> None:
    header = index(field + b"\r\n\r\n")
    assert not is_automatic(header)
    assert is_automatic(header, null_reverse_path=True)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"Subject: x\r\n\r\n", b"Subject: x\r\nAuto-Submitted: auto-generated\r\n\r\n"),
        (b"Auto-Submitted: no\r\nSubject: x\r\n\r\n", b"Subject: x\r\nAuto-Submitted: auto-generated\r\n\r\n"),
        (b"Auto-Submitted: no\r\n\r\n", b"Auto-Submitted: auto-generated\r\n\r\n"),
        (b"Auto-Submitted:\r\n no\r\nS: x\r\n\r\n", b"S: x\r\nAuto-Submitted: auto-generated\r\n\r\n"),
        (b"Auto-Submitted: maybe\r\n\r\n", b"Auto-Submitted: auto-generated\r\n\r\n"),
        (
            b"Auto-Submitted: auto-replied\r\nA: b\r\nAuto-submitted : no\r\n\r\n",
            b"A: b\r\nAuto-Submitted: auto-generated\r\n\r\n",
        ),
        (b"Auto-Submitted: Auto-Replied\r\nA: b\r\n\r\n", b"Auto-Submitted: Auto-Replied\r\nA: b\r\n\r\n"),
        (b"\r\n", b"Auto-Submitted: auto-generated\r\n\r\n"),
        (b"", b"Auto-Submitted: auto-generated\r\n"),
        (b"Subject: x\r\n", b"Subject: x\r\nAuto-Submitted: auto-generated\r\n"),
        (b"Subject: x", b"Subject: x\r\nAuto-Submitted: auto-generated\r\n"),
    ],
)
def test_forced(before: bytes, after: bytes) -> None:
    assert forced(index(before)) == after


values = st.sampled_from([b"no", b"auto-generated", b"", b"(auto-x) no", b"auto-", b"x"]) | st.binary(max_size=10)
names = st.sampled_from([b"Auto-Submitted", b"auto-submitted ", b"Subject", b"X"])


@given(st.lists(st.tuples(names, values), max_size=5), st.sampled_from([b"", b"\r\n"]))
def test_forced_header_is_automatic_for_everybody(fields: list[tuple[bytes, bytes]], end: bytes) -> None:
    block = b"".join(name + b": " + value.translate(None, b"\r\n\0") + b"\r\n" for name, value in fields) + end
    header = index(forced(index(block)))
    assert len(header.find(b"auto-submitted")) == 1
    assert is_automatic(header)
    kept = [value for name, value in fields if name in {b"Subject", b"X"}]
    assert len(header.fields) == 1 + len(kept)


@given(st.binary(max_size=200))
def test_always_returns(octets: bytes) -> None:
    header = index(octets)
    is_automatic(header)
    forced(header)
