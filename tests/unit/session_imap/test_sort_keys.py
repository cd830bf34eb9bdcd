"""The quick ways give what parsing gives, for any envelope."""

from hypothesis import given
from hypothesis import strategies as st

from poterne.message.entity import message_ids
from poterne.proto.imap import render
from poterne.session.imap import sort_keys
from poterne.session.imap.base_subject import base_subject
from poterne.values.mime import Envelope, MailAddress

text = st.none() | st.sampled_from(
    [b"", b"a", b"Re: x", b'q"q', b"back\\slash", b"NIL", b"(", b") (", b"\xc3\xa9", b"<i@d>", b"<i@d> x"]
)
addresses = st.lists(st.builds(MailAddress, text, text, text, text), max_size=2).map(tuple)
envelopes = st.builds(
    Envelope, text, text, addresses, addresses, addresses, addresses, addresses, addresses, text, text
)


@given(envelopes)
def test_quick_is_as_parsed(value: Envelope) -> None:
    stored = render.envelope(value)
    for field, found in (("from", value.from_), ("to", value.to), ("cc", value.cc)):
        mailbox = (found[0].mailbox or b"") if found else b""
        assert sort_keys.mailbox(stored, field) == sort_keys.collated(mailbox.decode("utf-8", "replace"))
    expected = base_subject((value.subject or b"").decode())
    assert sort_keys.subject(stored) == (sort_keys.collated(expected.base), expected.is_reply)
    own, references = sort_keys.identity(b"Subject: x\r\n\r\n", stored)
    assert (own is None) == (not message_ids(value.message_id))
    assert len(references) == len(message_ids(value.in_reply_to)[:1])


def test_display() -> None:
    def shown(name: bytes | None, mailbox: bytes | None, host: bytes | None) -> str:
        address = MailAddress(name, None, mailbox, host)
        return sort_keys.display(render.envelope(Envelope(None, None, (address,))), "from")

    assert shown(b"Ada", b"x", b"y") == "ADA"
    assert shown(b"=?utf-8?q?=C3=89mile?=", b"x", b"y") == sort_keys.collated("émile")
    assert shown(None, b"x", b"y.org") == "X@Y.ORG"
    assert shown(b"", b"x", b"y.org") == "X@Y.ORG"
    assert shown(None, b"group", None) == "GROUP"
    assert shown(None, None, None) == ""
    assert sort_keys.display(render.envelope(Envelope()), "to") == ""


def test_references() -> None:
    stored = render.envelope(Envelope(None, None, in_reply_to=b"<r@x> and <s@x>", message_id=b'<"a b"@x>'))
    plain = render.envelope(Envelope(None, None, in_reply_to=b"<r@x>", message_id=b"<ab@x>"))
    head = b'From: a\r\nX-References: <no@x>\r\nREFERENCES:\r\n <1@x>\r\n\t<"2"@x>\r\nTo: <no@x>\r\n\r\n'
    one, two, reply = (
        sort_keys.identity(b"References: %b\r\n\r\n" % i, plain)[1][0] for i in (b"<1@x>", b"<2@x>", b"<r@x>")
    )
    assert sort_keys.identity(head, stored)[1] == (one, two)
    assert sort_keys.identity(b"References: none\r\n\r\n", stored)[1] == (reply,)
    assert sort_keys.identity(b"", plain)[1] == (reply,)
    assert sort_keys.identity(b"", stored)[0] == sort_keys.identity(b"", plain)[0]
    many = b"References: %b\r\n\r\n" % b" ".join(b"<%d@x>" % n for n in range(500))
    found = sort_keys.identity(many, plain)[1]
    assert len(found) == sort_keys.MAX_REFERENCES
    assert found[0] == sort_keys.identity(b"References: <0@x>\r\n\r\n", plain)[1][0]
