import pytest
from hypothesis import given
from hypothesis import strategies as st

from poterne.message.params import find, parse, without_comments


@pytest.mark.parametrize(
    ("field", "value", "params"),
    [
        (b"text/plain", b"text/plain", ()),
        (b"TEXT/Plain ; Charset=UTF-8;", b"text/plain", ((b"charset", b"UTF-8"),)),
        (b'a/b; x="a;b\\"c"; y=d e ; z', b"a/b", ((b"x", b'a;b"c'), (b"y", b"d e"))),
        (b'a/b; x="open; y=1', b"a/b", ((b"x", b"open; y=1"),)),
        (b'a/b; x="q" junk; y = 1', b"a/b", ((b"x", b"q"), (b"y", b"1"))),
        (b"a/b; x=; y=1", b"a/b", ((b"x", b""), (b"y", b"1"))),
        (b'a/b (c; x=1 "); y=2 (d)', b"a/b", ((b"y", b"2"),)),
        (b'a/b; x="(not a comment)"', b"a/b", ((b"x", b"(not a comment)"),)),
        (b"a/b; n*0=a; n*1=b; n*2=c", b"a/b", ((b"n", b"abc"),)),
        (b"a/b; n*1=b; z=1; n*0=a; n*3=d", b"a/b", ((b"n", b"ab"), (b"z", b"1"))),
        (b"a/b; n*0*=utf-8'fr'%C3%A9; n*1=\" %\"", b"a/b", ((b"n*", b"utf-8'fr'%C3%A9%20%25"),)),
        (b"a/b; n*0=a; n*1*=%62", b"a/b", ((b"n*", b"''a%62"),)),
        (b"a/b; n*=utf-8''%C3%A9", b"a/b", ((b"n*", b"utf-8''%C3%A9"),)),
        (b"a/b; n*01=x; *0=y", b"a/b", ((b"n*01", b"x"), (b"*0", b"y"))),
        (b"a/b; n*1=x", b"a/b", ((b"n", b""),)),
    ],
)  # fmt: skip
def test_parse(field: bytes, value: bytes, params: tuple[tuple[bytes, bytes], ...]) -> None:
    assert parse(field) == (value, params, True)


def test_limit() -> None:
    field = b"a/b" + b"".join(b"; p%d=x" % n for n in range(10))
    assert parse(field, 10).complete
    cut = parse(field, 9)
    assert len(cut.params) == 9
    assert not cut.complete


def test_find() -> None:
    params = ((b"a*", b"utf-8''%41"), (b"b", b"1"), (b"a", b"2"), (b"c*", b"x%41"))
    assert find(params, b"a") == b"2"
    assert find(params, b"c") == b"xA"
    assert find(params, b"d") is None


def test_without_comments() -> None:
    assert without_comments(b'a (b (c) \\) d) "e (f)" g(h') == b'a   "e (f)" g'
    assert without_comments(b"a) b") == b"a) b"


@given(st.binary(max_size=200) | st.text(alphabet="ab=;*01\"\\()' %", max_size=80).map(str.encode))
def test_any_octets(field: bytes) -> None:
    for name, _ in parse(field).params:
        assert name == name.lower()
