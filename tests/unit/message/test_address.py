import pytest
from hypothesis import given
from hypothesis import strategies as st

from poterne.message.address import parse_addresses
from poterne.values.mime import MailAddress


def parsed(value: str) -> list[tuple[str | None, str | None, str | None, str | None]]:
    def text(octets: bytes | None) -> str | None:
        return None if octets is None else octets.decode()

    found = parse_addresses(value.encode())
    assert found.complete
    return [(text(a.name), text(a.adl), text(a.mailbox), text(a.host)) for a in found.addresses]


END = (None, None, None, None)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a@b", [(None, None, "a", "b")]),
        ("<a@b>", [(None, None, "a", "b")]),
        ("A  B\t<a@b>", [("A B", None, "a", "b")]),
        ('"B, A" <a@b>, c@d', [("B, A", None, "a", "b"), (None, None, "c", "d")]),
        ('"say \\"hi\\"" <a@b>', [('say "hi"', None, "a", "b")]),
        ('"" <a@b>', [(None, None, "a", "b")]),
        ("John Q. Public <j.q@b.c>", [("John Q. Public", None, "j.q", "b.c")]),
        ("=?utf-8?q?=C3=A9?= =?utf-8?q?a?= <a@b>", [("=?utf-8?q?=C3=A9?= =?utf-8?q?a?=", None, "a", "b")]),
        ("Zoë <zoë@école.fr>", [("Zoë", None, "zoë", "école.fr")]),
        ('"a b"@c', [(None, None, "a b", "c")]),
        ("a@[192.0.2.1]", [(None, None, "a", "[192.0.2.1]")]),
        ("a@b (Real Name)", [("Real Name", None, "a", "b")]),
        ("(c(d)\\)) A (x) <(y)a(z)@(w)b> (v)", [("A", None, "a", "b")]),
        ("<@r1,@r2:a@b>", [(None, "@r1,@r2", "a", "b")]),
        ("N <@r1:a@b>, <c@d>", [("N", "@r1", "a", "b"), (None, None, "c", "d")]),
        ("a . b @ c . d", [(None, None, "a.b", "c.d")]),
        ("Team: a@b, C <c@d>; , e@f", [(None, None, "Team", None), (None, None, "a", "b"), ("C", None, "c", "d"), END, (None, None, "e", "f")]),
        ("undisclosed-recipients:;", [(None, None, "undisclosed-recipients", None), END]),
        ("open group: a@b", [(None, None, "open group", None), (None, None, "a", "b"), END]),
        (", ,a@b,,", [(None, None, "a", "b")]),
        ("", []),
        ("  ", []),
        ("just a name", [(None, None, "just a name", "")]),
        ("<>", [(None, None, "", "")]),
        ("John Doe john@x.y", [("John Doe", None, "john", "x.y")]),
        ("<a@b, <c@d>", [(None, None, "a", "b"), (None, None, "c", "d")]),
        ('"open <a@b>', [(None, None, "open <a@b>", "")]),
        ("a@b@c", [(None, None, "a", "b@c")]),
        ("a@b (open, c@d", [(None, None, "a", "b")]),
    ],
)  # fmt: skip
def test_addresses(value: str, expected: list[tuple[str | None, ...]]) -> None:
    assert parsed(value) == expected


def test_limit() -> None:
    found = parse_addresses(b"a@b, " * 50, max_addresses=10)
    assert len(found.addresses) == 10
    assert not found.complete
    assert parse_addresses(b", ".join([b"a@b"] * 10), max_addresses=10).complete
    slow = parse_addresses(b"a(c)@b, " * 50, max_addresses=10)
    assert len(slow.addresses) == 10
    assert not slow.complete


def test_tokens_are_bounded() -> None:
    assert not parse_addresses(b"(" + b")(" * 500_000).complete


@given(st.binary(max_size=300) | st.text(alphabet='ab@<>,;:."\\()[] \t', max_size=60).map(str.encode))
def test_any_octets(value: bytes) -> None:
    found = parse_addresses(value)
    depth = 0
    for one in found.addresses:
        if one == MailAddress(None, None, None, None):
            depth -= 1
        elif one.host is None:
            depth += 1
        assert depth in {0, 1}
    assert depth == 0


names = st.text(alphabet='abc XYZ.,-"\\é()<>@', min_size=1, max_size=12).map(lambda x: " ".join(x.split())).filter(bool)
atoms = st.text(alphabet="abcXYZ019-_+", min_size=1, max_size=8)


@given(st.lists(st.tuples(names, atoms, atoms), min_size=1, max_size=6))
def test_what_is_written_quoted_is_read_back(people: list[tuple[str, str, str]]) -> None:
    def quote(name: str) -> str:
        return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'

    value = ", ".join(f"{quote(name)} <{local}@{domain}>" for name, local, domain in people)
    assert parsed(value) == [(name, None, local, domain) for name, local, domain in people]
