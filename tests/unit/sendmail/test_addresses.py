"""Address lists: what they mean, and where a domain can be put in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poterne.sendmail.addresses import AddressesError, addresses


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        (" , ,", []),
        ("a@x.test", ["a@x.test"]),
        ("a@x.test, b@y.test", ["a@x.test", "b@y.test"]),
        ("Anne <a@x.test>", ["a@x.test"]),
        ('"Doe, John" <a@x.test>, b@y.test', ["a@x.test", "b@y.test"]),
        ('"odd \\" quote" <a@x.test>', ["a@x.test"]),
        ("a@x.test (Anne (the first), really)", ["a@x.test"]),
        ("(b@y.test) a@x.test", ["a@x.test"]),
        ("a (one) @ (two) x.test", ["a@x.test"]),
        ("root (Cron Daemon)", ["root"]),
        ("root", ["root"]),
        ('"a b"@x.test', ['"a b"@x.test']),
        ("a@[192.0.2.1]", ["a@[192.0.2.1]"]),
        ("Friends: a@x.test, Bob <b@y.test>; c@z.test", ["a@x.test", "b@y.test", "c@z.test"]),
        ("undisclosed-recipients:;", []),
        ('"Quoted group": a@x.test;, b@y.test', ["a@x.test", "b@y.test"]),
        ("<@relay.test,@other.test:a@x.test>", ["a@x.test"]),
        ("=?utf-8?Q?=C3=89?= <a@x.test>", ["a@x.test"]),
        ("été@exämple.test", ["été@exämple.test"]),
        ("a+b=c@x.test", ["a+b=c@x.test"]),
        ("John Q. Public <a@x.test>", ["a@x.test"]),
        ("a@x.test;b@y.test", ["a@x.test", "b@y.test"]),
    ],
)
def test_lists(text: str, found: list[str]) -> None:
    assert [one.address for one in addresses(text)] == found


@pytest.mark.parametrize(
    "text",
    [
        "john doe", "a@b@c", "<a@x.test", "a@x.test>", "Anne <>", "Anne <a@x.test> junk", "a@", "@x.test", "(open", "close)",
        "<a@x.test> <b@y.test>", "<a<b@x.test>>", '"open@x.test', "a@x.test b@y.test", "<a@x.test b>", "a@x.test\\", "<@x.test>",
        '"a\nRCPT TO:<b@y.test>"@x.test', "a@[x", "a@x.test b",
    ],
)  # fmt: skip
def test_nothing_is_guessed(text: str) -> None:
    with pytest.raises(AddressesError):
        addresses(text)


@pytest.mark.parametrize(
    ("text", "full"),
    [
        ("root", "root@d.test"),
        ("root (Cron Daemon)", "root@d.test (Cron Daemon)"),
        ("Cron <root>", "Cron <root@d.test>"),
        ('"a b" (x)', '"a b"@d.test (x)'),
    ],
)
def test_where_a_domain_goes(text: str, full: str) -> None:
    (found,) = addresses(text)
    assert not found.has_domain
    assert f"{text[: found.end]}@d.test{text[found.end :]}" == full


@given(st.text(alphabet='ab@.,;:<>()"\\[] \n\té', max_size=40))
def test_any_text_gives_addresses_that_cannot_break_a_command(text: str) -> None:
    try:
        found = addresses(text)
    except AddressesError:
        return
    for one in found:
        assert one.address.isprintable()
        assert 0 < one.end <= len(text)


def test_a_long_list_takes_no_longer_than_its_length() -> None:
    assert len(addresses(", ".join(f"User {n} (c) <u{n}@x.test>" for n in range(20_000)))) == 20_000
