"""What the renderer writes, the search reads back."""

from hypothesis import given
from hypothesis import strategies as st

from poterne.proto.imap import render
from poterne.session.imap import envelope
from poterne.values.mime import Envelope, MailAddress

TEXT = st.binary(max_size=30).map(lambda value: value.replace(b"\0", b"?"))
ADDRESS = st.builds(MailAddress, st.none() | TEXT, st.none(), TEXT, TEXT)
ADDRESSES = st.lists(ADDRESS, max_size=3).map(tuple)


@given(
    st.builds(
        Envelope,
        date=st.none() | TEXT,
        subject=st.none() | TEXT,
        from_=ADDRESSES,
        to=ADDRESSES,
        bcc=ADDRESSES,
        message_id=st.none() | TEXT,
    )
)
def test_read_back(value: Envelope) -> None:
    text = render.envelope(value)
    assert envelope.texts(text, "date") == ([] if value.date is None else [value.date])
    assert envelope.texts(text, "subject") == ([] if value.subject is None else [value.subject])
    assert envelope.texts(text, "message-id") == ([] if value.message_id is None else [value.message_id])
    for field, addresses in (("from", value.from_), ("to", value.to), ("bcc", value.bcc)):
        specs = [(one.mailbox or b"") + b"@" + (one.host or b"") for one in addresses]
        found = envelope.texts(text, field)
        assert [(one.endswith(spec + b">") or one == spec) for one, spec in zip(found, specs, strict=True)] == [
            True
        ] * len(specs)


@given(st.binary(max_size=60), st.sampled_from(sorted(envelope.FIELDS)))
def test_damage_is_survived(text: bytes, field: str) -> None:
    envelope.texts(text, field)
    envelope.texts(b"(" + text, field)
    envelope.texts(b"(NIL NIL ((" + text, field)
