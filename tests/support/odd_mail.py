"""Messages whose text is hard to compare: charsets, transfer encodings, letters that fold to several or to others, nesting."""

import base64
import binascii

from hypothesis import strategies as st

LETTERS = 'aAeEzZ09-_ßſKKİıﬁﬀéÉe\u0301\u0323\u0345ͅΣσςǅａＡ①´ \u00a0\u2003\t가각東京ŉŁ€\U0001d400\U0001f600<>"\\@.:'
CHARSETS = (
    "utf-8",
    "iso-8859-1",
    "windows-1252",
    "gb18030",
    "utf-16",
    "iso-2022-jp",
    "utf-7",
    "us-ascii",
    "koi8-r",
    "x-no",
    "",
)
ENCODINGS = ("7bit", "8bit", "binary", "base64", "quoted-printable", "x-other", "")

words = st.text(alphabet=LETTERS, min_size=1, max_size=9)
lines = st.lists(words, max_size=8).map(" ".join)


@st.composite
def texts(draw: st.DrawFn) -> str:
    """Some lines; sometimes long enough that they are folded in several slices."""
    found = "\r\n".join(draw(st.lists(lines, max_size=5)))
    return found * draw(st.sampled_from((1, 1, 1, 60)))


@st.composite
def header_values(draw: st.DrawFn) -> bytes:
    text = draw(lines)
    charset = draw(st.sampled_from(("utf-8", "iso-8859-1", "gb18030")))
    octets = text.encode(charset, "ignore").replace(b"\r", b"").replace(b"\n", b"")
    match draw(st.sampled_from(("raw", "q", "b", "fold", "broken"))):
        case "raw":
            return octets
        case "q":
            return b"x =?%b?Q?%b?= y" % (charset.encode(), binascii.b2a_qp(octets, header=True).replace(b"=\n", b""))
        case "b":
            half = len(octets) // 2
            word = b"=?%b?b?" % charset.encode()
            return b" ".join(word + base64.b64encode(part) + b"?=" for part in (octets[:half], octets[half:]))
        case "fold":
            return octets[:3] + b"\r\n " + octets[3:] + b"\r\n\tend"
        case _:
            return b"=?nope?x?" + octets + b"?= =?utf-8?q?" + octets


@st.composite
def entities(draw: st.DrawFn, depth: int = 0) -> bytes:
    """An entity with its header, as octets; its lines end in CRLF, if not in something else."""
    kind = draw(
        st.sampled_from(("text", "text", "text", "attachment", "multipart", "message") if depth < 3 else ("text",))
    )
    if kind == "multipart":
        parts = draw(st.lists(entities(depth + 1), min_size=1, max_size=3))
        line = b"--b%d" % depth
        inner = b"".join(line + b"\r\n" + part + b"\r\n" for part in parts)
        return b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\npreamble\r\n%b%b--\r\n' % (depth, inner, line)
    if kind == "message":
        return b"Content-Type: message/rfc822\r\n\r\n" + draw(messages(depth + 1))
    charset, encoding = draw(st.sampled_from(CHARSETS)), draw(st.sampled_from(ENCODINGS))
    written = draw(st.sampled_from((charset, charset, "utf-8", "iso-8859-1")))
    try:
        octets = draw(texts()).encode(written or "utf-8", "replace")
    except LookupError:
        octets = draw(texts()).encode()
    if encoding == "base64":
        octets = base64.encodebytes(octets).replace(b"\n", b"\r\n")
    elif encoding == "quoted-printable":
        octets = binascii.b2a_qp(octets, istext=True)
    fields = b"Content-Type: %b; charset=%b\r\n" % (
        b"text/html" if kind == "text" else b"application/pdf; name=a",
        charset.encode() or b'""',
    )
    if encoding:
        fields += b"Content-Transfer-Encoding: %b\r\n" % encoding.encode()
    return fields + b"\r\n" + octets


@st.composite
def messages(draw: st.DrawFn, depth: int = 0) -> bytes:
    names = st.sampled_from(
        (b"Subject", b"From", b"To", b"Cc", b"Bcc", b"X-Odd", b"X-\xc3\xa9", b"Reply-To", b"Message-ID", b"Sender")
    )
    addresses = st.sampled_from(
        (
            b'"O\'Hara, \\"Max\\"" <max@x.example>',
            b"=?utf-8?q?=C3=89va?= <e@y.example>",
            b"list: a@b.example, c@d.example;",
            b"x (a \\(b) c) <q@r>",
        )
    )
    fields = draw(st.lists(st.tuples(names, st.one_of(header_values(), addresses)), max_size=6))
    return b"".join(name + b": " + value + b"\r\n" for name, value in fields) + draw(entities(depth))
