import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poterne.proto.proxy import MAX_REST_BYTES, PREFIX_BYTES, SIGNATURE, Origin, ProxyError, origin, rest_bytes
from tests.support.proxy import LOCAL, header


def read(data: bytes) -> tuple[Origin | None, bytes]:
    """As a reader does it: exactly what is asked for, and what is left."""
    prefix, data = data[:PREFIX_BYTES], data[PREFIX_BYTES:]
    size = rest_bytes(prefix)
    return origin(prefix, data[:size]), data[size:]


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (header("192.0.2.7"), Origin("192.0.2.7", 4711)),
        (header("2001:db8::7", port=1), Origin("2001:db8::7", 1)),
        (header("::ffff:192.0.2.7"), Origin("192.0.2.7", 4711)),
        (header("10.0.0.9", extensions=b"\x01\0\x02h2\x04\0\0"), Origin("10.0.0.9", 4711)),
        (LOCAL, None),
        (header("192.0.2.7", command=0x20), None),
    ],
)
def test_headers_are_read_and_leave_what_follows(data: bytes, found: Origin | None) -> None:
    assert read(data + b"EHLO") == (found, b"EHLO")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "no-header"),
        (b"EHLO a.example\r\nMAIL", "no-header"),
        (b"PROXY TCP4 192.0.2.7 192.0.2.1 1 25\r\n", "no-header"),
        (SIGNATURE, "no-header"),
        (SIGNATURE[:-1] + b"X!\x11\0\0", "no-header"),
        (SIGNATURE + b"\x11\x11\0\x0c" + bytes(12), "version"),
        (SIGNATURE + b"\x22\x11\0\x0c" + bytes(12), "command"),
        (SIGNATURE + b"\x21\x11\xff\xff" + bytes(12), "too-long"),
        (SIGNATURE + b"\x21\x00\0\0", "family"),
        (SIGNATURE + b"\x21\x12\0\x0c" + bytes(12), "family"),
        (SIGNATURE + b"\x21\x31\0\xd8" + bytes(216), "family"),
        (SIGNATURE + b"\x21\x11\0\x0b" + bytes(11), "too-short"),
        (SIGNATURE + b"\x21\x21\0\x0c" + bytes(12), "too-short"),
        (header("192.0.2.7")[:-1], "too-short"),
        (header("192.0.2.7", extensions=b"\x01\0"), "extension"),
        (header("192.0.2.7", extensions=b"\x01\0\x05abc"), "extension"),
        (header("0.0.0.0"), "source"),
        (header("127.0.0.1"), "source"),
        (header("::1"), "source"),
        (header("::ffff:127.0.0.1"), "source"),
        (header("224.0.0.1"), "source"),
    ],
)
def test_what_is_not_to_be_believed_is_refused(data: bytes, code: str) -> None:
    with pytest.raises(ProxyError) as caught:
        read(data)
    assert caught.value.code == code


@given(st.one_of(
    st.binary(max_size=80),
    st.binary(max_size=80).map(lambda rest: SIGNATURE + rest),
    st.tuples(st.sampled_from([0x20, 0x21]), st.sampled_from([0x11, 0x21, 0]), st.binary(max_size=60)).map(
        lambda t: SIGNATURE + bytes((t[0], t[1])) + len(t[2]).to_bytes(2, "big") + t[2]
    ),
))  # fmt: skip
def test_any_octets_are_an_origin_or_an_error(data: bytes) -> None:
    try:
        found, left = read(data)
    except ProxyError:
        return
    assert data.startswith(SIGNATURE)
    assert len(data) - len(left) <= PREFIX_BYTES + MAX_REST_BYTES
    if found is not None:
        assert not ipaddress.ip_address(found.address).is_loopback
        assert 0 <= found.port <= 65535
