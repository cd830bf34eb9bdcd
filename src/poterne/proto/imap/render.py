"""ENVELOPE, BODYSTRUCTURE and BODY as IMAP sends them (RFC 9051 §7.5.2), made once when a message comes in, and stored.

Always returns; whatever octets a message put into its header, the text can be parsed again: each string is quoted or a
literal by `strings.string`. A structure that a budget cut short is shown as something the grammar has.
"""

from typing import Final

from poterne.proto.imap.strings import nstring, plain, string
from poterne.values.mime import Disposition, Envelope, MailAddress, Part

MAX_DEPTH: Final = 150
"""Parts nested deeper are shown as opaque octets. The scanner's own budget is smaller; this keeps the recursion finite."""

_NO_ENVELOPE: Final = Envelope()
_EMPTY_TEXT: Final = b'("text" "plain" NIL NIL NIL "7bit" 0 0)'
"""For a multipart without a single part, which the grammar does not know."""
_EMPTY_TEXT_EXTENDED: Final = b'("text" "plain" NIL NIL NIL "7bit" 0 0 NIL NIL NIL NIL)'
_ENCODINGS: Final = {name: b'"%b"' % name for name in (b"7bit", b"8bit", b"binary", b"base64", b"quoted-printable")}


def envelope(value: Envelope) -> bytes:
    """The `envelope` of RFC 9051 §9."""
    from_ = _addresses(value.from_)
    return b"(%b %b %b %b %b %b %b %b %b %b)" % (
        nstring(value.date),
        nstring(value.subject),
        from_,
        # Usually Sender and Reply-To are what From is, by default (RFC 9051 §7.5.2).
        from_ if value.sender == value.from_ else _addresses(value.sender),
        from_ if value.reply_to == value.from_ else _addresses(value.reply_to),
        _addresses(value.to),
        _addresses(value.cc),
        _addresses(value.bcc),
        nstring(value.in_reply_to),
        nstring(value.message_id),
    )


def _addresses(values: tuple[MailAddress, ...]) -> bytes:
    if not values:
        return b"NIL"
    return b"(%b)" % b"".join([_address(value) for value in values])


def _address(value: MailAddress) -> bytes:
    name, adl, mailbox, host = value.name, value.adl, value.mailbox, value.host
    if mailbox is not None and host is not None and adl is None:
        # Nearly all addresses: one look at all its text instead of one each.
        if name is None:
            if plain(mailbox + host):
                return b'(NIL NIL "%b" "%b")' % (mailbox, host)
        elif plain(name + mailbox + host):
            return b'("%b" NIL "%b" "%b")' % (name, mailbox, host)
    return b"(%b %b %b %b)" % (nstring(name), nstring(adl), nstring(mailbox), nstring(host))


def body_structure(root: Part) -> bytes:
    """BODYSTRUCTURE: `body` with extension data."""
    return _part(root, True, 0)


def body(root: Part) -> bytes:
    """BODY: `body` without extension data."""
    return _part(root, False, 0)


def _part(part: Part, extended: bool, depth: int) -> bytes:
    if depth < MAX_DEPTH:
        if part.type == b"multipart":
            return _multipart(part, extended, depth)
        if part.type == b"message" and part.subtype in {b"rfc822", b"global"} and part.message is not None:
            return _message(part, part.message, extended, depth)
        if part.type == b"text":
            head = b'("text" %b %b %d' % (string(part.subtype), _fields(part), part.lines)
            return head + (_extension(part, nstring(part.md5)) if extended else b")")
    type_, subtype = part.type, part.subtype
    if type_ in {b"multipart", b"message", b"text"} and (
        type_ != b"message" or subtype in {b"rfc822", b"global"} or depth >= MAX_DEPTH
    ):
        # These have more fields than there is to tell: an opaque part is what the client can still read.
        type_, subtype = b"application", b"octet-stream"
    head = b"(%b %b %b" % (string(type_), string(subtype), _fields(part))
    return head + (_extension(part, nstring(part.md5)) if extended else b")")


def _multipart(part: Part, extended: bool, depth: int) -> bytes:
    children = b"".join([_part(child, extended, depth + 1) for child in part.children])
    if not children:
        children = _EMPTY_TEXT_EXTENDED if extended else _EMPTY_TEXT
    head = b"(%b %b" % (children, string(part.subtype))
    return head + (_extension(part, _params(part.params)) if extended else b")")


def _message(part: Part, inner: Part, extended: bool, depth: int) -> bytes:
    head = b'("message" %b %b %b %b %d' % (
        string(part.subtype),
        _fields(part),
        envelope(part.envelope or _NO_ENVELOPE),
        _part(inner, extended, depth + 1),
        part.lines,
    )
    return head + (_extension(part, nstring(part.md5)) if extended else b")")


def _fields(part: Part) -> bytes:
    """`body-fields`."""
    params, size = _params(part.params), part.body_end - part.body_start
    encoding = _ENCODINGS.get(part.encoding) or string(part.encoding)
    if part.content_id is None and part.description is None:
        return b"%b NIL NIL %b %d" % (params, encoding, size)
    return b"%b %b %b %b %d" % (params, nstring(part.content_id), nstring(part.description), encoding, size)


def _extension(part: Part, first: bytes) -> bytes:
    """`body-ext-1part` (`first` is the MD5) or `body-ext-mpart` (`first` are the parameters), and the end."""
    if part.disposition is None and not part.language and part.location is None:
        return b" %b NIL NIL NIL)" % first
    return b" %b %b %b %b)" % (
        first,
        _disposition(part.disposition),
        b"(%b)" % b" ".join(map(string, part.language)) if part.language else b"NIL",
        nstring(part.location),
    )


def _disposition(value: Disposition | None) -> bytes:
    return b"NIL" if value is None else b"(%b %b)" % (string(value.kind), _params(value.params))


def _params(params: tuple[tuple[bytes, bytes], ...]) -> bytes:
    if not params:
        return b"NIL"
    texts = [text for pair in params for text in pair]
    if plain(b"".join(texts)):
        return b'("%b")' % b'" "'.join(texts)
    return b"(%b)" % b" ".join(map(string, texts))
