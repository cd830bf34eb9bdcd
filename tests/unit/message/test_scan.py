"""Structure of well-formed and of torn messages: what the scanner says, and where it says it lies."""

from pathlib import Path

import pytest

from poterne.message.entity import message_id_hash
from poterne.message.limits import Limits
from poterne.message.scan import Scanner, scan
from poterne.values.mime import Part, Scanned

CORPUS = sorted((Path(__file__).parents[2] / "corpus").glob("*.eml"))


def mime(value: str) -> bytes:
    return b"Content-Type: " + value.encode() + b"\r\n\r\n"


def outline(part: Part) -> object:
    """Type, with what is inside: ("multipart/mixed", [...])."""
    name = (part.type + b"/" + part.subtype).decode()
    inside = [outline(child) for child in part.children]
    if part.message is not None:
        inside = [outline(part.message)]
    return (name, inside) if inside else name


def bodies(data: bytes, part: Part) -> list[bytes]:
    """The bodies of the leaves in order."""
    if part.message is not None:
        return bodies(data, part.message)
    if part.children:
        return [body for child in part.children for body in bodies(data, child)]
    return [data[part.body_start : part.body_end]]


def bytewise(data: bytes, limits: Limits | None = None) -> Scanned:
    scanner = Scanner(limits or Limits())
    for at in range(len(data)):
        scanner.feed(data[at : at + 1])
    return scanner.finish()


def check(data: bytes) -> Part:
    found = scan(data)
    assert bytewise(data) == found
    return found.root


def test_simple_message() -> None:
    data = b"From: a@b\r\nSubject: x\r\n y\r\n\r\none\r\ntwo"
    found = scan(data)
    root = found.root
    assert outline(root) == "text/plain"
    assert (root.header_start, root.body_start, root.body_end) == (0, 29, len(data))
    assert root.params == ((b"charset", b"us-ascii"),)
    assert root.lines == 2
    assert root.size == 8
    assert root.encoding == b"7bit"
    assert found.size == len(data)
    assert found.envelope.subject == b"x y"
    assert not found.truncated
    assert not found.eight_bit


@pytest.mark.parametrize(
    ("data", "header_end", "lines"),
    [
        (b"", 0, 0),
        (b"\r\n", 2, 0),
        (b"\r\nbody\r\n", 2, 1),
        (b"\r\n\r\n", 2, 1),
        (b"A: b", 4, 0),
        (b"A: b\r\n", 6, 0),
        (b"A: b\r\n\r\n", 8, 0),
        (b"A: b\r\n\r\n\r\n", 8, 1),
        (b"A: b\n\nbody\n", 11, 0),  # LF ends no header
        (b"A: b\r\n\r\na\nb", 8, 2),  # but a LF counts as a line
        (b"\r", 1, 0),
    ],
)
def test_where_the_header_ends(data: bytes, header_end: int, lines: int) -> None:
    root = check(data)
    assert (root.header_start, root.body_start, root.body_end) == (0, header_end, len(data))
    assert root.lines == lines


def test_line_before_a_boundary_belongs_to_it() -> None:
    data = mime("multipart/mixed; boundary=b") + b"pre\r\n--b\r\n\r\none\r\n--b\r\n\r\ntwo\r\n\r\n--b--\r\nepilogue"
    root = check(data)
    assert bodies(data, root) == [b"one", b"two\r\n"]
    assert [child.lines for child in root.children] == [1, 1]
    assert root.body_end == len(data)
    assert root.lines == 0


@pytest.mark.parametrize(
    ("name", "value", "expected", "leaves"),
    [
        ("missing end", b"--b\r\n\r\none", ("multipart/mixed", ["text/plain"]), [b"one"]),
        ("end without line end", b"--b\r\n\r\none\r\n--b--", ("multipart/mixed", ["text/plain"]), [b"one"]),
        ("no part at all", b"just text", ("multipart/mixed", ["text/plain"]), [b"just text"]),
        ("only an end", b"--b--\r\nx", ("multipart/mixed", ["text/plain"]), [b"--b--\r\nx"]),
        ("empty", b"", ("multipart/mixed", ["text/plain"]), [b""]),
        ("empty parts", b"--b\r\n--b\r\n--b--", ("multipart/mixed", ["text/plain", "text/plain"]), [b"", b""]),
        ("no blank line", b"--b\r\nA: c\r\n--b--", ("multipart/mixed", ["text/plain"]), [b""]),
        ("padding", b"--b \t\r\n\r\none\r\n--b-- \r\nx", ("multipart/mixed", ["text/plain"]), [b"one"]),
        ("prefix is no delimiter", b"--b\r\n\r\n--bb\r\n--b-\r\n-- b\r\n--b--", ("multipart/mixed", ["text/plain"]), [b"--bb\r\n--b-\r\n-- b"]),
        ("LF is no line end", b"--b\n\none\n--b--\n", ("multipart/mixed", ["text/plain"]), [b"--b\n\none\n--b--\n"]),
        ("LF before a delimiter", b"--b\r\n\r\none\n--b--", ("multipart/mixed", ["text/plain"]), [b"one\n--b--"]),
        ("inside a line", b"--b\r\n\r\nx--b--\r\n", ("multipart/mixed", ["text/plain"]), [b"x--b--\r\n"]),
        ("part after the end", b"--b\r\n\r\n1\r\n--b--\r\n--b\r\n\r\n2", ("multipart/mixed", ["text/plain"]), [b"1"]),
        ("delimiter in long white space", b"--b\r\n\r\n1\r\n--b" + b" " * 2000 + b"\r\n\r\n2", ("multipart/mixed", ["text/plain"]), [b"1\r\n--b" + b" " * 2000 + b"\r\n\r\n2"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_torn_multiparts(name: str, value: bytes, expected: object, leaves: list[bytes]) -> None:
    assert name
    data = mime("multipart/mixed; boundary=b") + value
    root = check(data)
    assert outline(root) == expected
    assert bodies(data, root) == leaves


def test_outer_boundary_ends_inner_multiparts() -> None:
    data = (
        mime("multipart/mixed; boundary=a")
        + b"--a\r\n" + mime("multipart/mixed; boundary=ab")
        + b"--ab\r\n" + mime("multipart/alternative; boundary=abc") + b"--abc\r\n\r\nin"
        + b"\r\n--a\r\n\r\nout\r\n--ab\r\n--abc\r\n--a--"
    )  # fmt: skip
    root = check(data)
    assert outline(root) == (
        "multipart/mixed",
        [("multipart/mixed", [("multipart/alternative", ["text/plain"])]), "text/plain"],
    )
    assert bodies(data, root) == [b"in", b"out\r\n--ab\r\n--abc"]


def test_inner_multipart_with_the_boundary_of_the_outer_owns_it_until_closed() -> None:
    data = (
        mime("multipart/mixed; boundary=x")
        + b"--x\r\n" + mime("multipart/mixed; boundary=x") + b"--x\r\n\r\n1\r\n--x\r\n\r\n2\r\n--x--\r\n"
        + b"--x\r\n\r\n3\r\n--x--\r\n"
    )  # fmt: skip
    root = check(data)
    assert outline(root) == ("multipart/mixed", [("multipart/mixed", ["text/plain", "text/plain"]), "text/plain"])
    assert bodies(data, root) == [b"1", b"2", b"3"]


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/mixed",
        "multipart/mixed; boundary=",
        'multipart/mixed; boundary=""',
        'multipart/mixed; boundary=" "',
        "multipart/mixed; boundary=" + "b" * 251,
        "multipart/mixed; boundary*=us-ascii''a%0D%0Ab",
        "garbage",
        "/plain",
        "text/",
        "",
        "text/pl ain; x",
    ],
)
def test_unusable_content_type_is_plain_text(content_type: str) -> None:
    data = mime(content_type) + b"--b\r\n\r\nx\r\n--b--"
    assert check(data).type == b"text"
    assert not check(data).children


def test_boundary_forms() -> None:
    for form in (
        'boundary="=_ x:y?"',
        'boundary*0="=_ x"; boundary*1=:y?',
        "boundary*=''%3D_%20x%3Ay%3F",
        'BOUNDARY = "=_ x:y?" (c)',
    ):
        data = mime(f"Multipart/MIXED; charset=x; {form}") + b"--=_ x:y?\r\n\r\n1\r\n--=_ x:y?--"
        assert outline(check(data)) == ("multipart/mixed", ["text/plain"]), form


def test_the_first_content_type_counts() -> None:
    data = b"Content-Type: text/html\r\n" + mime("multipart/mixed; boundary=b") + b"--b\r\n\r\n1"
    assert outline(check(data)) == "text/html"


def test_digest_and_embedded_messages() -> None:
    data = mime("multipart/digest; boundary=d") + (
        b"--d\r\n\r\nFrom: a@b\r\nSubject: one\r\n\r\n1\r\n2"
        b"\r\n--d\r\nContent-Type: text/plain\r\n\r\ntext\r\n--d\r\n\r\n\r\n--d--"
    )
    root = check(data)
    assert outline(root) == (
        "multipart/digest",
        [("message/rfc822", ["text/plain"]), "text/plain", ("message/rfc822", ["text/plain"])],
    )
    first = root.children[0]
    assert first.envelope is not None
    assert first.envelope.subject == b"one"
    assert first.lines == 5
    assert first.message is not None
    assert data[first.message.body_start : first.message.body_end] == b"1\r\n2"


@pytest.mark.parametrize(("encoding", "entered"), [("7bit", True), ("8BIT", True), ("binary", True), ("(c) 7bit", True), ("base64", False), ("quoted-printable", False), ("x", False)])  # fmt: skip
def test_embedded_message_is_entered_in_identity_encodings_only(encoding: str, entered: bool) -> None:
    root = check(f"Content-Transfer-Encoding: {encoding}\r\n".encode() + mime("message/rfc822") + b"A: b\r\n\r\nx")
    assert (root.message is not None) == entered
    assert (root.envelope is not None) == entered


def test_message_global_is_entered() -> None:
    assert outline(check(mime("message/global") + b"\r\nx")) == ("message/global", ["text/plain"])


def test_mime_fields_of_a_part() -> None:
    root = scan(
        b'Content-Type: image/PNG; Name="a\\"b.png"; x*1=b; x*0=a\r\n'
        b"Content-Transfer-Encoding: BASE64 (really)\r\n"
        b"Content-ID: <i@d>\r\nContent-Description: a\r\n thing\r\nContent-MD5: abc=\r\n"
        b"Content-Disposition: Attachment; filename*0*=utf-8''%C3%A9; filename*1=\"a b\"; size=3\r\n"
        b"Content-Language: fr, en (c)\r\nContent-Location: http://x/\r\n\r\n"
    ).root  # fmt: skip
    assert (root.type, root.subtype) == (b"image", b"png")
    assert root.params == ((b"name", b'a"b.png'), (b"x", b"ab"))
    assert root.encoding == b"base64"
    assert (root.content_id, root.description, root.md5, root.location) == (b"<i@d>", b"a thing", b"abc=", b"http://x/")
    assert root.language == (b"fr", b"en")
    assert root.disposition is not None
    assert root.disposition.kind == b"attachment"
    assert root.disposition.params == ((b"filename*", b"utf-8''%C3%A9a%20b"), (b"size", b"3"))


def test_envelope_defaults_and_references() -> None:
    found = scan(
        b"Message-ID: <own@x>\r\nReferences: <a@x>\r\n\t<b@x> <a@x>\r\nIn-Reply-To: <b@x> <c@x>\r\n"
        b"From: A <a@x>\r\nReply-To:\r\nDate: Thu, 1 Jan 1970 00:01:00 +0000\r\nX-Spam: a\r\nx-SPAM : b\r\n\r\n",
        wanted_fields=frozenset({b"x-spam", b"message-id"}),
    )
    envelope = found.envelope
    assert envelope.sender == envelope.reply_to == envelope.from_
    assert envelope.message_id == b"<own@x>"
    assert envelope.subject is None
    assert found.sent_at == 60
    assert found.references == tuple(message_id_hash(one) for one in (b"own@x", b"a@x", b"b@x", b"c@x"))
    assert found.fields == ((b"message-id", b"<own@x>"), (b"x-spam", b"a"), (b"x-spam", b"b"))


def test_message_id_hash_is_a_stored_format() -> None:
    assert message_id_hash(b"") == 8238016292129134938
    assert message_id_hash(b"a@b") == 2138789349258719544


def test_many_references_keep_the_oldest_and_the_newest() -> None:
    ids = [b"<%d@x>" % n for n in range(1000)]
    found = scan(b"Message-ID: <own@x>\r\nReferences: " + b"\r\n ".join(ids) + b"\r\n\r\n", Limits(references=10))
    expected = [b"own@x", b"0@x", *(b"%d@x" % n for n in range(992, 1000))]
    assert found.references == tuple(message_id_hash(one) for one in expected)


def test_eight_bit_facts() -> None:
    body = scan(b"A: b\r\n\r\n\xe9")
    assert (body.eight_bit, body.header_eight_bit) == (True, False)
    head = scan(b"A: \xe9\r\n\r\nb")
    assert (head.eight_bit, head.header_eight_bit) == (True, True)
    for data in (b"A: b\r\n\r\n\xe9", b"A: \xe9\r\n\r\nb", b"A: \xe9", b"\r\n\xe9"):
        assert bytewise(data) == scan(data)


def test_depth_budget() -> None:
    data = b"".join(mime(f"multipart/mixed; boundary=b{n}") + b"--b%d\r\n" % n for n in range(10)) + b"\r\nx"
    found = scan(data, Limits(depth=3))
    assert found.truncated
    part, depth = found.root, 1
    while part.children:
        part, depth = part.children[0], depth + 1
    assert depth == 5  # three divided, one that is not, and its whole body as a part
    assert not scan(data, Limits(depth=10)).truncated


def test_part_budget_leaves_one_opaque_rest() -> None:
    data = mime("multipart/mixed; boundary=b") + b"".join(b"--b\r\n\r\n%d\r\n" % n for n in range(10)) + b"--b--\r\n"
    found = scan(data, Limits(parts=4))
    assert found.truncated
    assert [child.subtype for child in found.root.children] == [b"plain"] * 3 + [b"octet-stream"]
    last = found.root.children[-1]
    assert data[last.header_start : last.body_end].startswith(b"\r\n3\r\n--b\r\n")
    assert last.body_end == len(data)
    assert bytewise(data, Limits(parts=4)) == found
    assert not scan(data, Limits(parts=11)).truncated


def test_header_budget() -> None:
    data = b"Subject: kept\r\nX-Long: " + b"x" * 5000 + b"\r\nContent-Type: text/html\r\n\r\nbody"
    limits = Limits(header_bytes=1000)
    found = scan(data, limits)
    assert found.truncated
    assert found.envelope.subject == b"kept"
    assert outline(found.root) == "text/plain"  # its field was beyond
    assert data[found.root.body_start :] == b"body"
    assert bytewise(data, limits) == found


def test_memory_does_not_grow_with_the_message() -> None:
    import tracemalloc

    chunk = b"x" * 65534 + b"\r\n"
    scanner = Scanner()
    scanner.feed(mime("multipart/mixed; boundary=b") + b"--b\r\n\r\n")
    tracemalloc.start()
    for _ in range(800):  # 50 MiB
        scanner.feed(chunk)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * len(chunk)
    assert scanner.finish().root.children[0].size == 800 * len(chunk)


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_corpus_is_crlf_and_the_same_in_any_chunks(path: Path) -> None:
    data = path.read_bytes()
    assert data.count(b"\n") == data.count(b"\r\n") == data.count(b"\r")
    found = scan(data)
    assert bytewise(data) == found
    assert not found.truncated
    assert found.sent_at is not None


def test_corpus_outlines() -> None:
    text, alternative = "text/plain", ("multipart/alternative", ["text/plain", "text/html"])
    assert {path.stem: outline(scan(path.read_bytes()).root) for path in CORPUS} == {
        "alternative": alternative,
        "attachment": ("multipart/mixed", [("multipart/related", [alternative, "image/png"]), "application/pdf"]),
        "calendar": ("multipart/mixed", [("multipart/alternative", [text, "text/calendar"]), "application/ics"]),
        "digest": ("multipart/digest", [("message/rfc822", [text]), ("message/rfc822", [text])]),
        "dsn": ("multipart/report", [text, "message/delivery-status", "text/rfc822-headers"]),
        "encoded-words": text,
        "french-8bit": text,
        "nested-forward": (
            "multipart/mixed",
            [text, ("message/rfc822", [("multipart/mixed", [text, ("message/rfc822", [text])])])],
        ),
        "signed": ("multipart/signed", [("multipart/mixed", [text]), "application/pgp-signature"]),
        "utf8-headers": text,
    }
