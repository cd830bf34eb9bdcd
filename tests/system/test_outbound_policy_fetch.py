"""Fetching a policy from a web server that somebody else names."""

import socket
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from poterne.net.https import Fault, FetchError, FetchTerms, get
from poterne.net.tls import ClientContexts
from poterne.values.dns import Failure, TempFail
from tests.support.outbound import Authority
from tests.support.queue_world import Names
from tests.support.web import Web, page, web

HOST = "mta-sts.d.test"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
async def host(authority: Authority) -> AsyncIterator[Web]:
    async with web(authority.context(HOST)) as made:
        yield made


async def fetch(
    made: Web, authority: Authority, addresses: Sequence[str] = ("127.0.0.1",), **terms: object
) -> bytes | tuple[Fault, str]:
    wanted = replace(
        FetchTerms(lambda _: True, made.port, authority.file, total_s=5),
        **terms,  # type: ignore[arg-type]
    )
    try:
        return await get(HOST, "/x", "text/plain", Names(hosts={HOST: addresses}), ClientContexts(), wanted)
    except FetchError as error:
        return error.fault, error.detail


async def test_a_file(host: Web, authority: Authority) -> None:
    host.answer = lambda _: page(b"hello", kind="Text/Plain; charset=utf-8")
    assert await fetch(host, authority) == b"hello"
    assert host.requests[0].startswith(f"GET /x HTTP/1.1\r\nHost: {HOST}\r\n")
    host.answer = lambda _: (
        b"HTTP/1.1 200\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"
    )
    assert await fetch(host, authority) == b"hello"
    host.answer = lambda _: page(b"")
    assert await fetch(host, authority) == b""
    host.answer = lambda _: page(b"x" * 65_536)
    assert await fetch(host, authority) == b"x" * 65_536


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (page(b"x", status="404 Not Found"), Fault.STATUS),
        (page(b"x", status="301 Moved", more="Location: https://other.test/x\r\n"), Fault.STATUS),
        (page(b"x", status="206 Partial"), Fault.STATUS),
        (page(b"x", kind="text/html"), Fault.TYPE),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", Fault.TYPE),
        (page(b"x", more="Content-Type: text/html\r\n"), Fault.TYPE),
        (page(b"x" * 65_537), Fault.SIZE),
        (HEAD + b"Content-Length: 99999999999999999999\r\n\r\n", Fault.PROTOCOL),
        (HEAD + b"Content-Length: -1\r\n\r\n", Fault.PROTOCOL),
        (HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nxy", Fault.PROTOCOL),
        (HEAD + b"\r\nno length", Fault.PROTOCOL),
        (HEAD + b"Content-Length: 10\r\n\r\nshort", Fault.PROTOCOL),
        (page(b"x", more="Content-Encoding: gzip\r\n"), Fault.PROTOCOL),
        (HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", Fault.PROTOCOL),
        (HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n", Fault.PROTOCOL),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nfffffff\r\n", Fault.SIZE),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\nxy\r\n", Fault.PROTOCOL),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n", Fault.PROTOCOL),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 2000, Fault.SIZE),
        (HEAD + b"X: " + b"y" * 17_000 + b"\r\n\r\n", Fault.SIZE),
        (HEAD + b"no field\r\n\r\n", Fault.PROTOCOL),
        (b"SSH-2.0-x\r\n\r\n", Fault.PROTOCOL),
        (b"", Fault.PROTOCOL),
    ],
)
async def test_what_is_refused(host: Web, authority: Authority, answer: bytes, fault: Fault) -> None:
    host.answer = lambda _: answer
    found = await fetch(host, authority)
    assert isinstance(found, tuple)
    assert found[0] is fault
    assert len(host.requests) == 1  # nothing is followed, nothing is tried again


async def test_time_is_bounded(host: Web, authority: Authority) -> None:
    host.hangs = True
    assert await fetch(host, authority, total_s=0.3) == (Fault.TIMEOUT, "")


@pytest.mark.parametrize(("names", "days"), [(("d.test",), 2), ((HOST,), -1), (("*.test",), 2)])
async def test_the_certificate(authority: Authority, names: tuple[str, ...], days: int) -> None:
    async with web(authority.context(*names, days=days)) as made:
        found = await fetch(made, authority)
        assert isinstance(found, tuple)
        assert found[0] is Fault.CERTIFICATE
        assert made.requests == []


async def test_an_unknown_authority(host: Web, authority: Authority, tmp_path: Path) -> None:
    found = await fetch(host, authority, ca_file=Authority(tmp_path).file)
    assert isinstance(found, tuple)
    assert found[0] is Fault.CERTIFICATE
    found = await fetch(host, authority, ca_file=tmp_path / "none.pem")
    assert isinstance(found, tuple)
    assert found[0] is Fault.TLS


async def test_addresses(host: Web, authority: Authority) -> None:
    host.answer = lambda _: page(b"hello")
    assert await fetch(host, authority, usable=lambda address: address != "127.0.0.1") == (
        Fault.ADDRESS,
        "no public address",
    )
    assert host.requests == []
    with socket.socket() as closed:  # bound, and nobody listens
        closed.bind(("127.0.0.9", host.port))
        assert await fetch(host, authority, ("127.0.0.9", "127.0.0.1")) == b"hello"
    unknown = FetchTerms(lambda _: True, host.port, authority.file)
    for answer in (None, TempFail(Failure.TIMEOUT)):
        names = Names(hosts={} if answer is None else {HOST: answer})
        with pytest.raises(FetchError) as refused:
            await get(HOST, "/x", "text/plain", names, ClientContexts(), unknown)
        assert refused.value.fault is Fault.ADDRESS
