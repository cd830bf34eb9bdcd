"""From what a program writes to what SMTP takes."""

import os
import pwd
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poterne.sendmail.arguments import Mode, Request
from poterne.sendmail.exits import EX_CONFIG, EX_DATAERR, EX_USAGE, Failure
from poterne.sendmail.letter import Letter, compose, mailbox, read, split

DOMAIN = "example.test"
ME = pwd.getpwuid(os.getuid()).pw_name
TO = Request(Mode.LETTER, recipients=("a@x.test",), sender="me@x.test")
T = Request(Mode.LETTER, from_header=True, sender="me@x.test")


def take(data: bytes, size: int = 65536) -> Callable[[int], bytes]:
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    return lambda _: pieces.pop(0) if pieces else b""


def made(raw: bytes, request: Request = TO, domain: str = DOMAIN) -> Letter:
    return compose(raw, request, domain)


# -- reading -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "whole"),
    [
        (b"a\n.\nb\n", b"a\n"),
        (b"a\r\n.\r\nb\r\n", b"a\r\n"),
        (b".\nb\n", b""),
        (b"a\n.", b"a\n"),
        (b"a\n..\nb", b"a\n..\nb"),
        (b"a\n.b\n", b"a\n.b\n"),
        (b"a\nb.\n", b"a\nb.\n"),
        (b"a.\n", b"a.\n"),
        (b"", b""),
    ],
)
@pytest.mark.parametrize("size", [1, 2, 3, 65536])
def test_a_dot_alone_ends_the_message_unless_it_is_ignored(data: bytes, whole: bytes, size: int) -> None:
    assert read(take(data, size), dot_ends=True) == whole
    assert read(take(data, size), dot_ends=False) == data


def test_nothing_is_read_behind_the_dot() -> None:
    pieces = [b"a\n.\n", b"never"]
    assert read(lambda _: pieces.pop(0), dot_ends=True) == b"a\n"
    assert pieces == [b"never"]


# -- header and text ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "names", "body"),
    [
        (b"To: a\nSubject: s\n\ntext\n", [b"to", b"subject"], b"text\r\n"),
        (b"To: a\r\nSubject: s\r\n\r\ntext\r\n", [b"to", b"subject"], b"text\r\n"),
        (b"To: a\r\r\nSubject: s\r\r\n\r\r\ntext", [b"to", b"subject"], b"text\r\n"),
        (b"To: a,\n b\n\tc\nX: y\n\n", [b"to", b"x"], b""),
        (b"just text\nmore\n", [], b"just text\r\nmore\r\n"),
        (b"\ntext\n", [], b"text\r\n"),
        (b"Subject: s\ntext without an empty line\n", [b"subject"], b"text without an empty line\r\n"),
        (b"Subject: s", [b"subject"], b""),
        (b"", [], b""),
        (b"From root Mon Jan  1 00:00:00 2026\nTo: a\n\nx", [b"to"], b"x\r\n"),
        (b"From: a@x.test\n\nFrom here on\n", [b"from"], b"From here on\r\n"),
        (b"From : a@x.test\n\nx\n", [b"from"], b"x\r\n"),
        (b"To: a\n\none\rtwo\r\nthree\n", [b"to"], b"one\r\ntwo\r\nthree\r\n"),
        (b"To: a\n\n\n\nlines\n\n", [b"to"], b"\r\n\r\nlines\r\n\r\n"),
    ],
)
def test_split(raw: bytes, names: list[bytes], body: bytes) -> None:
    fields, text = split(raw)
    assert [field.name for field in fields] == names
    assert text == body


def test_a_carriage_return_in_a_field_adds_no_field() -> None:
    letter = made(b"Subject: hello\rBcc: victim@y.test\rX: y\nTo: a@x.test\n\nx", T)
    assert letter.recipients == ("a@x.test",)
    assert b"Subject: hello Bcc: victim@y.test X: y\r\n" in letter.data


@given(st.binary(max_size=200).map(lambda data: data.replace(b"x", b"\n").replace(b"y", b"\r")))
def test_lines_end_in_crlf_whatever_comes(raw: bytes) -> None:
    data = made(raw).data
    assert data.endswith(b"\r\n")
    assert data.count(b"\r") == data.count(b"\n") == data.count(b"\r\n")
    assert data.partition(b"\r\n\r\n")[1]


# -- people ------------------------------------------------------------------------------------------------------------


def test_recipients_of_the_header_are_added_to_those_named() -> None:
    raw = b"To: A <a@x.test>, b@x.test\nCc: Team: c@x.test, a@x.test;\nBcc: d@x.test\nSubject: s\n\nx\n"
    letter = made(raw, T._replace(recipients=("e@x.test, f@x.test",)))
    assert letter.recipients == ("e@x.test", "f@x.test", "a@x.test", "b@x.test", "c@x.test", "d@x.test")
    assert b"cc:" not in letter.data.replace(b"Cc: Team", b"")
    assert b"d@x.test" not in letter.data
    assert letter.data.endswith(b"Subject: s\r\n\r\nx\r\n")


def test_without_t_the_header_names_nobody_and_bcc_goes_all_the_same() -> None:
    letter = made(b"To: z@x.test\nBCC: secret@x.test,\n other@x.test\nFrom: me@x.test\n\nx\n")
    assert letter.recipients == ("a@x.test",)
    assert letter.data == b"To: z@x.test\r\nFrom: me@x.test\r\n\r\nx\r\n"


def test_a_resent_message_goes_to_those_it_is_resent_to() -> None:
    raw = b"Resent-To: n@x.test\nResent-Bcc: m@x.test\nResent-From: r@x.test\nFrom: old@y.test\nTo: t@x.test\n\nx\n"
    letter = made(raw, Request(Mode.LETTER, from_header=True))
    assert (letter.sender, letter.recipients) == ("r@x.test", ("n@x.test", "m@x.test"))
    assert b"m@x.test" not in letter.data


@pytest.mark.parametrize(
    ("fields", "given", "sender"),
    [
        (b"From: f@x.test", "e@x.test", "e@x.test"),
        (b"From: f@x.test", "<e@x.test>", "e@x.test"),
        (b"From: f@x.test", "www", "www@example.test"),
        (b"From: f@x.test", "", ""),
        (b"From: f@x.test", "<>", ""),
        (b"From: Shop <f@x.test>", None, "f@x.test"),
        (b"From: f@x.test, g@x.test\nSender: s@x.test", None, "s@x.test"),
        (b"From: root (Cron Daemon)", None, "root@example.test"),
        (b"X: y", None, f"{ME}@example.test"),
    ],
)
def test_who_sends(fields: bytes, given: str | None, sender: str) -> None:
    assert made(fields + b"\n\nx\n", TO._replace(sender=given)).sender == sender


def test_without_a_domain_nobody_is_guessed() -> None:
    assert made(b"X: y\n\nx\n", TO._replace(sender=None), "").sender == ""
    for request in (TO._replace(recipients=("root",)), TO._replace(sender="www")):
        with pytest.raises(Failure, match="/etc/mailname") as failed:
            made(b"To: x@x.test\n\nx\n", request, "")
        assert failed.value.status == EX_CONFIG


@pytest.mark.parametrize(
    ("raw", "request_", "status", "text"),
    [
        (b"Subject: s\n\nx", T, EX_USAGE, "nobody to send to"),
        (b"To: undisclosed-recipients:;\n\nx", T, EX_USAGE, "nobody to send to"),
        (b"To: john doe\n\nx", T, EX_DATAERR, '^To: "john doe" is no address'),
        (b"\n\nx", TO._replace(recipients=("john doe",)), EX_USAGE, '^recipient: "john doe" is no address'),
        (b"\n\nx", TO._replace(recipients=("a@x.test\r\nDATA",)), EX_USAGE, "no address"),
        (b"\n\nx", TO._replace(sender="a@x.test, b@x.test"), EX_USAGE, "-f takes one address"),
        (b"From: john doe\n\nx", TO._replace(sender=None), EX_DATAERR, "^From: "),
    ],
)
def test_what_cannot_be_sent(raw: bytes, request_: Request, status: int, text: str) -> None:
    with pytest.raises(Failure, match=text) as failed:
        made(raw, request_)
    assert failed.value.status == status


def test_from_is_added_where_it_is_missing() -> None:
    assert made(b"To: a@x.test\n\nx\n").data.startswith(b"From: me@x.test\r\nTo: a@x.test\r\n")
    assert made(b"x\n", TO._replace(name="Cron")).data == b"From: Cron <me@x.test>\r\n\r\nx\r\n"
    assert b"From:" not in made(b"To: a@x.test\n\nx\n", TO._replace(sender="<>")).data
    assert made(b"From: b@x.test\n\nx\n").data.count(b"From:") == 1


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("", "a@x.test"),
        ("Anne B", "Anne B <a@x.test>"),
        ("Doe, J.", '"Doe, J." <a@x.test>'),
        ('a "b" \\', '"a \\"b\\" \\\\" <a@x.test>'),
        ("Été", "=?utf-8?B?w4l0w6k=?= <a@x.test>"),
        ("x\r\nBcc: v@y.test", '"x Bcc: v@y.test" <a@x.test>'),
    ],
)
def test_names(name: str, written: str) -> None:
    assert mailbox(name, "a@x.test") == written


def test_a_cron_job_as_debian_writes_it() -> None:
    raw = b"From: root (Cron Daemon)\nTo: root\nSubject: Cron <root@host> run-parts\nContent-Type: text/plain; charset=UTF-8\n\nout\n"
    letter = made(raw, Request(Mode.LETTER, recipients=("root",), name="CronDaemon", dot_ends=False))
    assert (letter.sender, letter.recipients) == ("root@example.test", ("root@example.test",))
    assert letter.data.startswith(
        b"From: root@example.test (Cron Daemon)\r\nTo: root@example.test\r\nSubject: Cron <root@host>"
    )


def test_what_is_beyond_ascii_is_announced() -> None:
    assert not made(b"Subject: s\n\n\xc3\xa9\n").smtputf8
    assert made(b"Subject: \xc3\xa9\n\nx\n").smtputf8
    assert not made(b"Subject: \xe9\n\nx\n").smtputf8  # Latin-1: the server has the last word
    assert made(b"To: x@x.test\n\nx\n", TO._replace(recipients=("été@x.test",))).smtputf8


def test_a_field_that_cannot_be_read_is_left_to_the_server() -> None:
    assert b"Reply-To: john doe\r\n" in made(b"Reply-To: john doe\n\nx\n").data
