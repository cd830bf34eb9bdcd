"""SRV and CAA records as they come from a name server."""

import pytest

from poterne.net.dns.wire import MalformedError, Query, encoded, read
from poterne.values.dns import CAA, SRV, Caa, Srv
from tests.support.name_server import response


def answered(record: str, code: int) -> tuple[bytes, Query]:
    query = Query.make(7, encoded("a.test"), code, dnssec=False)
    return response(query.wire, record).to_wire(), query


def test_srv() -> None:
    data, query = answered("a.test. 60 SRV 1 2 993 Mail.A.test.", SRV.code)
    assert read(data, query, "a.test", SRV).records == (Srv(1, 2, 993, "mail.a.test"),)
    data, query = answered("a.test. 60 SRV 0 0 0 .", SRV.code)
    assert read(data, query, "a.test", SRV).records == (Srv(0, 0, 0, ""),)


def test_caa() -> None:
    data, query = answered('a.test. 60 CAA 128 Issue "letsencrypt.org; x=y"', CAA.code)
    assert read(data, query, "a.test", CAA).records == (Caa(128, "issue", b"letsencrypt.org; x=y"),)
    data, query = answered('a.test. 60 CAA 0 issue ""', CAA.code)
    assert read(data, query, "a.test", CAA).records == (Caa(0, "issue", b""),)


@pytest.mark.parametrize("rdata", [b"", b"\0", b"\0\0", b"\0\5issu"])
def test_caa_that_is_too_short(rdata: bytes) -> None:
    query = Query.make(7, encoded("a.test"), CAA.code, dnssec=False)
    header = b"\0\7\x81\x80\0\1\0\1\0\0\0\0"
    record = b"\xc0\x0c\x01\x01\0\1\0\0\0\x3c" + len(rdata).to_bytes(2) + rdata
    with pytest.raises(MalformedError):
        read(header + query.question + record, query, "a.test", CAA)
