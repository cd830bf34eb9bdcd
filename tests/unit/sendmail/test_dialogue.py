"""The conversation over a real socket with a server that says what it is told to."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from poterne.sendmail import run
from poterne.sendmail.dialogue import submit
from poterne.sendmail.exits import EX_DATAERR, EX_NOPERM, EX_NOUSER, EX_TEMPFAIL, EX_UNAVAILABLE, EX_USAGE, Failure
from poterne.sendmail.letter import Letter

EHLO = b"250-mail.example.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-DSN\r\n250 SIZE 1000000\r\n"
LETTER = Letter("me@x.test", ("a@x.test", "b@x.test"), b"From: me@x.test\r\n\r\n.dot\r\n..\r\nend\r\n", False)


class Peer:
    """Answers a command by its first word; a bytes answer is final, None hangs up."""

    def __init__(self, path: Path, answers: dict[bytes, list[bytes | None]]) -> None:
        self.path = str(path)
        self.got: list[bytes] = []
        self._answers = {b"": [b"220 hello\r\n"], b"EHLO": [EHLO], b"QUIT": [b"221 bye\r\n"]} | answers
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(self.path)
        self._listening.listen()
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _answer(self, word: bytes) -> bytes | None:
        usual = b"354 go\r\n" if word == b"DATA" else b"250 2.0.0 fine\r\n"
        left = self._answers.get(word)
        if not left:
            return usual
        return left.pop(0) if len(left) > 1 else left[0]

    def _serve(self) -> None:
        client, _ = self._listening.accept()
        with client, client.makefile("rb") as lines:
            word, text = b"", False
            while True:
                answer = self._answer(word)
                if answer is None:
                    return
                client.sendall(answer)
                text = word == b"DATA" and answer.startswith(b"354")
                line = lines.readline()
                while text and line and line != b".\r\n":
                    self.got.append(line)
                    line = lines.readline()
                if not line:
                    return
                self.got.append(line)
                word = b"." if line == b".\r\n" else line.split(maxsplit=1)[0].rstrip(b"\r\n").upper()
                if word == b"QUIT":
                    client.sendall(b"221 bye\r\n")
                    return

    def close(self) -> None:
        self.thread.join(5)
        self._listening.close()


@contextmanager
def peer(path: Path, answers: dict[bytes, list[bytes | None]] | None = None) -> Iterator[Peer]:
    made = Peer(path, answers or {})
    try:
        yield made
    finally:
        made.close()


def test_a_letter_is_handed_over(tmp_path: Path) -> None:
    with peer(tmp_path / "s") as server:
        submit(server.path, LETTER)
    assert server.got == [
        b"EHLO localhost\r\n",
        b"MAIL FROM:<me@x.test> SIZE=34\r\n",
        b"RCPT TO:<a@x.test>\r\n",
        b"RCPT TO:<b@x.test>\r\n",
        b"DATA\r\n",
        b"From: me@x.test\r\n",
        b"\r\n",
        b"..dot\r\n",
        b"...\r\n",
        b"end\r\n",
        b".\r\n",
        b"QUIT\r\n",
    ]


def test_what_the_message_needs_is_announced_where_it_is_offered(tmp_path: Path) -> None:
    letter = Letter("é@x.test", ("a@x.test",), "X: é\r\n\r\n".encode(), True, "SUCCESS,DELAY", "HDRS", "a=é")
    with peer(tmp_path / "s") as server:
        submit(server.path, letter)
    assert server.got[1] == "MAIL FROM:<é@x.test> SIZE=9 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=a+3D+C3+A9\r\n".encode()
    assert server.got[2] == b"RCPT TO:<a@x.test> NOTIFY=SUCCESS,DELAY\r\n"
    with peer(tmp_path / "t", {b"EHLO": [b"250 plain\r\n"]}) as server, pytest.raises(Failure, match="SMTPUTF8"):
        submit(server.path, letter)
    with peer(tmp_path / "u", {b"EHLO": [b"250 plain\r\n"]}) as server:
        submit(server.path, letter._replace(sender="", data=b"X: y\r\n\r\n"))
    assert server.got[1] == b"MAIL FROM:<>\r\n"


@pytest.mark.parametrize(
    ("answers", "status", "text"),
    [
        ({b"": [b"421 4.7.0 Too many connections\r\n"]}, EX_TEMPFAIL, "the mail server: 421 4.7.0 Too many connections"),
        ({b"MAIL": [b"550 5.7.1 not approved yet\r\n"]}, EX_NOPERM, "me@x.test: 550 5.7.1 not approved yet"),
        ({b"RCPT": [b"250 ok\r\n", b"550 5.1.1 unknown\r\n"]}, EX_NOUSER, "b@x.test: 550 5.1.1 unknown"),
        ({b"RCPT": [b"550 5.7.1 not you\r\n"]}, EX_NOPERM, "a@x.test: 550 5.7.1 not you"),
        ({b"RCPT": [b"451 4.3.0 later\r\n"]}, EX_TEMPFAIL, "a@x.test: 451 4.3.0 later"),
        ({b"DATA": [b"554 5.5.1 no\r\n"]}, EX_DATAERR, "554 5.5.1 no"),
        ({b".": [b"550-5.7.1 The address in From\r\n550 5.7.1 is not yours\r\n"]}, EX_NOPERM, "refused: 550 5.7.1 The address"),
        ({b".": [b"500 5.9.9 odd\r\n"]}, EX_UNAVAILABLE, "500 5.9.9 odd"),
        ({b".": [None]}, EX_TEMPFAIL, "closed the connection"),
        ({b"MAIL": [None]}, EX_TEMPFAIL, "closed the connection"),
        ({b"EHLO": [b"hello there\r\n"]}, EX_TEMPFAIL, "is no SMTP: hello there"),
        ({b"MAIL": [b"220 what\r\n"]}, EX_TEMPFAIL, "unexpected answer"),
        ({b"EHLO": [b"250-" + b"x" * 100_000]}, EX_TEMPFAIL, "does not end"),
    ],
)  # fmt: skip
def test_a_refusal_has_the_servers_words_and_a_status(
    tmp_path: Path, answers: dict[bytes, list[bytes | None]], status: int, text: str
) -> None:
    with peer(tmp_path / "s", answers) as server, pytest.raises(Failure) as failed:
        submit(server.path, LETTER)
    assert text in failed.value.text
    assert failed.value.status == status


def test_when_one_recipient_is_refused_nobody_gets_it(tmp_path: Path) -> None:
    answers: dict[bytes, list[bytes | None]] = {b"RCPT": [b"250 ok\r\n", b"550 5.1.1 unknown\r\n"]}
    with peer(tmp_path / "s", answers) as server, pytest.raises(Failure):
        submit(server.path, LETTER)
    assert b"DATA\r\n" not in server.got


def test_a_thousand_recipients(tmp_path: Path) -> None:
    everybody = tuple(f"u{n}@x.test" for n in range(1000))
    with peer(tmp_path / "s") as server:
        submit(server.path, LETTER._replace(recipients=everybody))
    assert sum(line.startswith(b"RCPT") for line in server.got) == 1000


def test_no_server(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="is the server running") as failed:
        submit(str(tmp_path / "none"), LETTER)
    assert failed.value.status == EX_TEMPFAIL


# -- the whole program -------------------------------------------------------------------------------------------------

Program = Callable[..., "subprocess.CompletedProcess[bytes]"]


@pytest.fixture
def program(tmp_path: Path) -> Program:
    def start(*words: str, given: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
        return subprocess.run(
            [sys.executable, "-m", "poterne.sendmail", *words],
            input=given,
            capture_output=True,
            timeout=20,
            check=False,
            env={**os.environ, "POTERNE_SOCKET": str(tmp_path / "s"), "POTERNE_DOMAIN": "example.test"},
        )

    return start


def test_the_program_sends_and_says_nothing(tmp_path: Path, program: Program) -> None:
    with peer(tmp_path / "s") as server:
        done = program("-t", "-i", "-fme@x.test", given=b"To: a@x.test\nBcc: b@x.test\nSubject: s\n\n.\nx\n")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert server.got[2:4] == [b"RCPT TO:<a@x.test>\r\n", b"RCPT TO:<b@x.test>\r\n"]
    assert server.got[5:-2] == [
        b"From: me@x.test\r\n",
        b"To: a@x.test\r\n",
        b"Subject: s\r\n",
        b"\r\n",
        b"..\r\n",
        b"x\r\n",
    ]


def test_the_program_speaks_smtp(tmp_path: Path, program: Program) -> None:
    with peer(tmp_path / "s") as server:
        done = program("-bs", given=b"EHLO me\r\nMAIL FROM:<me@x.test>\r\nQUIT\r\n")
    assert done.returncode == 0
    assert done.stdout == b"220 hello\r\n" + EHLO + b"250 2.0.0 fine\r\n221 bye\r\n"
    assert server.got[-1] == b"QUIT\r\n"


def test_the_program_tells_why_not_in_one_line(program: Program) -> None:
    done = program("a@x.test", given=b"x\n")
    assert done.returncode == EX_TEMPFAIL
    assert done.stderr.count(b"\n") == 1
    assert b"no mail server at" in done.stderr
    assert program().returncode == EX_USAGE
    queue = program("-bp")
    assert (queue.returncode, queue.stdout) == (0, b"")
    assert b"poterne queue list" in queue.stderr


def test_a_server_cannot_write_to_the_terminal(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in").write_bytes(b"x\n")
    with (tmp_path / "in").open("rb") as given:
        before = os.dup(0)
        os.dup2(given.fileno(), 0)
        try:
            monkeypatch.setenv("POTERNE_DOMAIN", "example.test")
            with peer(tmp_path / "s", {b"MAIL": [b"550 5.7.1 \x1b[2Jboo\r\n"]}):
                status = run(["sendmail", f"--socket={tmp_path / 's'}", "a@x.test"])
        finally:
            os.dup2(before, 0)
            os.close(before)
    assert status == EX_NOPERM
    assert capfd.readouterr().err.endswith("550 5.7.1 ?[2Jboo\n")
