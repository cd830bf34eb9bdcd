"""Delivery status notifications: what became of a message, for its sender (RFC 3461 §6, RFC 3464, RFC 6522, RFC 6533).

Theory of operation. A notification is a multipart/report of three parts: a text for people, in their language; the same for
programs; and the header of the message, or all of it. Much in it was written by strangers: what their server said, the names in
it, the message itself. All of it is quoted, none is trusted: in fields it is printable ASCII on one line, in the text it is a
quoted line without control or bidirectional characters, and the original is a part behind a boundary that is a hash of it.

The result is 7-bit with lines of at most 998 octets, with two exceptions that `Rendered` names: the sender's own address is not
ASCII, or a whole message with 8-bit text is returned (message/rfc822 can't be encoded, RFC 2046 §5.2.1). A message that can't be
returned whole and unchanged (lines too long, bare CR or LF, NUL) comes back as its header only.

To be sent with the null reverse-path and NOTIFY=NEVER (RFC 3461 §6.1), and never to somebody who was not authenticated.
"""

import base64
import binascii
import hashlib
import re
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Final

from poterne.message.causes import cause, is_status
from poterne.message.compose import Letter, Mailbox, compose
from poterne.message.date import format_date
from poterne.message.encoded import decode_words
from poterne.message.header import MAX_LINE_BYTES, HeaderIndex, header_end, index, select, select_not
from poterne.message.texts import date_text, paragraph, printable, say, span_text

MAX_SHOWN: Final = 50
"""Recipients told one by one in the text; the report for programs has all of them."""
MAX_SAID: Final = 800
"""Characters of what a server said."""
_MAX_VALUE: Final = 800
_MAX_SUBJECT: Final = 100
_FOLD_AT: Final = 76
_PART_FIELDS: Final = frozenset({b"content-type", b"content-transfer-encoding"})
_MIME_FIELDS: Final = _PART_FIELDS | {b"mime-version"}


class Action(Enum):
    """RFC 3464 §2.3.3; the value is the word in the report."""

    FAILED = "failed"
    DELAYED = "delayed"
    DELIVERED = "delivered"
    RELAYED = "relayed"
    """Handed to a server that does not promise notifications."""
    EXPANDED = "expanded"
    """Delivered to an address of ours that passes it on to several others."""


@dataclass(frozen=True, slots=True)
class RecipientReport:
    """What became of one recipient. `said`, `remote` and `orcpt` may hold anything."""

    recipient: str
    """The forward-path, without angle brackets."""
    action: Action
    status: str = ""
    """RFC 3463; when empty, or when it contradicts the action, the class's "other"."""
    said: str = ""
    """What the other server said, code first ("550 5.1.1 no such user"); or, without a remote, why we could not go on."""
    remote: str = ""
    """Host name of the server that said it, or that we tried; "" when there was none."""
    local: bool = False
    """We found it, the server did not say it: its type is not smtp then (RFC 3464 §2.3.6)."""
    orcpt: str = ""
    """`type;xtext`, as it came."""
    attempted_at: int = 0
    """0: never."""
    retry_until: int = 0
    """When we shall give up; for DELAYED."""


@dataclass(frozen=True, slots=True)
class Original:
    """The message that it is about: its header with the empty line, or all of it."""

    octets: bytes
    whole: bool = False
    """All of it: see `returns_whole`."""


@dataclass(frozen=True, slots=True)
class Notification:
    """One notification: about one message, for its sender, on one or several recipients with the same or different fates."""

    hostname: str
    """Ours."""
    sender: Mailbox
    """The From field, somebody who reads answers (postmaster@…). Without a name it gets one."""
    to: str
    """The reverse-path of the message, not null."""
    language: str
    message_id: str
    """Of the notification, from `compose.message_id`."""
    unix_s: int
    """Now."""
    arrived_at: int
    """When the message came in."""
    recipients: tuple[RecipientReport, ...]
    original: Original
    envid: str = ""
    """RFC 3461 §4.4, decoded."""
    offset_minutes: int = 0
    """Zone for the dates in the text."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A message in RFC 5322 octets, and what it asks of the way to its recipient."""

    octets: bytes
    eight_bit: bool = False
    smtputf8: bool = False


def returns_whole(ret: str, actions: frozenset[Action], size_bytes: int, limit_bytes: int) -> bool:
    """Is the whole message to be given as `Original`? When its sender asked (RET=FULL), it failed, and it is small enough.

    Headers only otherwise (RFC 3461 §6.2).
    """
    return ret == "FULL" and Action.FAILED in actions and size_bytes <= limit_bytes


def render(notification: Notification) -> Rendered:
    """The notification. Always returns, whatever strangers wrote."""
    original = index(notification.original.octets)
    # What `compose` made is taken apart: its text becomes the first part, under the header of the whole.
    letter = compose(_letter(notification, original))
    end = header_end(letter)
    fields = letter[:end]
    returned, eight_bit = _returned(notification.original, original)
    parts = (select(fields, _PART_FIELDS) + letter[end:], _report(notification), returned)
    boundary = _boundary(notification.message_id, parts)
    header = (
        select_not(fields, _MIME_FIELDS)[:-2]
        + _threading(original)
        + b"MIME-Version: 1.0\r\n"
        + b'Content-Type: multipart/report; report-type=delivery-status;\r\n boundary="%b"\r\n' % boundary
        + (b"Content-Transfer-Encoding: 8bit\r\n" if eight_bit else b"")
    )
    pieces = [header]
    for part in parts:
        pieces += (b"\r\n--", boundary, b"\r\n", part)
    pieces += (b"\r\n--", boundary, b"--\r\n")
    return Rendered(b"".join(pieces), eight_bit, not header.isascii())


def _status(report: RecipientReport) -> str:
    """Its status; that of the action when it has none, or one that says the opposite."""
    action = report.action
    classes = "54" if action is Action.FAILED else "4" if action is Action.DELAYED else "2"
    return report.status if is_status(report.status) and report.status[0] in classes else f"{classes[0]}.0.0"


# For people


def _letter(notification: Notification, original: HeaderIndex) -> Letter:
    language = notification.language
    found = printable(decode_words(original.value(b"subject") or b""), _MAX_SUBJECT)
    subject = found or say(language, "no-subject")
    actions = {report.action for report in notification.recipients}
    first = next((action for action in Action if action in actions), Action.FAILED)
    kind = Action.DELIVERED if first is Action.EXPANDED else first
    hostname = printable(notification.hostname, _MAX_VALUE)
    sender = notification.sender
    return Letter(
        sender=Mailbox(sender.address, sender.name or say(language, "server", hostname=hostname)),
        to=(Mailbox(notification.to),),
        subject=say(language, f"dsn.subject.{kind.value}", subject=subject),
        text=_text(notification, hostname, subject, whole=_comes_whole(notification.original)),
        unix_s=notification.unix_s,
        message_id=notification.message_id,
        offset_minutes=notification.offset_minutes,
        auto_submitted=False,
        extra=(("Auto-Submitted", "auto-replied"),),
    )


def _text(notification: Notification, hostname: str, subject: str, *, whole: bool) -> str:
    language, offset = notification.language, notification.offset_minutes
    date = date_text(language, notification.arrived_at, offset)
    paragraphs = [paragraph(say(language, "dsn.your-message", hostname=hostname, subject=subject, date=date))]
    left = MAX_SHOWN
    for action in Action:
        reports = [report for report in notification.recipients if report.action is action]
        if not reports:
            continue
        paragraphs.append(paragraph(say(language, f"dsn.{action.value}")))
        paragraphs += [_group(notification, alike) for alike in _groups(reports[:left])]
        left -= min(left, len(reports))
        paragraphs.append(paragraph(_end(language, offset, action, reports)))
    count = len(notification.recipients)
    if count > MAX_SHOWN:
        paragraphs.append(paragraph(say(language, "dsn.more", shown=MAX_SHOWN, count=count)))
    paragraphs.append(say(language, "dsn.attached-message" if whole else "dsn.attached-header"))
    return "\n\n".join(paragraphs) + "\n"


def _groups(reports: Iterable[RecipientReport]) -> Iterable[list[RecipientReport]]:
    """Those to whom the same happened, in the order of the first of each."""
    found: dict[tuple[str, str, str], list[RecipientReport]] = {}
    for report in reports:
        found.setdefault((report.status, report.remote, report.said), []).append(report)
    return found.values()


def _group(notification: Notification, alike: list[RecipientReport]) -> str:
    language, report = notification.language, alike[0]
    lines = [f"  {printable(one.recipient, _MAX_VALUE)}" for one in alike]
    if report.action not in {Action.FAILED, Action.DELAYED}:
        return "\n".join(lines)
    status = _status(report)
    reason = cause(status)
    words = [say(language, f"cause.{reason}")]
    if report.action is Action.FAILED:
        if status[0] == "4":  # it never said no, but our time is over
            span = span_text(language, notification.unix_s - notification.arrived_at)
            words.append(say(language, "dsn.tried", span=span))
        words.append(say(language, f"todo.{reason}"))
    lines.append(paragraph(" ".join(words), "    "))
    said = printable(report.said, MAX_SAID)
    if said:
        by_server = report.remote and not report.local
        remote = printable(report.remote, _MAX_VALUE)
        lines.append(
            "    " + (say(language, "dsn.answered", remote=remote) if by_server else say(language, "dsn.reason"))
        )
        lines.append(paragraph(said, "    > "))
    return "\n".join(lines)


def _end(language: str, offset_minutes: int, action: Action, reports: list[RecipientReport]) -> str:
    until = max(report.retry_until for report in reports)
    if action is Action.DELAYED and until:
        return say(language, "dsn.delayed.until", until=date_text(language, until, offset_minutes))
    return say(language, f"dsn.{action.value}.end")


# For programs


def _report(notification: Notification) -> bytes:
    """The second part. UTF-8 (RFC 6533) when an address needs it, else ASCII for every reader there is."""
    addresses = [text for report in notification.recipients for text in (report.recipient, report.orcpt)]
    utf8 = not all(map(str.isascii, addresses))
    lines: list[str] = []
    if notification.envid:
        # Not folded, for its white space counts (RFC 3464 §2.2.1).
        lines.append(f"Original-Envelope-Id: {re.sub('[^ -~]', '?', notification.envid[:_MAX_VALUE])}")
    lines += [
        _field("Reporting-MTA", "dns; " + notification.hostname, utf8=utf8),
        f"Arrival-Date: {format_date(notification.arrived_at, notification.offset_minutes)}",
    ]
    for report in notification.recipients:
        lines.append("")
        lines += _recipient_fields(report, notification.offset_minutes, utf8=utf8)
    octets = ("\r\n".join(lines) + "\r\n").encode("utf-8", "replace")
    if not utf8:
        return b"Content-Type: message/delivery-status\r\n\r\n" + octets
    return (
        b"Content-Type: message/global-delivery-status\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
        + _quoted_printable(octets)
    )


_DIAGNOSTIC: Final = re.compile(r"[2-5][0-9][0-9](?:[ -]|\Z)")


def _recipient_fields(report: RecipientReport, offset_minutes: int, *, utf8: bool) -> list[str]:
    fields: list[str] = []
    if report.orcpt:
        fields.append(_field("Original-Recipient", _original_recipient(report.orcpt, utf8=utf8), utf8=utf8))
    kind = "rfc822" if report.recipient.isascii() else "utf-8"
    fields += [
        _field("Final-Recipient", f"{kind}; {report.recipient}", utf8=utf8),
        f"Action: {report.action.value}",
        f"Status: {_status(report)}",
    ]
    if report.remote:
        fields.append(_field("Remote-MTA", "dns; " + report.remote, utf8=utf8))
    if report.said:
        smtp = report.remote and not report.local and _DIAGNOSTIC.match(report.said)
        fields.append(_field("Diagnostic-Code", ("smtp; " if smtp else "x-poterne; ") + report.said, utf8=utf8))
    if report.attempted_at:
        fields.append(f"Last-Attempt-Date: {format_date(report.attempted_at, offset_minutes)}")
    if report.retry_until and report.action is Action.DELAYED:
        fields.append(f"Will-Retry-Until: {format_date(report.retry_until, offset_minutes)}")
    return fields


def _field(name: str, value: str, *, utf8: bool) -> str:
    """One field, folded where it has spaces; nothing in the value can begin another one."""
    text = printable(value, _MAX_VALUE)
    if not utf8:
        text = re.sub("[^ -~]", "?", text)
    folded = textwrap.wrap(f"{name}: {text}", _FOLD_AT, break_long_words=False, break_on_hyphens=False)
    return "\r\n ".join(folded)


_TYPED: Final = re.compile(r"([A-Za-z0-9-]{1,40});[ \t]*(.*)", re.DOTALL)
_XTEXT: Final = re.compile(r"\+([0-9A-F]{2})")
_UNITEXT: Final = re.compile(r"\\x\{([0-9A-F]{2,6})\}")


def _original_recipient(orcpt: str, *, utf8: bool) -> str:
    """The address that the sender meant, decoded: xtext (RFC 3461 §4), or the notation of RFC 6533 §3 where UTF-8 is shown."""
    match = _TYPED.fullmatch(orcpt[:_MAX_VALUE])
    if match is None:
        return f"unknown; {orcpt}"
    if match[1].lower() != "utf-8":
        return f"{match[1]}; {_XTEXT.sub(lambda code: chr(int(code[1], 16)), match[2])}"
    return f"utf-8; {_UNITEXT.sub(_scalar, match[2]) if utf8 else match[2]}"


def _scalar(code: re.Match[str]) -> str:
    number = int(code[1], 16)
    return chr(number) if number <= 0x10FFFF and not 0xD800 <= number <= 0xDFFF else code[0]


# What came


_MSG_ID: Final = re.compile(rb"<[!-;=?-~]{1,250}>")


def _threading(original: HeaderIndex) -> bytes:
    """Fields that show it beside the message in the sender's mail program."""
    own = original.value(b"message-id")
    if own is None or _MSG_ID.fullmatch(own) is None:
        return b""
    return b"In-Reply-To: %b\r\nReferences: %b\r\n" % (own, own)


def _comes_whole(original: Original) -> bool:
    """Lines that mail can't carry, once they were let in, are not sent on: then only the header comes back, encoded."""
    return original.whole and _is_plain(original.octets)


def _is_plain(octets: bytes) -> bool:
    ends = octets.count(b"\r\n")
    if octets.count(b"\r") != ends or octets.count(b"\n") != ends or b"\0" in octets:
        return False
    return max(map(len, octets.split(b"\r\n"))) <= MAX_LINE_BYTES


def _returned(original: Original, header: HeaderIndex) -> tuple[bytes, bool]:
    """The third part, and whether it is 8-bit."""
    octets = original.octets
    if _comes_whole(original):
        if octets.isascii():
            return b"Content-Type: message/rfc822\r\n\r\n" + octets, False
        if header.block.isascii() or not _is_utf8(header.block):
            return b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + octets, True
        encoded = base64.encodebytes(octets).replace(b"\n", b"\r\n")
        return b"Content-Type: message/global\r\nContent-Transfer-Encoding: base64\r\n\r\n" + encoded, False
    block = header.block[:-2] if header.block.endswith(b"\r\n\r\n") else header.block
    if block.isascii() and _is_plain(block):
        return b"Content-Type: text/rfc822-headers\r\n\r\n" + block, False
    kind = b"text/rfc822-headers" if block.isascii() or not _is_utf8(block) else b"message/global-headers"
    return (
        b"Content-Type: %b\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" % kind + _quoted_printable(block),
        False,
    )


def _is_utf8(octets: bytes) -> bool:
    try:
        octets.decode()
    except UnicodeDecodeError:
        return False
    return True


def _quoted_printable(octets: bytes) -> bytes:
    """RFC 2045 §6.7, exact: CRLF stays a line end, a bare CR or LF is encoded."""
    lines = [binascii.b2a_qp(line, istext=False).replace(b"\n", b"\r\n") for line in octets.split(b"\r\n")]
    return b"\r\n".join(lines)


def _boundary(message_id: str, parts: tuple[bytes, ...]) -> bytes:
    """A hash of all that it divides, so that nobody who wrote a part can have written it there."""
    digest = hashlib.blake2b(message_id.encode("utf-8", "replace"), digest_size=16)
    for part in parts:
        digest.update(part)
    return b"=_" + digest.hexdigest().encode("ascii")
