"""The strict reading of From: catalogue §1.7 X08 to X21, U5 to U12 of §1.4; honest forms pass; nothing raises, time is linear."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poterne.message.author import (
    HEADER_CODES,
    MAX_VALUE_BYTES,
    TEXTS,
    Author,
    Claim,
    Refusal,
    author,
    claims,
    mailboxes,
)
from poterne.message.header import index
from poterne.values.address import Address
from tests.support import spoofed

LEGIT, ATTACKER = b"admin@legit.example", b"k@attacker.example"
L, K = b"<" + LEGIT + b">", b"<" + ATTACKER + b">"


def read(fields: bytes, *, smtputf8: bool = False) -> Author | Refusal:
    return author(index(fields + b"To: x@y.example\r\n\r\nbody\r\n"), smtputf8=smtputf8)


SPOOFED = spoofed.cases(LEGIT, ATTACKER)


@pytest.mark.parametrize("case", SPOOFED)
def test_whatever_two_readers_may_read_differently_is_refused(case: str) -> None:
    fields, code = SPOOFED[case]
    found = read(fields + b"\r\n")
    assert isinstance(found, Refusal), found
    assert found.code == code


HONEST = {
    "address": (b"admin@legit.example", "admin@legit.example"),
    "brackets": (b"<admin@legit.example>", "admin@legit.example"),
    "name": (b"The Admin <admin@legit.example>", "admin@legit.example"),
    "quoted name": (b'"Doe, John \\"JD\\" (x) <y>" <admin@legit.example>', "admin@legit.example"),
    "quoted address as name": (b'"news@other.example" <admin@legit.example>', "admin@legit.example"),
    "dots in the name": (b"John Q. Public <admin@legit.example>", "admin@legit.example"),
    "name without a space": (b"Admin<admin@legit.example>", "admin@legit.example"),
    "encoded name": (b"=?UTF-8?Q?Zo=C3=AB_Lef=C3=A8vre?= <admin@legit.example>", "admin@legit.example"),
    "encoded comma": (b"=?UTF-8?Q?Lef=C3=A8vre,_Zo=C3=AB?= <admin@legit.example>", "admin@legit.example"),
    "folded": (b"\r\n =?UTF-8?B?Wm/Dqw==?=\r\n\t=?UTF-8?B?Wm/Dqw==?=\r\n <admin@legit.example>", "admin@legit.example"),
    "cron": (b"root@legit.example (Cron Daemon)", "root@legit.example"),
    "nested comment": (b"admin@legit.example (The (old) Admin)", "admin@legit.example"),
    "comment behind": (b"<admin@legit.example> (The Admin)", "admin@legit.example"),
    "comment between": (b"Admin (IT) <admin@legit.example>", "admin@legit.example"),
    "itself as name": (b"admin@legit.example <Admin@Legit.example>", "admin@legit.example"),
    "capitals": (b"<admin@LEGIT.Example>", "admin@legit.example"),
    "a quoted local part": (b'<"ad min"@legit.example>', '"ad min"@legit.example'),
    "tag": (b"admin+x@legit.example", "admin+x@legit.example"),
    "A-labels": (b"<admin@xn--cole-9oa.example>", "admin@xn--cole-9oa.example"),
    "percent": (b"<a%b@legit.example>", "a%b@legit.example"),
    "trailing space": (b"  admin@legit.example \t ", "admin@legit.example"),
}  # fmt: skip


@pytest.mark.parametrize("case", HONEST)
def test_honest_forms_have_one_author(case: str) -> None:
    value, address = HONEST[case]
    found = read(b"From: " + value + b"\r\n")
    assert isinstance(found, Author), found
    assert [str(one) for one in found.addresses] == [address]
    assert found.domain == found.addresses[0].domain
    assert found.domain.endswith("example")


def test_authors_of_one_domain() -> None:
    found = read(b"From: A <a@legit.example>, b@LEGIT.example\r\nSender: a@legit.example\r\n")
    assert isinstance(found, Author)
    assert found == Author((Address("a", "legit.example"), Address("b", "legit.example")), "legit.example")


def test_what_does_not_divide_readers_is_passed() -> None:
    assert isinstance(read(b"From: a@b.example\r\nSubject: x\r\n \r\n y\r\n"), Author), "a blank fold behind From"
    assert isinstance(read(b"From: a@b.example\r\nX: " + b"y" * 2000 + b"\r\n"), Author), "a long line"
    assert isinstance(author(index(b"From: a@b.example\r\n")), Author), "no body"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("Zoë <zoë@école.example>", "zoë@xn--cole-9oa.example"),  # X20: U-label and A-label are the same domain
        ("<admin@LÉGIT.example>", "admin@xn--lgit-bpa.example"),
        ("<admin@legit\u200b.example>", "domain-mapping"),
        ("<admin@le\u00adgit.example>", "domain-mapping"),
        ("<admin@legit\u3002example>", "domain-mapping"),
        ("<admin\u200b@legit.example>", "local-part-character"),
        ("<admin\ufeff@legit.example>", "local-part-character"),
        ("<admin\u2000@legit.example>", "local-part-character"),
        ("<admin\uff20legit.example@k.example>", "confusable-local-part"),
        ("<admin\uff20legit.example>", "no-address"),
        ("\u0085 <admin@legit.example>", "control-character"),
        ("\u2028 <admin@legit.example>", "control-character"),
    ],
)
def test_utf8(value: str, expected: str) -> None:
    found = read(b"From: " + value.encode() + b"\r\n", smtputf8=True)
    assert (found.code if isinstance(found, Refusal) else str(found.addresses[0])) == expected
    plain = read(b"From: " + value.encode() + b"\r\n")
    assert isinstance(plain, Refusal)
    assert plain.code == "eight-bit"


def test_broken_utf8() -> None:
    found = read(b"From: \xff <a@b.example>\r\n", smtputf8=True)
    assert found == Refusal("not-utf8", "From")


def test_claims() -> None:
    header = index(
        b"From: a@b.example\r\nResent-From: x@y.example, z@w.example\r\nResent-From: q@r.example\r\nSender: S <s@t.example>\r\n\r\n"
    )
    assert claims(header) == (
        Claim("Sender", (Address("s", "t.example"),)),
        Claim("Resent-From", (Address("x", "y.example"), Address("z", "w.example"))),
        Claim("Resent-From", (Address("q", "r.example"),)),
    )
    assert claims(index(b"From: a@b.example\r\n\r\n")) == ()
    assert claims(index(b"Sender: a@b.example, c@b.example\r\n\r\n")) == Refusal("several", "Sender")
    assert claims(index(b"Resent-Sender: x\r\n\r\n")) == Refusal("no-address", "Resent-Sender")


def test_every_code_has_a_text_that_names_its_field_and_fits_a_reply() -> None:
    for code in TEXTS:
        text = Refusal(code, "" if code in HEADER_CODES else "Resent-From").text
        assert "{" not in text
        assert ("Resent-From" in text) == (code not in HEADER_CODES)
        assert ": " in text, "what is wrong: what to do"
        assert len(text) < 400


SPECIALS = st.sampled_from(
    [b"<", b">", b"@", b",", b";", b":", b"(", b")", b'"', b"\\", b".", b" ", b"\r\n ", b"=?utf-8?q?", b"?=", b"a", b"b.c", b"\xc3", L]
)  # fmt: skip


@given(st.lists(SPECIALS | st.binary(max_size=3), max_size=40).map(b"".join), st.booleans())
def test_never_raises_and_says_something_of_use(value: bytes, smtputf8: bool) -> None:
    found = mailboxes("From", value, smtputf8=smtputf8)
    if isinstance(found, Refusal):
        assert found.text
    else:
        assert found
        for address in found:
            assert address == Address.parse(str(address))
            assert b"@" in value


@given(st.lists(SPECIALS, max_size=20).map(b"".join))
def test_a_second_address_never_hides(value: bytes) -> None:
    """Whatever stands before the attacker's address: outside quotes each "@" is the author's, or there is none."""
    found = mailboxes("From", value + K)
    if not isinstance(found, Refusal) and b'"' not in value:
        assert value.count(b"@") <= 2 * len(found)
        assert str(found[-1]) == ATTACKER.decode()


@given(st.binary(max_size=200), st.booleans())
def test_any_header_is_read(data: bytes, smtputf8: bool) -> None:
    found = author(index(data), smtputf8=smtputf8)
    assert isinstance(found, Author) or found.text
    claims(index(data), smtputf8=smtputf8)


@pytest.mark.parametrize(
    "piece",
    [
        b"(",
        b"((a)",
        b'"',
        b'"\\',
        b"a ",
        b"a@",
        b"<",
        b"=?",
        b"=?a?q?",
        b"=?a?q?b?= ",
        b"a@b.c,",
        b".",
        b"()",
        b"<a@b.c>(",
        b"\\",
    ],
)
def test_time_is_linear(piece: bytes) -> None:
    """The longest value that is read, four times over, would take seconds if anything were read twice for each octet."""
    value = (piece * MAX_VALUE_BYTES)[:MAX_VALUE_BYTES]
    begun = time.process_time()
    for _ in range(20):
        mailboxes("From", value)
    assert time.process_time() - begun < 0.4
