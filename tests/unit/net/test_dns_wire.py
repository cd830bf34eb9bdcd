"""The octets of DNS, with dnspython as the judge."""

from collections.abc import Sequence

import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.rdatatype
import dns.rrset
import pytest
from dns.rcode import Rcode
from hypothesis import given
from hypothesis import strategies as st

from poterne.net.dns import wire
from poterne.net.dns.wire import MalformedError, Query, Reading, canonical, encoded, mixed_case, read, read_name
from poterne.values.dns import AAAA, CNAME, MX, PTR, TLSA, TXT, A, Kind, Mx, Tlsa
from tests.support.name_server import response

NAME = "mail.example.org"
SOA = "example.org. 900 SOA ns.example.org. postmaster.example.org. 1 2 3 4 300"
KINDS: list[Kind[str] | Kind[Mx] | Kind[bytes] | Kind[Tlsa]] = [A, AAAA, CNAME, PTR, MX, TXT, TLSA]


def ask(
    kind: Kind[object], *records: str, authority: Sequence[str] = (), rcode: Rcode = Rcode.NOERROR
) -> Reading[object]:
    query = Query.make(7, encoded(NAME), kind.code, dnssec=False)
    reply = response(query.wire, *records, authority=authority, rcode=rcode)
    return read(reply.to_wire(max_size=65_535), query, NAME, kind)


@pytest.mark.parametrize(
    ("kind", "data", "record"),
    [
        (A, "192.0.2.1", "192.0.2.1"),
        (AAAA, "2001:db8:0:0:1::", "2001:db8:0:0:1::"),
        (CNAME, "Other.Example.ORG.", "other.example.org"),
        (PTR, r"a\.b.c\000\\.Example.", r"a\046b.c\000\092.example"),
        (MX, "10 mx.example.org.", Mx(10, "mx.example.org")),
        (MX, "0 .", Mx(0, "")),
        (TXT, '"v=spf1 " "-all" "\\255\\000"', b"v=spf1 -all\xff\0"),
        (TXT, '""', b""),
        (TLSA, "3 1 1 " + "ab" * 32, Tlsa(3, 1, 1, b"\xab" * 32)),
        (TLSA, "255 7 0 00", Tlsa(255, 7, 0, b"\0")),
    ],
)
def test_records(kind: Kind[object], data: str, record: object) -> None:
    reading = ask(kind, f"{NAME}. 300 {kind.word} {data}")
    assert reading == Reading(0, (record,), NAME, 300, authentic=False)


def test_a_query_as_others_read_it() -> None:
    for dnssec in (True, False):
        query = Query.make(0xABCD, encoded(NAME), MX.code, dnssec=dnssec)
        seen = dns.message.from_wire(query.wire)
        assert (seen.id, seen.edns, seen.payload) == (0xABCD, 0, wire.UDP_OCTETS)
        assert str(seen.question[0]) == f"{NAME}. IN MX"
        assert bool(seen.flags & dns.flags.AD) == bool(seen.ednsflags & dns.flags.DO) == dnssec
        assert seen.flags & dns.flags.RD
        assert not seen.flags & dns.flags.CD


LABEL = st.binary(min_size=1, max_size=63)
NAMES = (
    st.lists(LABEL, max_size=6)
    .filter(lambda labels: sum(map(len, labels)) + len(labels) < 255)
    .map(lambda labels: dns.name.Name([*labels, b""]))
)


@given(st.lists(st.tuples(st.integers(0, 65_535), NAMES), min_size=1, max_size=20))
def test_compressed_names_are_read_as_others_write_them(exchanges: list[tuple[int, dns.name.Name]]) -> None:
    query = Query.make(1, encoded(NAME), MX.code, dnssec=False)
    reply = response(query.wire)
    rrset = dns.rrset.from_text(f"{NAME}.", 60, "IN", "MX", *(f"{number} {name}" for number, name in exchanges))
    reply.answer.append(rrset)
    reading = read(reply.to_wire(max_size=65_535), query, NAME, MX)
    assert len(reading.records) == len(rrset)  # equal ones came once; their order is left to chance
    mine = {(mx.preference, dns.name.from_text(mx.exchange + ".")) for mx in reading.records}
    assert mine == {(mx.preference, mx.exchange) for mx in rrset}


@given(NAMES)
def test_a_name_that_can_be_asked_for_is_the_name_that_was_read(name: dns.name.Name) -> None:
    text, behind = read_name(name.to_wire() or b"", 0)
    assert behind == len(name.to_wire() or b"")
    asked = canonical(text)
    assert asked in {None, text}
    if asked is not None:
        assert dns.name.from_wire(encoded(asked), 0)[0] == name


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Example.ORG.", "example.org"),
        ("", ""),
        (".", ""),
        ("_dmarc.example.org", "_dmarc.example.org"),
        ("a@b.example", "a@b.example"),
        ("..", None),
        ("a..b", None),
        (".a", None),
        ("a b.example", None),
        ("a\0.example", None),
        ("bücher.example", None),
        (r"a\046b.example", None),
        ("x" * 64 + ".example", None),
        ("x" * 63 + ".example", "x" * 63 + ".example"),
        (".".join(["x" * 60] * 5), None),
    ],
)
def test_names(name: str, expected: str | None) -> None:
    assert canonical(name) == expected


@given(st.integers(min_value=0, max_value=2**256))
def test_mixed_case_changes_letters_only(entropy: int) -> None:
    name = encoded("a0-z." + "x" * 63 + ".Example")
    assert mixed_case(name, entropy).lower() == name.lower()
    assert [o for o in mixed_case(name, 2**300 - 1) if 97 <= o <= 122] == [ord("e")]  # all of them, the E included


# -- answers -----------------------------------------------------------------------------------------------------------


def test_aliases_in_any_order_are_followed_and_the_least_ttl_counts() -> None:
    records = (
        "c.example. 200 A 192.0.2.3",
        "b.example. 50 CNAME c.example.",
        f"{NAME}. 400 CNAME B.example.",
        "stranger.example. 5 A 192.0.2.66",
    )
    assert ask(A, *records) == Reading(0, ("192.0.2.3",), "c.example", 50, authentic=False)


def test_records_of_other_names_and_types_are_nothing() -> None:
    reading = ask(A, "other.example. 5 A 192.0.2.66", f"{NAME}. 5 AAAA ::1", authority=[SOA])
    assert (reading.records, reading.final, reading.ttl_s) == ((), True, 300)


def test_an_alias_alone_sends_us_on() -> None:
    reading = ask(A, f"{NAME}. 400 CNAME b.example.")
    assert (reading.records, reading.name, reading.final, reading.ttl_s) == ((), "b.example", False, 400)
    denied = ask(A, f"{NAME}. 400 CNAME b.example.", authority=[SOA])
    assert (denied.final, denied.ttl_s) == (True, 300)


def test_denials_hold_as_long_as_the_soa_says() -> None:
    assert ask(A, authority=[SOA]).ttl_s == 300  # the minimum
    assert ask(A, authority=[SOA.replace(" 900 ", " 20 ")]).ttl_s == 20  # its own TTL
    assert ask(A, rcode=Rcode.NXDOMAIN, authority=[SOA]).rcode == wire.NXDOMAIN
    assert ask(A).ttl_s == 0


def test_a_ttl_with_its_highest_bit_set_is_none() -> None:  # RFC 2181 §8
    query = Query.make(7, encoded(NAME), A.code, dnssec=False)
    octets = response(query.wire, f"{NAME}. 2147483647 A 192.0.2.1").to_wire()
    assert read(octets, query, NAME, A).ttl_s == 2**31 - 1
    assert read(octets.replace(b"\x7f\xff\xff\xff", b"\xff\xff\xff\xff"), query, NAME, A).ttl_s == 0


def test_extended_errors_and_extended_rcodes() -> None:
    query = Query.make(7, encoded(NAME), A.code, dnssec=True)
    reply = response(query.wire, rcode=Rcode.SERVFAIL)
    reply.use_edns(
        0,
        0,
        1232,
        options=[
            dns.edns.GenericOption(dns.edns.OptionType.COOKIE, b"cookie12"),
            dns.edns.EDEOption(dns.edns.EDECode.DNSSEC_BOGUS, "bogus"),
        ],
    )
    reading = read(reply.to_wire(), query, NAME, A)
    assert (reading.rcode, reading.extended_error) == (2, 6)
    reply = response(query.wire, rcode=Rcode.BADVERS)
    assert read(reply.to_wire(), query, NAME, A).rcode == 16


@pytest.mark.parametrize(
    ("records", "rcode", "authority"),
    [
        (("mail.example.org. 5 CNAME b.example.", "b.example. 5 CNAME mail.example.org."), Rcode.NOERROR, ()),
        (("mail.example.org. 5 CNAME mail.example.org.",), Rcode.NOERROR, ()),
        (("mail.example.org. 5 CNAME b.example.", "mail.example.org. 5 CNAME c.example."), Rcode.NOERROR, ()),
        (("mail.example.org. 5 A 192.0.2.1",), Rcode.NXDOMAIN, ()),
        (("mail.example.org. 5 A 192.0.2.1",), Rcode.SERVFAIL, ()),
        ((), Rcode.NOERROR, ("example.org. 5 NS ns.example.org.",)),
        (tuple(f"x{number}.example. 5 A 192.0.2.1" for number in range(wire.MAX_RECORDS + 1)), Rcode.NOERROR, ()),
    ],
)
def test_what_makes_no_sense_is_no_answer(records: tuple[str, ...], rcode: Rcode, authority: tuple[str, ...]) -> None:
    with pytest.raises(MalformedError):
        ask(A, *records, rcode=rcode, authority=authority)


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (A, b"\x7f\0\0"),
        (A, b"\x7f\0\0\1\0"),
        (AAAA, b"\0" * 15),
        (MX, b"\0"),
        (MX, b"\0\1\1a\0x"),
        (MX, b"\0\1\xc0\xff"),
        (TXT, b"\5abc"),
        (TLSA, b"\3\1"),
        (PTR, b"\xc0\x30"),  # itself
        (PTR, b"\x40" + b"x" * 64 + b"\0"),
        (PTR, (b"\x3f" + b"x" * 63) * 4 + b"\0"),
        (PTR, b"\3ab"),
    ],
)
def test_damaged_records(kind: Kind[object], data: bytes) -> None:
    query = Query.make(7, encoded(NAME), kind.code, dnssec=False)
    head = query.wire[:2] + b"\x81\x80\0\1\0\1\0\0\0\0" + query.question
    octets = head + b"\xc0\x0c" + kind.code.to_bytes(2) + b"\0\1\0\0\0\1" + len(data).to_bytes(2) + data
    with pytest.raises(MalformedError):
        read(octets, query, NAME, kind)
    with pytest.raises(MalformedError):
        read(octets[:-1], query, NAME, kind)


def test_names_made_to_take_long() -> None:
    """Pointers to pointers, each one step back."""
    query = Query.make(7, encoded(NAME), PTR.code, dnssec=False)
    data = query.wire[:2] + b"\x81\x80\0\1\0\1\0\0\0\0" + query.question
    chain = b"".join((0xC000 | (len(data) + 12 + 2 * number - 2)).to_bytes(2) for number in range(1, 100))
    octets = data + b"\xc0\x0c\0\x0c\0\1\0\0\0\1" + (2 + len(chain)).to_bytes(2) + b"\1\0" + chain
    with pytest.raises(MalformedError):
        read(octets, query, NAME, PTR)
    with pytest.raises(MalformedError, match="circles"):
        read_name(octets, len(octets) - 2)


# -- anything at all ---------------------------------------------------------------------------------------------------


@given(st.sampled_from(KINDS), st.binary(max_size=300))
def test_any_octets_are_read_or_malformed(kind: Kind[object], octets: bytes) -> None:
    query = Query.make(7, encoded(NAME), kind.code, dnssec=False)
    for data in (octets, query.wire[:12] + query.question + octets):
        try:
            reading = read(data, query, NAME, kind)
        except MalformedError:
            continue
        assert not reading.records or reading.rcode == 0


@given(st.sampled_from(KINDS), st.data())
def test_damaged_answers_are_read_or_malformed(kind: Kind[object], data: st.DataObject) -> None:
    query = Query.make(7, encoded(NAME), kind.code, dnssec=False)
    texts = {
        1: "192.0.2.1",
        28: "::1",
        5: "x.example.",
        12: "x.example.",
        15: "1 x.example.",
        16: '"t"',
        52: "3 1 1 " + "ab" * 32,
    }
    reply = response(
        query.wire,
        f"{NAME}. 5 CNAME b.example." if kind is not CNAME else f"{NAME}. 5 CNAME x.example.",
        f"b.example. 5 {kind.word} {texts[kind.code]}",
        authority=[SOA],
    )
    octets = bytearray(reply.to_wire())
    for at in data.draw(st.lists(st.integers(len(query.question) + 12, len(octets) - 1), max_size=4)):
        octets[at] = data.draw(st.integers(0, 255))
    end = data.draw(st.integers(0, len(octets)))
    for damaged in (bytes(octets), bytes(octets[:end])):
        try:
            read(damaged, query, NAME, kind)
        except MalformedError:
            continue


@given(st.binary(max_size=100))
def test_only_an_answer_to_this_question_is_ours(octets: bytes) -> None:
    query = Query.make(7, encoded(NAME), A.code, dnssec=False)
    assert query.answered_by(octets) is False
    good = response(query.wire).to_wire()
    assert query.answered_by(good) is True
    assert query.answered_by(query.wire) is False  # a question is no answer
    assert query.answered_by(good.replace(b"\4mail", b"\4MAIL")) is None
    assert query.answered_by(b"\0\x08" + good[2:]) is False
