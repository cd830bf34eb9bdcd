"""Hostile MIME, delivered over SMTP and read with every FETCH item, SEARCH and POP3: exact octets, quick answers, nothing dies."""

import pytest

from tests.support.attack_client import MIB, Target


def nested(count: int, *, closed: bool) -> bytes:
    """Multiparts in multiparts, each with a boundary of its own."""
    opening = b"".join(b'Content-Type: multipart/mixed; boundary="%d"\r\n\r\n--%d\r\n' % (i, i) for i in range(count))
    closing = b"".join(b"\r\n--%d--" % i for i in reversed(range(count))) if closed else b""
    return opening + b"\r\nx" + closing + b"\r\n"


def same_boundary(count: int) -> bytes:
    head = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    return head + (b"--b\r\n" + head) * count


MESSAGES = {
    "nested-1e5": nested(90_000, closed=True),
    "nested-open": nested(10_000, closed=False),
    "messages": b"Content-Type: message/rfc822\r\n\r\n" * 30_000,
    "same-boundary": same_boundary(20_000),
    "parts-1e5": b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\n" * 100_000 + b"--b--\r\n",
    "empty-boundary": b'Content-Type: multipart/mixed; boundary=""\r\n\r\n' + b"--\r\n\r\n" * 10_000,
    "boundary-prefixes": b"Content-Type: multipart/mixed; boundary=a\r\n\r\n"
    + b"".join(b"--a\r\nContent-Type: multipart/mixed; boundary=%b\r\n\r\n" % (b"a" * i) for i in range(2, 250)) + b"--aaa\r\n" * 10_000,
    "digest": b"Content-Type: multipart/digest; boundary=b\r\n\r\n" + b"--b\r\n\r\nSubject: x\r\n\r\n" * 10_000,
    "parameters": b"Content-Type: text/plain" + b"".join(b";\r\n a%d=b" % i for i in range(30_000)) + b"\r\n\r\nx\r\n",
    "rfc2231-1e4": b"Content-Type: text/plain" + b"".join(b";\r\n name*%d=b" % i for i in range(10_000)) + b"\r\n\r\nx\r\n",
    "rfc2231-same": b"Content-Type: text/plain" + b";\r\n name*0*=utf-8''%C3%A9" * 10_000 + b"\r\n\r\nx\r\n",
    "rfc2231-huge": b"Content-Type: text/plain; name*99999999999999999999=x; name*-1=y; name*=z'; charset*=%ff''%ff\r\n\r\nx\r\n",
    "quotes": b'Content-Type: text/plain; name="' + b'\\"' * 100_000 + b"\r\n\r\nx\r\n",
    "comments": b"Content-Type: (" + b"(" * 100_000 + b")" * 100_000 + b") text/plain\r\n\r\nx\r\n",
    "content-type-1e4": b"Content-Type: text/plain\r\n" * 10_000 + b"\r\nx\r\n",
    "words": b"Subject: " + b"=?utf-8?b?w6k=?=\r\n " * 10_000 + b"x\r\n\r\nx\r\n",
    "words-broken": b"Subject: " + b"=?" * 100_000 + b"\r\n\r\nx\r\n",
    "words-open": b"Subject: =?utf-8?q?" + b"=?utf-8?q?" * 30_000 + b"\r\n\r\nx\r\n",
    "addresses": b"From: " + b"<a@b>," * 30_000 + b"\r\nTo: " + b"x:" * 30_000 + b"\r\n\r\nx\r\n",
    "address-quotes": b'From: "' + b'\\"' * 50_000 + b'" <a@b>\r\nTo: ' + b'"x" ' * 50_000 + b"\r\n\r\nx\r\n",
    "routes": b"From: <" + b"@a," * 30_000 + b":b@c>\r\n\r\nx\r\n",
    "charsets": b"Content-Type: text/plain; charset=utf-7\r\n\r\n" + b"+AAA" * 100_000 + b"\r\n",
    "charset-junk": b'Content-Type: text/plain; charset="../../etc/passwd\\"\r\n\r\n\xff\xfe\x80\r\n',
    "charset-idna": b"Content-Type: text/plain; charset=idna\r\nSubject: =?punycode?q?" + b"a" * 20_000 + b"?=\r\n\r\n" + b"x" * 900 + b"\r\n",
    "iso-2022": b"Content-Type: text/plain; charset=iso-2022-jp\r\n\r\n" + (b"\x1b$B" * 200 + b"\r\n") * 500,
    "hz": b"Content-Type: text/plain; charset=hz-gb-2312\r\n\r\n" + (b"~{" * 300 + b"\r\n") * 500,
    "base64-junk": b"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n" + (b"=" * 76 + b"\r\n") * 20_000,
    "qp-junk": b"Content-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" + (b"=" * 75 + b"\r\n") * 20_000,
    "unknown-encoding": b"Content-Type: text/plain\r\nContent-Transfer-Encoding: " + b"x" * 5000 + b"\r\n\r\nx\r\n",
    "dates": b"Date: " + b"1 " * 50_000 + b"\r\n\r\nx\r\n",
    "date-huge": b"Date: Mon, 99999999999999999999 Jan 99999999999999999999 99:99:99 +999999999\r\n\r\nx\r\n",
    "no-header": b"\r\n",
    "only-header": b"Subject: x\r\n",
    "nothing-but-dashes": b"Content-Type: multipart/mixed; boundary=-\r\n\r\n" + b"--" * 100_000 + b"\r\n",
    "8bit-header": b"Subject: \xff\xfe\x80\xe9\r\nFrom: \xe9 <\xe9@\xe9>\r\nContent-Type: te\xe9xt/pl\xe9in; n\xe9me=\xe9\r\n\r\nx\r\n",
    "imap-in-header": b'Subject: x) (y) {3}\r\nFrom: "a\\" {10}" <") OK"@b>\r\nMessage-ID: <a"b\\c>\r\nContent-ID: {5}\r\n\r\nx\r\n',
}  # fmt: skip
_TOO_BIG = (
    "parameters", "rfc2231-1e4", "rfc2231-same", "quotes", "comments", "content-type-1e4", "words", "words-broken", "words-open",
    "addresses", "address-quotes",
)  # fmt: skip
REFUSED = dict.fromkeys(_TOO_BIG, b"552 5.3.4") | dict.fromkeys(("routes", "8bit-header"), b"550 5.7.1")
"""SMTP takes no such headers, APPEND does."""
ITEMS = (
    b"ALL", b"FULL", b"FAST", b"BODY", b"BODYSTRUCTURE", b"ENVELOPE", b"RFC822", b"RFC822.HEADER", b"RFC822.TEXT", b"BODY[]", b"BODY[TEXT]",
    b"BODY[HEADER]", b"BODY[1]", b"BODY[1.MIME]", b"BODY[1.HEADER]", b"BODY[1.1.1.1]", b"BODY[HEADER.FIELDS (Subject From)]",
    b"BODY[HEADER.FIELDS.NOT (Subject)]", b"BODY[]<10.20>", b"BINARY[1]", b"BINARY.SIZE[1]", b"BINARY[]",
    b"BODY[" + b"1." * 60 + b"1]",
)  # fmt: skip
SEARCHES = (
    b"TEXT zz",
    b"BODY zz",
    b"SUBJECT zz",
    b"FROM zz",
    b"HEADER Content-Type zz",
    b"SENTON 1-Jan-2026",
    b"CHARSET UTF-8 TEXT zz",
)


@pytest.mark.parametrize("name", list(MESSAGES))
def test_delivered_and_read(world: Target, name: str) -> None:
    user = world.account()
    message = MESSAGES[name]
    if b"From:" not in message:
        message = b"From: a@b.example\r\n" + message
    with world.attacked(growth_bytes=48 * MIB):
        reply = world.deliver(user, message.removesuffix(b"\r\n"))
        if name in REFUSED:
            assert reply.startswith(REFUSED[name]), reply
            world.store.deliver(user, message)
        else:
            assert reply.startswith(b"250"), reply
        assert world.inbox(user) == [message]
        wire = world.imap(user, mailbox=b"INBOX")
        for item in ITEMS:
            answer = wire.imap(b"FETCH 1 " + item)
            assert answer.startswith(b"* 1 FETCH (") or b" NO [UNKNOWN-CTE]" in answer, (item, answer[-300:])
            if item == b"BODY[]":
                assert message in answer
            if item in {b"ENVELOPE", b"BODYSTRUCTURE", b"BODY", b"FULL"}:
                assert len(answer) < 2 * MIB, "an answer about a message is not larger than it"
                assert balanced(answer.split(b" FETCH ", 1)[1].rpartition(b"\r\n" + answer.splitlines()[-1])[0]), item
        for key in SEARCHES:
            assert b" OK " in wire.imap(b"SEARCH " + key).splitlines()[-1], key
        pop3 = world.pop3(user)
        for command in (b"RETR 1", b"TOP 1 5"):
            assert pop3.say(command).startswith(b"+OK")
            assert pop3.listing()


def balanced(text: bytes) -> bool:
    """Are the parentheses of a response balanced, outside strings and literals? Whoever writes mail must not write our answers."""
    depth = at = 0
    while at < len(text):
        octet = text[at : at + 1]
        if octet == b'"':
            at += 1
            while text[at : at + 1] != b'"':
                if at >= len(text):
                    return False
                at += 2 if text[at : at + 1] == b"\\" else 1
        elif octet == b"{":
            end = text.index(b"}\r\n", at)
            at = end + 2 + int(text[at + 1 : end])
        elif octet == b"(":
            depth += 1
        elif octet == b")":
            depth -= 1
            if depth < 0:
                return False
        elif octet in {b"\r", b"\n", b"\0"}:
            return False
        at += 1
    return depth == 0


@pytest.mark.parametrize(
    "charset",
    [
        b"UTF-7",
        b"UTF-16",
        b"IDNA",
        b"PUNYCODE",
        b"UNDEFINED",
        b"ROT13",
        b"BASE64",
        b"../x",
        b"x" * 500,
        b'""',
        b"X\xff",
        b"HEX",
    ],
)
def test_charsets_in_search(world: Target, charset: bytes) -> None:
    """BADCHARSET or BAD; nothing that Python would take for a codec reaches one."""
    user = world.account()
    wire = world.imap(user, mailbox=b"INBOX")
    answer = wire.imap(b"SEARCH CHARSET " + charset + b" SUBJECT x").splitlines()[-1]
    assert b" NO [BADCHARSET" in answer or b" BAD " in answer, answer
    assert b" OK " in wire.imap(b"SEARCH CHARSET UTF-8 SUBJECT x").splitlines()[-1]
