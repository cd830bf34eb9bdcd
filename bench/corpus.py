"""Test messages: the same bytes for the same seed, in the proportions of real mailboxes.

`plain_message` gives one text message of an exact size, for what is measured per message. `mixed_corpus` gives a mailbox:
plain text, alternatives with HTML, attachments, forwarded messages in messages, non-ASCII in headers and bodies. With the
default mean, 10,000 messages are about 395 MiB. No line starts with a dot, so that no dot needs stuffing and a size is a size.
"""

import base64
import random
from collections.abc import Iterator
from email.utils import formatdate

_TEXT = """
    invoice meeting server report please attached regards thursday budget review contract delivery order customer school
    council minutes agenda question answer update version printer network holiday schedule request approval signature
    payment project draft comment deadline transport library teacher parents election garden repair quote supplier
"""
_ACCENTED_TEXT = "réunion élève mairie numéro décembre façade naïf œuvre Straße größer ¡mañana! 東京 привет žluťoučký"
_WORDS = _TEXT.split()
_ACCENTED = _ACCENTED_TEXT.split()
_PEOPLE = ("Alice Martin", "Bob Stone", "Chloé Lefèvre", "Dieter Groß", "Eve Novák", "Farid Haddad", "Zoë Quinn")
FIRST_DATE = 1_700_000_000
PEOPLE_NUMBERED = 97
"""From is personN@example.net with N of so many, in turn."""
BODY_NEEDLE = "quetzalcoatlus"  # what SEARCH BODY looks for: in one message of 500
SUBJECT_NEEDLE = "zanzibar"  # what SEARCH SUBJECT looks for: in one message of 100
_POOL_BYTES = 1 << 20
_ENCODED_LINE = 76


def _encoded_word(text: str) -> str:
    if text.isascii():
        return text
    return f"=?UTF-8?B?{base64.b64encode(text.encode()).decode()}?="


def plain_message(size_bytes: int, number: int = 0) -> bytes:
    """A text message of exactly `size_bytes`, header included, that differs with `number`."""
    head = (
        f"Date: {formatdate(FIRST_DATE + number)}\r\nFrom: Sender <sender@example.net>\r\nTo: user@bench.test\r\n"
        f"Message-ID: <plain-{number}@example.net>\r\nSubject: message number {number}\r\n"
        "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n"
    ).encode("ascii")
    line = (" ".join(_WORDS)[:70] + "\r\n").encode("ascii")
    room = size_bytes - len(head)
    if room < 2:
        raise ValueError(f"a message of {size_bytes} bytes has no room for its {len(head)} bytes of header")
    whole, rest = divmod(room, len(line))
    if rest == 1:  # a line needs its two bytes of ending
        whole, rest = whole - 1, len(line) + 1
    return head + line * whole + (b"" if rest == 0 else b"x" * (rest - 2) + b"\r\n")


class _Writer:
    """Writes the messages of one corpus; every choice comes from one seeded generator."""

    def __init__(self, seed: int, mean_bytes: int) -> None:
        self._random = random.Random(seed)
        encoded = base64.b64encode(self._random.randbytes(_POOL_BYTES))
        self._pool = b"\r\n".join(
            encoded[at : at + _ENCODED_LINE]
            for at in range(0, len(encoded) // _ENCODED_LINE * _ENCODED_LINE, _ENCODED_LINE)
        )
        self._pool_lines = len(encoded) // _ENCODED_LINE
        words = [*_WORDS, *_WORDS, *_WORDS, *_ACCENTED]
        self._prose = [" ".join(self._random.choices(words, k=9)).encode() for _ in range(997)]
        self._ascii_prose = [" ".join(self._random.choices(_WORDS, k=9)).encode() for _ in range(997)]
        self._mean_bytes = mean_bytes

    def message(self, number: int) -> bytes:
        kind = self._random.choices(("plain", "latin", "alternative", "attachment", "nested"), (30, 15, 30, 20, 5))[0]
        header = self._header(number)
        match kind:
            case "plain":
                return header + self._text("us-ascii", self._ascii_prose, number)
            case "latin":
                return header + self._text("utf-8", self._prose, number)
            case "alternative":
                return header + self._alternative(number)
            case "attachment":
                return header + self._attachment(number)
            case _:
                return header + self._nested(number)

    def _size(self, share: float) -> int:
        """A size around `share` of the mean: many small ones, a few large ones."""
        return int(min(self._random.lognormvariate(0.0, 0.8), 8.0) * share * self._mean_bytes)

    def _lines(self, prose: list[bytes], size_bytes: int, number: int) -> bytes:
        count = max(2, size_bytes // 72)
        start = self._random.randrange(len(prose))
        chosen = [prose[(start + at) % len(prose)] for at in range(count)]
        if number % 500 == 7:
            chosen[count // 2] = BODY_NEEDLE.encode()
        return b"\r\n".join(chosen) + b"\r\n"

    def _header(self, number: int) -> bytes:
        author, reader = self._random.sample(_PEOPLE, 2)
        subject = " ".join(self._random.choices(_WORDS, k=5))
        if number % 4 == 1:
            subject += " " + self._random.choice(_ACCENTED)
        if number % 100 == 3:
            subject += " " + SUBJECT_NEEDLE
        lines = [
            "Return-Path: <bounce@lists.example.net>",
            f"Received: from out{number % 9}.example.net (out.example.net [192.0.2.{number % 250}])",
            f"\tby mx.bench.test with ESMTPS id {number:08x}; {formatdate(FIRST_DATE + number * 61)}",
            "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.net; s=sel;",
            "\th=from:to:subject:date:message-id; bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=;",
            "\tb=" + "Zm9vYmFyYmF6cXV4" * 8,
            f"Date: {formatdate(FIRST_DATE + number * 60)}",
            f"From: {_encoded_word(author)} <person{number % PEOPLE_NUMBERED}@example.net>",
            f"To: {_encoded_word(reader)} <user@bench.test>, second{number % 31}@bench.test",
            f"Message-ID: <mixed-{number}@example.net>",
            f"Subject: {_encoded_word(subject)}",
            "MIME-Version: 1.0",
            "X-Mailer: corpus",
        ]
        if number % 3 == 0 and number:
            earlier = self._random.randrange(max(0, number - 50), number)
            lines += [f"In-Reply-To: <mixed-{earlier}@example.net>", f"References: <mixed-{earlier}@example.net>"]
        if number % 5 == 0:
            lines.append("Cc: list@lists.example.net, other@example.org")
        return ("\r\n".join(lines) + "\r\n").encode("ascii")

    def _text(self, charset: str, prose: list[bytes], number: int) -> bytes:
        head = f"Content-Type: text/plain; charset={charset}\r\nContent-Transfer-Encoding: 8bit\r\n\r\n".encode("ascii")
        return head + self._lines(prose, self._size(0.12), number)

    def _multipart(self, subtype: str, parts: list[bytes], number: int) -> bytes:
        boundary = f"=_part_{subtype}_{number}_{self._random.randrange(1 << 30):x}"
        delimiter = f"--{boundary}\r\n".encode("ascii")
        head = f'Content-Type: multipart/{subtype}; boundary="{boundary}"\r\n\r\n'.encode("ascii")
        return head + b"".join(delimiter + part + b"\r\n" for part in parts) + f"--{boundary}--\r\n".encode("ascii")

    def _alternative(self, number: int) -> bytes:
        text = self._text("utf-8", self._prose, number)
        html = b"Content-Type: text/html; charset=utf-8\r\n\r\n<html><body>\r\n"
        html += self._lines(self._prose, self._size(0.3), number).replace(b"\r\n", b"<br>\r\n") + b"</body></html>\r\n"
        return self._multipart("alternative", [text, html], number)

    def _base64(self, size_bytes: int) -> bytes:
        per_line = _ENCODED_LINE + 2
        lines = max(1, min(size_bytes // per_line, self._pool_lines * 8))
        start = self._random.randrange(self._pool_lines) * per_line
        ring = self._pool[start:] + b"\r\n" + self._pool[: max(0, start - 2)]
        whole, rest = divmod(lines, self._pool_lines)
        return (ring + b"\r\n") * whole + ring[: rest * per_line]

    def _attachment(self, number: int) -> bytes:
        name = "rapport annuel é.pdf" if number % 2 else "report.pdf"
        head = (
            f'Content-Type: application/pdf; name="{_encoded_word(name)}"\r\nContent-Transfer-Encoding: base64\r\n'
            f'Content-Disposition: attachment; filename="{_encoded_word(name)}"\r\n\r\n'
        ).encode("ascii")
        inner = self._alternative(number) if number % 2 else self._text("us-ascii", self._ascii_prose, number)
        return self._multipart("mixed", [inner, head + self._base64(self._size(1.8))], number)

    def _nested(self, number: int) -> bytes:
        forwarded = self._header(number + 1_000_000) + self._attachment(number)
        head = b"Content-Type: message/rfc822\r\nContent-Disposition: attachment\r\n\r\n"
        return self._multipart("mixed", [self._text("utf-8", self._prose, number), head + forwarded], number)


def mixed_corpus(count: int, *, seed: int = 1, mean_bytes: int = 41_000) -> Iterator[bytes]:
    """`count` messages of about `mean_bytes` on average, one after the other, so that only one is in memory."""
    writer = _Writer(seed, mean_bytes)
    for number in range(count):
        yield writer.message(number)
