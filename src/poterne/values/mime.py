"""A message's structure as values: what `message.scan` finds, what `proto.imap` renders, what the store keeps.

Header text is kept as the bytes of the message (unfolded, not decoded): IMAP gives it to clients as it came (RFC 9051
§7.5.2), and search decodes when it must. Offsets count octets from the start of the message.
"""

import msgspec


class MailAddress(msgspec.Struct, frozen=True, array_like=True):
    """One address of an envelope. Group syntax as RFC 9051 §7.5.2 says: start has host None, end has mailbox None too."""

    name: bytes | None
    adl: bytes | None
    mailbox: bytes | None
    host: bytes | None


class Envelope(msgspec.Struct, frozen=True, array_like=True):
    """RFC 9051 §7.5.2. Absent fields are None or empty; the defaults of Sender and Reply-To are already applied."""

    date: bytes | None = None
    subject: bytes | None = None
    from_: tuple[MailAddress, ...] = ()
    sender: tuple[MailAddress, ...] = ()
    reply_to: tuple[MailAddress, ...] = ()
    to: tuple[MailAddress, ...] = ()
    cc: tuple[MailAddress, ...] = ()
    bcc: tuple[MailAddress, ...] = ()
    in_reply_to: bytes | None = None
    message_id: bytes | None = None


class Disposition(msgspec.Struct, frozen=True, array_like=True):
    """Content-Disposition, RFC 2183. Parameter names are lower case; RFC 2231 pieces are joined, not decoded."""

    kind: bytes
    params: tuple[tuple[bytes, bytes], ...] = ()


class Part(msgspec.Struct, frozen=True, array_like=True):
    """One MIME part and where it lies. The root part is the message itself.

    `[header_start, body_start)` is its header with the blank line, `[body_start, body_end)` its body without the CRLF that
    belongs to the next boundary. `type` and `subtype` are lower case. For message/rfc822 (and message/global) `message` is
    the root part of the embedded message and `envelope` its envelope; for multipart `children` holds at least one part
    unless a budget was reached.
    """

    type: bytes
    subtype: bytes
    header_start: int
    body_start: int
    body_end: int
    lines: int
    """Lines in the body (plus a last unfinished one), counted for every part that is not a multipart. Each LF counts, which in
    mail that SMTP accepts is each CRLF."""
    params: tuple[tuple[bytes, bytes], ...] = ()
    content_id: bytes | None = None
    description: bytes | None = None
    encoding: bytes = b"7bit"
    """Content-Transfer-Encoding in lower case as given, b"7bit" when absent."""
    md5: bytes | None = None
    disposition: Disposition | None = None
    language: tuple[bytes, ...] = ()
    location: bytes | None = None
    children: tuple["Part", ...] = ()
    message: "Part | None" = None
    envelope: Envelope | None = None

    @property
    def size(self) -> int:
        """Octets of the body in its transfer encoding."""
        return self.body_end - self.body_start


class Scanned(msgspec.Struct, frozen=True, array_like=True):
    """What one pass over a message found."""

    size: int
    root: Part
    envelope: Envelope
    sent_at: int | None
    """The Date field as Unix seconds, None when absent or unreadable (SENTSINCE and SORT DATE then fall back)."""
    references: tuple[int, ...]
    """63-bit hashes of Message-ID, In-Reply-To and References ids, own id first when there is one; for threading."""
    truncated: bool = False
    """A depth, part or header budget was reached: what lies beyond is one opaque part. Never an error."""
    eight_bit: bool = False
    """An octet above 127 occurs somewhere."""
    header_eight_bit: bool = False
    """… in the root header (RFC 6532)."""
    fields: tuple[tuple[bytes, bytes], ...] = ()
    """Root header fields the server decides by: (lower-case name, raw unfolded value) for those asked for, in order."""
