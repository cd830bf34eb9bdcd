import pytest
from hypothesis import given
from hypothesis import strategies as st

from poterne.message.dsn import Action
from poterne.message.dsn_read import MAX_RECIPIENTS, Read, Told, read, status_part
from poterne.message.scan import scan

POSTFIX = (
    b"From: MAILER-DAEMON@mx.example.com\r\n"
    b'Content-Type: multipart/report; report-type=delivery-status; boundary="b/x"\r\n\r\n'
    b"--b/x\r\nContent-Type: text/plain\r\n\r\nI'm sorry.\r\n"
    b"--b/x\r\nContent-Description: Delivery report\r\nContent-Type: message/delivery-status\r\n\r\n"
    b"Reporting-MTA: dns; mx.example.com\r\n"
    b"X-Postfix-Queue-ID: 4F\r\n"
    b"Original-Envelope-Id: QQ\r\n"
    b"\r\n"
    b"Final-Recipient: rfc822; paul@example.com\r\n"
    b"Original-Recipient: rfc822;paul+tag@example.com\r\n"
    b"Action: Failed (gave up)\r\n"
    b"Status: 5.1.1 (no such user)\r\n"
    b"Remote-MTA: dns; in.example.com\r\n"
    b"Diagnostic-Code: smtp; 550 5.1.1 <paul@example.com>: User\r\n    unknown\r\n"
    b"\r\n"
    b"Final-Recipient: rfc822;ann@example.com\r\n"
    b"Action: delayed\r\n"
    b"Status: later\r\n"
    b"\r\n"
    b"--b/x\r\nContent-Type: text/rfc822-headers\r\n\r\nSubject: x\r\n\r\n--b/x--\r\n"
)


def found(octets: bytes) -> Read:
    part = status_part(scan(octets).root)
    assert part is not None
    return read(octets[part.body_start : part.body_end], part)


def test_what_another_server_writes() -> None:
    assert found(POSTFIX) == Read(
        "mx.example.com",
        "QQ",
        (
            Told(
                "paul@example.com",
                "paul+tag@example.com",
                Action.FAILED,
                "5.1.1",
                "550 5.1.1 <paul@example.com>: User unknown",
                "in.example.com",
            ),
            Told("ann@example.com", "", Action.DELAYED, "", "", ""),
        ),
    )


def test_bare_line_feeds_and_base64() -> None:
    import base64

    inner = b"Reporting-MTA: dns; a\n\nFinal-Recipient: rfc822; b@c\nAction: relayed\nStatus: 2.0.0\n"
    octets = (
        b"Content-Type: multipart/report; boundary=x\r\n\r\n--x\r\n\r\n\r\n--x\r\n"
        b"Content-Type: message/global-delivery-status\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + base64.encodebytes(inner).replace(b"\n", b"\r\n")
        + b"\r\n--x--\r\n"
    )
    assert found(octets).told == (Told("b@c", "", Action.RELAYED, "2.0.0", "", ""),)


@pytest.mark.parametrize(
    "octets",
    [
        b"Subject: x\r\n\r\nReporting-MTA: dns; a\r\n",
        POSTFIX.replace(b"multipart/report", b"multipart/mixed"),
        POSTFIX.replace(b"message/delivery-status", b"text/plain"),
        b"",
    ],
)
def test_other_mail_is_no_notification(octets: bytes) -> None:
    assert status_part(scan(octets).root) is None


@pytest.mark.parametrize("gone", [b"Final-Recipient: rfc822; paul@example.com\r\n", b"Action: Failed (gave up)\r\n"])
def test_groups_without_recipient_or_action_are_passed_over(gone: bytes) -> None:
    assert [told.recipient for told in found(POSTFIX.replace(gone, b"")).told] == ["ann@example.com"]


def test_the_number_of_recipients_is_bounded() -> None:
    group = b"\r\nFinal-Recipient: rfc822; a@b\r\nAction: failed\r\n"
    octets = POSTFIX.replace(b"X-Postfix-Queue-ID: 4F\r\n", group * (MAX_RECIPIENTS + 50))
    assert len(found(octets).told) == MAX_RECIPIENTS


pieces = st.sampled_from(
    [b"\r\n", b"\n", b"\r", b" ", b":", b";", b"(", b")", b"Action: failed", b"Final-Recipient: rfc822; a@b", b"Status: 5.1.1", b"\xff", b"\0"]
)  # fmt: skip


@given(st.lists(pieces, max_size=30).map(b"".join) | st.binary(max_size=200))
def test_always_returns(inner: bytes) -> None:
    octets = POSTFIX.replace(b"X-Postfix-Queue-ID: 4F\r\n", inner)
    part = status_part(scan(octets).root)
    if part is not None:
        read(octets[part.body_start : part.body_end], part)
