"""One pass over a message: its structure, envelope and what threads it. Never raises, whatever the bytes.

Theory of operation. The scanner keeps a stack of open entities, from the message itself to the part it is in, and the set of
boundaries that may end one of them. It is in a header (looks for the empty line), in a body (looks for a delimiter), or in an
opaque rest (looks for nothing more). Everything is found by `find` over the buffer:

- A delimiter is `CRLF "--" boundary ["--"] *WSP CRLF` (RFC 2046 §5.1.1); the CRLF before it belongs to it. The needle is
  `CRLF "--"` with the longest prefix that all active boundaries share, so a body is passed at memory speed, and a candidate
  is looked up in a dictionary: the cost does not grow with the nesting. The *whole* line must match, so that a boundary that is
  the prefix of another one is not taken for it.
- A delimiter of an outer multipart ends all inner ones (missing end delimiters). If an inner multipart has the boundary of an
  outer one, the inner one owns it until it is closed.
- A header ends at an empty line, at a delimiter, or with the message. A line without a colon does not end it: where header and
  body divide must be the same for DKIM, SMTP and IMAP.
- The line end is CRLF. Bare CR, bare LF and NUL are content: a message with LF only is one header block without a body. Who
  wants to refuse such a message asks `header.index`. Only the count of lines counts every LF, which is the same for mail that
  SMTP accepted.
- A Content-Type that is absent or unreadable is text/plain (RFC 2045 §5.2), or message/rfc822 inside multipart/digest (RFC 2046
  §5.1.5). So is a multipart without a boundary: it cannot be divided. A multipart in which no part begins has one text/plain
  part, which is all of its body.
- Embedded messages are entered when their encoding is an identity (RFC 2046 §5.2.1); a base64 one stays a leaf.

Positions count from the start of the message. The buffer holds what may still matter: an unfinished header up to the budget, or
the few octets that may begin a delimiter. So whole, bytewise and any other feeding give the same result.
"""

from typing import Final, NamedTuple

from poterne.message import entity
from poterne.message import params as parametered
from poterne.message.date import parse_date
from poterne.message.limits import DEFAULT, Limits
from poterne.values.mime import Envelope, Part, Scanned

_CRLF: Final = b"\r\n"
_BLANK: Final = b"\r\n\r\n"
_WINDOW: Final = 4096
_LINE_CAP: Final = 998
"""A longer line (RFC 5322 §2.1.1) is no delimiter: bounds what must be kept to decide."""
_IDENTITY: Final = frozenset({b"7bit", b"8bit", b"binary"})
_MESSAGES: Final = frozenset({b"rfc822", b"global"})
_US_ASCII: Final = ((b"charset", b"us-ascii"),)
_TEXT_PLAIN: Final[tuple[bytes, bytes, entity.Params]] = (b"text", b"plain", _US_ASCII)
_MESSAGE_RFC822: Final[tuple[bytes, bytes, entity.Params]] = (b"message", b"rfc822", ())


def _shared_prefix(one: bytes, other: bytes) -> bytes:
    for index, (left, right) in enumerate(zip(one, other, strict=False)):
        if left != right:
            return one[:index]
    return min(one, other, key=len)


class _Open:
    """An entity whose end was not reached yet."""

    __slots__ = (
        "body_start",
        "boundary",
        "children",
        "enclosed",
        "envelope",
        "fields",
        "header_start",
        "lf_before",
        "message",
        "needle",
        "params",
        "shadowed",
        "subtype",
        "type",
    )

    def __init__(
        self,
        header_start: int,
        body_start: int,
        kind: bytes,
        subtype: bytes,
        params: entity.Params,
        fields: entity.Fields,
    ) -> None:
        self.header_start = header_start
        self.body_start = body_start
        self.type = kind
        self.subtype = subtype
        self.params = params
        self.fields = fields
        self.lf_before = 0
        self.boundary: bytes | None = None  # while it is being looked for
        self.shadowed: _Open | None = None  # an outer multipart with the same boundary
        self.needle = b""  # what was looked for outside
        self.children: list[Part] = []
        self.enclosed = False  # a message in it is being read
        self.message: Part | None = None
        self.envelope: Envelope | None = None


class _Delimiter(NamedTuple):
    at: int
    """Where its CRLF begins."""
    owner: _Open
    closes: bool
    next_line: int


class Scanner:
    """Takes a message in chunks of any size and gives what one pass found. Memory does not grow with the bodies.

    `feed` any number of times, then `finish` once. `wanted_fields`: lower-case names to give in `Scanned.fields`.
    """

    __slots__ = (
        "_active",
        "_base",
        "_blank_from",
        "_buf",
        "_counted",
        "_default",
        "_delimiter",
        "_eight_bit",
        "_final",
        "_header_eight_bit",
        "_header_kept",
        "_header_left",
        "_header_start",
        "_in_header",
        "_lf",
        "_limits",
        "_needle",
        "_opaque",
        "_parts",
        "_root",
        "_root_body",
        "_root_fields",
        "_root_listed",
        "_search",
        "_stack",
        "_truncated",
        "_wanted",
    )

    def __init__(self, limits: Limits = DEFAULT, wanted_fields: frozenset[bytes] = frozenset()) -> None:
        self._limits = limits
        self._wanted = wanted_fields
        self._buf: bytes | bytearray = b""
        self._base = 0  # position of the first octet in the buffer
        self._final = False
        self._stack: list[_Open] = []
        self._active: dict[bytes, _Open] = {}
        self._needle = b""
        self._search = 0  # no delimiter begins before this position, except the one found
        self._delimiter: _Delimiter | None = None
        self._opaque = False
        self._in_header = True
        self._header_start = 0
        self._header_kept: bytes | None = None  # of a header over its budget, once the buffer let go of it
        self._header_left = limits.all_headers_bytes
        self._blank_from = 0
        self._default = _TEXT_PLAIN
        self._lf = 0  # LF octets in [0, counted)
        self._counted = 0
        self._parts = 1
        self._truncated = False
        self._eight_bit = False
        self._header_eight_bit = False
        self._root: Part | None = None
        self._root_body = -1
        self._root_fields: entity.Fields = {}
        self._root_listed: tuple[tuple[bytes, bytes], ...] = ()

    def feed(self, chunk: bytes) -> None:
        """The next octets of the message."""
        if not chunk:
            return
        before = self._base + len(self._buf)
        buf = self._buf
        if isinstance(buf, bytes):
            buf = self._buf = bytearray(buf)
        buf += chunk
        self._run()
        self._note_eight_bit(chunk, before)
        self._trim(buf)

    def finish(self) -> Scanned:
        """The message is complete; what was found. The scanner is used up."""
        self._final = True
        self._run()
        return self._result()

    def scan_whole(self, data: bytes) -> Scanned:
        """Instead of `feed` and `finish`: the same result from the whole message, without copying it."""
        self._buf = data
        self._final = True
        self._run()
        self._note_eight_bit(data, 0)
        return self._result()

    def _note_eight_bit(self, chunk: bytes, position: int) -> None:
        """Called after the chunk was read, so that the end of the root header in it is known."""
        if (self._eight_bit and self._header_eight_bit) or chunk.isascii():
            return
        self._eight_bit = True
        if self._root_body < 0 or not chunk[: max(0, self._root_body - position)].isascii():
            self._header_eight_bit = True

    def _trim(self, buf: bytearray) -> None:
        """Lets go of what no longer matters. One octet before stays: is it a LF, the last line is finished."""
        keep_from = self._base + len(buf)
        if self._in_header:
            budget = min(self._limits.header_bytes, self._header_left)
            if self._header_kept is None and keep_from - self._header_start > budget:
                start = self._header_start - self._base
                self._header_kept = bytes(buf[start : start + budget])
            keep_from = self._blank_from if self._header_kept is not None else min(self._header_start, self._blank_from)
        if self._active and not self._opaque:
            keep_from = min(keep_from, self._search)
        drop = keep_from - 1 - self._base
        if drop > 0:
            self._line_feeds(keep_from - 1)
            del buf[:drop]
            self._base += drop

    def _run(self) -> None:
        while True:
            if self._in_header:
                if not self._read_header():
                    return
            elif self._opaque or not self._active:
                return
            elif self._delimiter is not None or self._locate(len(self._buf)):
                self._take_delimiter()
            else:
                return

    def _locate(self, upto: int) -> bool:
        """Looks for the next delimiter of an active boundary that begins in the buffer before `upto`.

        False when there is none, or only the start of one.
        """
        buf, base, needle, active = self._buf, self._base, self._needle, self._active
        last = upto + len(needle) - 1
        at = self._search - base
        while True:
            at = buf.find(needle, at, last)
            if at < 0:
                self._search = max(self._search, base + min(upto, len(buf) - len(needle) + 1))
                return False
            line_start = at + 4
            end = buf.find(_CRLF, line_start, line_start + _LINE_CAP + 2)
            next_line = end + 2
            if end < 0:
                if len(buf) - line_start >= _LINE_CAP + 2:
                    at = line_start
                    continue
                if not self._final:
                    self._search = base + at
                    return False
                end = next_line = len(buf)
            line = bytes(buf[line_start:end]).rstrip(b" \t")
            owner = active.get(line)
            closes = owner is None and line[-2:] == b"--"
            if closes:
                owner = active.get(line[:-2])
            if owner is not None:
                self._delimiter = _Delimiter(base + at, owner, closes, base + next_line)
                return True
            at = end
            self._search = base + end

    def _read_header(self) -> bool:
        """Enters the entity when its header is complete; False when more octets are needed.

        With active boundaries the empty line is looked for in a window that doubles, and delimiters only before it: neither
        search may run far ahead again and again while headers nest.
        """
        buf, base = self._buf, self._base
        size = len(buf)
        if not self._stack and base == 0 and buf[:2] == _CRLF:  # the root header is empty
            self._enter(2, empty=False)
            return True
        window = _WINDOW if self._active else size
        while True:
            start = self._blank_from - base
            window_end = min(size, start + window)
            blank = buf.find(_BLANK, start, window_end)
            if self._delimiter is not None or (self._active and self._locate(blank if blank >= 0 else window_end)):
                break
            if blank >= 0:
                self._enter(base + blank + 4, empty=False)
                return True
            self._blank_from = base + max(start, window_end - 3)
            if window_end == size:
                break
            window *= 2
        if self._delimiter is not None:
            self._enter(max(self._header_start, self._delimiter.at), empty=True)
        elif self._final:
            self._enter(base + size, empty=True)
        else:
            return False
        return True

    def _header_block(self, body_start: int) -> bytes:
        """What the budget allows of the header that ends at `body_start`."""
        length = body_start - self._header_start
        budget = min(self._limits.header_bytes, self._header_left)
        kept = self._header_kept
        if kept is None:
            start = self._header_start - self._base
            kept = bytes(self._buf[start : start + min(length, budget)])
        else:
            kept = kept[:length]
            self._header_kept = None
        self._header_left -= len(kept)
        if length > budget:
            self._truncated = True
            return kept.rstrip(_CRLF)
        return kept

    def _enter(self, body_start: int, *, empty: bool) -> None:
        """The header is complete: what is this entity? `empty`: it has no body, since its header did not end by itself."""
        stack = self._stack
        block = self._header_block(body_start)
        if not stack:
            self._root_body = body_start
            fields, self._root_listed = entity.collect(block, entity.MESSAGE_FIELDS, self._wanted)
            self._root_fields = fields
        elif stack[-1].enclosed:
            fields, _ = entity.collect(block, entity.MESSAGE_FIELDS)
            stack[-1].envelope = self._envelope(fields)
        else:
            fields, _ = entity.collect(block, entity.MIME_FIELDS)
        kind, subtype, params = self._media_type(fields.get(b"content-type"))
        opened = _Open(self._header_start, body_start, kind, subtype, params, fields)
        opened.lf_before = self._line_feeds(body_start)
        self._in_header = False
        if kind == b"multipart":
            self._enter_multipart(opened, empty=empty)
        elif kind == b"message" and subtype in _MESSAGES and self._may_enclose(fields):
            opened.enclosed = True
            stack.append(opened)
            self._begin(body_start, _TEXT_PLAIN)
            return
        stack.append(opened)

    def _media_type(self, value: bytes | None) -> tuple[bytes, bytes, entity.Params]:
        if value is None:
            return self._default
        found = entity.content_type(value, self._limits.params)
        if found is None:
            return _TEXT_PLAIN
        kind, subtype, params, complete = found
        if not complete:
            self._truncated = True
        if kind == b"multipart" and not self._boundary(params):
            return _TEXT_PLAIN
        return kind, subtype, params

    def _boundary(self, params: entity.Params) -> bytes | None:
        """A boundary that can be looked for."""
        boundary = (parametered.find(params, b"boundary") or b"").rstrip(b" \t")
        if len(boundary) > min(self._limits.boundary_bytes, _LINE_CAP - 2) or b"\r" in boundary or b"\n" in boundary:
            return None
        return boundary or None

    def _enter_multipart(self, opened: _Open, *, empty: bool) -> None:
        """Its boundary becomes active, before those around it."""
        if len(self._stack) >= self._limits.depth:
            self._truncated = True
        elif not empty:
            boundary = opened.boundary = self._boundary(opened.params) or b""
            active = self._active
            opened.needle = self._needle
            opened.shadowed = active.get(boundary)
            shared = _shared_prefix(self._needle[4:], boundary) if active else boundary
            self._needle = b"\r\n--" + shared
            active[boundary] = opened
            self._delimiter = None
            self._search = opened.body_start - 2

    def _may_enclose(self, fields: entity.Fields) -> bool:
        if entity.transfer_encoding(fields.get(b"content-transfer-encoding")) not in _IDENTITY:
            return False
        if len(self._stack) >= self._limits.depth or self._parts >= self._limits.parts or self._header_left <= 0:
            self._truncated = True
            return False
        self._parts += 1
        return True

    def _begin(self, position: int, default: tuple[bytes, bytes, entity.Params]) -> None:
        """A header begins at `position`, behind a CRLF that may be the first half of an empty line or of a delimiter."""
        self._in_header = True
        self._header_start = position
        self._blank_from = position - 2
        self._default = default

    def _take_delimiter(self) -> None:
        """Ends what the delimiter ends; then either a part begins, or the epilogue of its multipart."""
        delimiter = self._delimiter
        if delimiter is None:
            return
        at, owner, closes, next_line = delimiter
        self._delimiter = None
        self._search = next_line - 2
        end = at
        while self._stack[-1] is not owner:
            end = self._close(end)
        if closes:
            self._retire(owner)
        elif self._parts >= self._limits.parts or self._header_left <= 0:
            self._truncated = self._opaque = True
            rest = _Open(next_line, next_line, b"application", b"octet-stream", (), {})
            rest.lf_before = self._line_feeds(next_line)
            self._stack.append(rest)
        else:
            self._parts += 1
            digest = owner.subtype == b"digest"
            self._begin(next_line, _MESSAGE_RFC822 if digest else _TEXT_PLAIN)

    def _retire(self, owner: _Open) -> None:
        """Its boundary is no longer looked for."""
        if owner.boundary is None:
            return
        if owner.shadowed is None:
            del self._active[owner.boundary]
        else:
            self._active[owner.boundary] = owner.shadowed
        self._needle = owner.needle
        owner.boundary = None

    def _close(self, end: int) -> int:
        """The innermost entity ends at `end`, or where its body begins when that is later. Where it ended."""
        stack = self._stack
        closed = stack.pop()
        self._retire(closed)
        end = max(end, closed.body_start)
        part = self._part(closed, end)
        if not stack:
            self._root = part
        elif stack[-1].enclosed:
            stack[-1].message = part
        else:
            stack[-1].children.append(part)
        return end

    def _part(self, closed: _Open, end: int) -> Part:
        get = closed.fields.get
        disposition = None
        if value := get(b"content-disposition"):
            disposition, complete = entity.disposition(value, self._limits.params)
            if not complete:
                self._truncated = True
        languages = get(b"content-language")
        lines = self._lines(closed, end)
        children = tuple(closed.children)
        if closed.type == b"multipart":
            if not children:
                whole = Part(b"text", b"plain", closed.body_start, closed.body_start, end, lines, _US_ASCII)
                children = (whole,)
            lines = 0
        return Part(
            closed.type,
            closed.subtype,
            closed.header_start,
            closed.body_start,
            end,
            lines,
            closed.params,
            get(b"content-id"),
            get(b"content-description"),
            entity.transfer_encoding(get(b"content-transfer-encoding")),
            get(b"content-md5"),
            disposition,
            entity.languages(languages) if languages else (),
            get(b"content-location"),
            children,
            closed.message,
            closed.envelope,
        )

    def _lines(self, closed: _Open, end: int) -> int:
        if end == closed.body_start:
            return 0
        finished = self._line_feeds(end) - closed.lf_before
        return finished if self._buf[end - 1 - self._base] == 0x0A else finished + 1

    def _line_feeds(self, position: int) -> int:
        """How many LF stand before a position that is not before the last one asked for."""
        if position > self._counted:
            self._lf += self._buf.count(b"\n", self._counted - self._base, position - self._base)
            self._counted = position
        return self._lf

    def _envelope(self, fields: entity.Fields) -> Envelope:
        envelope, complete = entity.envelope(fields, self._limits.addresses)
        if not complete:
            self._truncated = True
        return envelope

    def _result(self) -> Scanned:
        size = end = self._base + len(self._buf)
        while self._stack:
            end = self._close(end)
        root = self._root
        if root is None:  # cannot be: a run with `final` enters the root
            root = Part(b"text", b"plain", 0, 0, size, 0)
        fields = self._root_fields
        sent = fields.get(b"date")
        return Scanned(
            size,
            root,
            self._envelope(fields),
            parse_date(sent) if sent else None,
            entity.reference_hashes(fields, self._limits.references),
            self._truncated,
            self._eight_bit,
            self._header_eight_bit,
            self._root_listed,
        )


def scan(data: bytes, limits: Limits = DEFAULT, wanted_fields: frozenset[bytes] = frozenset()) -> Scanned:
    """What one pass over a whole message finds. Always returns; the same as a `Scanner` fed in any chunks."""
    return Scanner(limits, wanted_fields).scan_whole(data)
