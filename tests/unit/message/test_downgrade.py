import email
import email.policy
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poterne.message.downgrade import DowngradeError, downgrade
from poterne.message.scan import Scanner
from poterne.values.mime import Part

TEXT = b"Content-Type: text/plain; charset=utf-8\r\n"
LONG = b"x" * 2000


def multipart(*parts: bytes, kind: bytes = b"mixed", header: bytes = b"") -> bytes:
    body = b"".join(b"--b\r\n" + part + b"\r\n" for part in parts)
    return (
        header + b"MIME-Version: 1.0\r\nContent-Type: multipart/" + kind + b"; boundary=b\r\n\r\n" + body + b"--b--\r\n"
    )


def leaves(data: bytes) -> list[bytes]:
    """What each part says."""
    found: list[bytes] = []

    def walk(message: EmailMessage) -> None:
        for part in message.walk():
            if not part.is_multipart():
                payload = part.get_payload(decode=True)
                assert isinstance(payload, bytes)
                found.append(payload)

    walk(email.message_from_bytes(data, policy=email.policy.default))
    return found


def structure(data: bytes) -> object:
    def shape(part: Part) -> object:
        inner = (part.message,) if part.message is not None else part.children
        return (part.type, part.subtype, [shape(each) for each in inner])

    return shape(Scanner().scan_whole(data).root)


def fits(data: bytes, *, seven_bit: bool) -> bool:
    return (data.isascii() or not seven_bit) and all(len(line) <= 998 for line in data.split(b"\r\n"))


NESTED = multipart(
    TEXT + b"Content-Transfer-Encoding: 8bit\r\n\r\n" + "café\r\n".encode(),
    b"Content-Type: application/x-data\r\nContent-Transfer-Encoding: binary\r\nX: y\r\n\r\n\xff\xfe" + LONG,
    b"Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n" + b"QUJD" * 700,
    b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\nSubject: in\r\n"
    + TEXT
    + b"\r\n"
    + "é".encode()
    + LONG,
    b"\r\nplain, and without a header",
    header=b"Content-Transfer-Encoding: 8bit\r\n",
)


@pytest.mark.parametrize("seven_bit", [True, False])
@pytest.mark.parametrize(
    "data",
    [
        b"Subject: x\r\n\r\n" + LONG,
        b"Subject: x\r\n\r\n" + LONG + b"\r\n" + LONG + b"\r\n",
        TEXT + b"content-transfer-ENCODING:\r\n 8bit\r\n\r\n" + "é ".encode() * 600,
        TEXT + b"Content-Transfer-Encoding: quoted-printable\r\n\r\n=C3=A9" + LONG,
        NESTED,
    ],
    ids=["no-eol", "plain", "folded-label", "quoted", "nested"],
)
def test_what_it_says_stays(data: bytes, seven_bit: bool) -> None:
    changed = downgrade(data, seven_bit=seven_bit)
    assert fits(changed, seven_bit=seven_bit)
    assert b"\n" not in changed.replace(b"\r\n", b"")
    assert [text.replace(b"\r\n", b"\n") for text in leaves(changed)] == [
        text.replace(b"\r\n", b"\n") for text in leaves(data)
    ]
    assert structure(changed) == structure(data)
    assert changed.lower().count(b"mime-version") == 1
    if seven_bit:
        assert b"8bit" not in changed
    assert downgrade(changed, seven_bit=seven_bit) == changed


def test_only_what_must_change_does() -> None:
    data = multipart(TEXT + b"\r\n" + LONG, b"Content-Type: text/html\r\n\r\n<p>as it is</p>")
    changed = downgrade(data, seven_bit=True)
    assert changed.endswith(data[data.index(b"\r\n--b\r\nContent-Type: text/html") :])
    assert downgrade(b"Subject: x\r\n\r\nfine\r\n", seven_bit=True) == b"Subject: x\r\n\r\nfine\r\n"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"DKIM-Signature: v=1\r\n\r\n" + LONG, "dkim"),
        (b"Subject: " + LONG + b"\r\n\r\nx", "header"),
        (multipart(TEXT + b"X: " + LONG + b"\r\n\r\nx"), "header"),
        (multipart(TEXT + b"\r\nx").replace(b"\r\n\r\n--b", b"\r\n\r\n" + LONG + b"\r\n--b", 1), "header"),
        (multipart(TEXT + b"\r\n" + LONG, b"\r\nsignature", kind=b"signed"), "sealed"),
        (multipart(TEXT + b"\r\n" + LONG, kind=b"encrypted"), "sealed"),
        (multipart(multipart(TEXT + b"\r\n" + LONG), kind=b"signed").replace(b"=b", b"=a", 1).replace(b"--b", b"--a", 1), "sealed"),
        (b"Content-Type: application/pkcs7-mime\r\nContent-Transfer-Encoding: base64\r\n\r\n" + b"QUJD" * 700, "sealed"),
        (b"Content-Type: message/delivery-status\r\n\r\n" + LONG, "type"),
        (b"Content-Type: text/plain\r\nContent-Transfer-Encoding: x-uuencode\r\n\r\n" + LONG, "encoding"),
        (b"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n" + b"!" * 2000, "encoding"),
    ],
)  # fmt: skip
def test_refused_where_it_would_harm(data: bytes, code: str) -> None:
    with pytest.raises(DowngradeError) as caught:
        downgrade(data, seven_bit=True)
    assert caught.value.code == code
    assert caught.value.public


@given(st.binary(max_size=3000), st.booleans())
def test_it_fits_or_is_refused(body: bytes, seven_bit: bool) -> None:
    for data in (TEXT + b"\r\n" + body, multipart(TEXT + b"\r\n" + body, body)):
        try:
            changed = downgrade(data, seven_bit=seven_bit)
        except DowngradeError:
            continue
        assert fits(changed, seven_bit=seven_bit)
