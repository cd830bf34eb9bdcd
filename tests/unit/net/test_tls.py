import asyncio
import contextlib
import shutil
import socket
import ssl
import subprocess
import sys
from pathlib import Path

import pytest

from poterne.net.dial import DialError, dial
from poterne.net.link import TlsSetup
from poterne.net.notice import Kind
from poterne.net.tls import CertificateError, CertificateFiles, Certificates, client_context
from poterne.net.tlswire import TlsError
from tests.unit.net.loops import both_loops
from tests.unit.net.toy import Raw, World, make_certificate, toy_server

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def greeted(port: int, context: ssl.SSLContext, name: str = "mail.example.org") -> Streams:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=name)
    assert await reader.readline() == b"220 hello\r\n"
    return reader, writer


async def ended(streams: Streams) -> bytes:
    """Read to the end and close."""
    reader, writer = streams
    rest = await reader.read()
    writer.close()
    await writer.wait_closed()
    return rest


@both_loops
async def test_implicit_tls_tells_the_session_what_was_negotiated(certificates: Certificates, ca_file: Path) -> None:
    world = World()
    async with toy_server(world, certificates=certificates, implicit_tls=True) as (_, port):
        reader, writer = await greeted(port, client_context(ca_file=ca_file))
        writer.write(b"TLS\r\nQUIT\r\n")
        facts = (await reader.readline()).split()
        assert facts[:2] == [b"250", b"TLSv1.3"]
        assert facts[3] == b"mail.example.org"
        assert await ended((reader, writer)) == b"221 bye\r\n"
        link = world.links[0]
        assert link.peer == "127.0.0.1"
        assert link.local == ("127.0.0.1", port)
    assert world.kinds() == [Kind.CLOSED]


@both_loops
async def test_large_transfers_both_ways_inside_tls(certificates: Certificates, ca_file: Path) -> None:
    setup = TlsSetup(lambda: client_context(ca_file=ca_file), server_name="mail.example.org")
    world = World()
    async with toy_server(world, certificates=certificates, implicit_tls=True) as (_, port):
        client = await dial("127.0.0.1", port, tls=setup, implicit_tls=True)  # uvloop's own streams lose the tail
        await client.write([b"NOOP " + b"x" * 3_000_000 + b"\r\nLONG 30000\r\nQUIT\r\n"])
        await asyncio.sleep(0.2)  # the answer piles up
        answer = b""
        while data := await client.read():
            assert isinstance(data, bytes)
            answer += data
        client.close()
        await client.wait_closed()
    assert answer.startswith(b"220 hello\r\n250 ok\r\n* 000000")
    assert answer.count(b"\r\n") == 30_004
    assert answer.endswith(b"250 done\r\n221 bye\r\n")
    assert len(world.lines[0][0]) == 3_000_005


@both_loops
async def test_tls_1_2_works_and_1_1_does_not(certificates: Certificates, ca_file: Path) -> None:
    world = World()
    async with toy_server(world, certificates=certificates, implicit_tls=True) as (_, port):
        context = client_context(ca_file=ca_file)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        reader, writer = await greeted(port, context)
        writer.write(b"TLS\r\nQUIT\r\n")
        assert (await ended((reader, writer))).startswith(b"250 TLSv1.2 ECDHE-ECDSA-AES256-GCM-SHA384")
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
        old.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises(ssl.SSLError, match=r"(?i)protocol.version"):
            await asyncio.open_connection("127.0.0.1", port, ssl=old)
        await world.until(lambda: len(world.notices) == 3)
    assert world.kinds() == [Kind.CLOSED, Kind.TLS_FAILED, Kind.CLOSED]
    assert world.notices[1].detail.startswith("handshake: ")


@both_loops
@pytest.mark.parametrize("suite", ["AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA256", "DHE-RSA-AES256-GCM-SHA384"])
async def test_old_suites_of_tls_1_2_are_refused(certificates: Certificates, suite: str) -> None:
    async with toy_server(World(), certificates=certificates, implicit_tls=True) as (_, port):
        context = client_context(verify=False)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(suite)
        with pytest.raises((ssl.SSLError, ConnectionResetError)):
            await asyncio.open_connection("127.0.0.1", port, ssl=context)


@both_loops
async def test_garbage_instead_of_a_client_hello_ends_the_connection(certificates: Certificates) -> None:
    world = World()
    async with toy_server(world, certificates=certificates, implicit_tls=True) as (_, port):
        for garbage in (b"EHLO x\r\n", b"\x16\x03\x01\x00\x05hello", b"\x16" * 70_000, b"\x15\x03\x01\x00\x02\x02\x28"):
            client = await Raw.connect(port)
            await client.send(garbage)
            assert b"220" not in await client.rest()
            client.close()
        await world.until(lambda: world.kinds().count(Kind.CLOSED) == 4)
    assert world.kinds().count(Kind.TLS_FAILED) == 4
    assert world.links == []
    assert world.notices[0].detail == "handshake: plaintext"


@both_loops
async def test_a_silent_client_meets_the_handshake_timeout(certificates: Certificates) -> None:
    world = World()
    async with toy_server(world, certificates=certificates, implicit_tls=True, handshake_timeout_s=0.2) as (_, port):
        for half in (b"", b"\x16\x03\x01"):
            client = await Raw.connect(port)
            await client.send(half)
            assert await client.rest() == b""
            client.close()
        await world.until(lambda: world.kinds().count(Kind.CLOSED) == 2)
    assert [notice.detail for notice in world.notices if notice.kind is Kind.TLS_FAILED] == ["timeout", "timeout"]


@both_loops
async def test_a_client_that_leaves_in_the_handshake(certificates: Certificates) -> None:
    world = World()
    async with toy_server(world, certificates=certificates, implicit_tls=True) as (_, port):
        for leave in (Raw.close, Raw.reset):
            client = await Raw.connect(port)
            await client.send(b"\x16\x03\x01\x02")
            await asyncio.sleep(0.02)
            leave(client)
        await world.until(lambda: world.kinds().count(Kind.CLOSED) == 2)
    assert [notice.detail for notice in world.notices if notice.kind is Kind.TLS_FAILED] == ["closed", "closed"]


@both_loops
async def test_a_broken_record_ends_the_connection(certificates: Certificates, ca_file: Path) -> None:
    world = World()
    async with toy_server(world, certificates=certificates, implicit_tls=True) as (_, port):
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = client_context(ca_file=ca_file).wrap_bio(incoming, outgoing, server_hostname="mail.example.org")
        client = await Raw.connect(port)
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                await client.send(outgoing.read())
                incoming.write(await client.recv())
        await client.send(outgoing.read())
        await world.until(lambda: len(world.links) == 1)
        tls.write(b"NOOP one\r\n")
        good = outgoing.read()
        tls.write(b"NOOP two\r\n")
        bad = bytearray(outgoing.read())
        bad[-1] ^= 1
        await client.send(good + bytes(bad))
        await client.rest()
        client.close()
        await world.until(lambda: world.closed == 1)
    assert (b"NOOP two", True) not in world.lines


@both_loops
async def test_the_end_of_data_sent_with_the_handshake_is_not_lost(certificates: Certificates, ca_file: Path) -> None:
    """A client may send its Finished, its first commands and its FIN at once."""
    world = World()
    async with toy_server(world, certificates=certificates, implicit_tls=True) as (_, port):
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = client_context(ca_file=ca_file).wrap_bio(incoming, outgoing, server_hostname="mail.example.org")
        client = await Raw.connect(port)
        with pytest.raises(ssl.SSLWantReadError):
            tls.do_handshake()
        await client.send(outgoing.read())
        while True:
            incoming.write(await client.recv())
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                continue
        tls.write(b"NOOP first\r\nNOOP second\r\n")
        await client.send(outgoing.read())
        client.sock.shutdown(socket.SHUT_WR)
        incoming.write(await client.rest())
        assert tls.read(1000).startswith(b"220 hello\r\n")
        client.close()
        await world.until(lambda: world.closed == 1)
    assert [text for text, _ in world.lines] == [b"NOOP first", b"NOOP second"]


@both_loops
async def test_a_dead_peer_does_not_hold_a_closing_connection(
    certificates: Certificates, ca_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("poterne.net.link.CLOSE_TIMEOUT_S", 0.2)
    world = World()
    async with toy_server(world, certificates=certificates, implicit_tls=True) as (listener, port):
        context = client_context(ca_file=ca_file)
        raw = socket.create_connection(("127.0.0.1", port))
        client = await asyncio.to_thread(context.wrap_socket, raw, server_hostname="mail.example.org")
        client.send(b"QUIT\r\n")  # and then nothing: no close_notify, no FIN
        await world.until(lambda: world.closed == 1)
        await world.until(lambda: listener.connections == 0, timeout_s=1.5)
        client.close()


@both_loops
async def test_a_client_that_wants_http_gets_nothing(certificates: Certificates) -> None:
    world = World()
    async with toy_server(world, certificates=certificates, implicit_tls=True) as (_, port):
        context = client_context(verify=False)
        context.set_alpn_protocols(["h2", "http/1.1"])
        client = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        client[1].write(b"POST / HTTP/1.1\r\n\r\nNOOP\r\n")
        with contextlib.suppress(ConnectionError):
            assert await client[0].read() == b""
        client[1].transport.abort()
        context.set_alpn_protocols(["http/1.1", "imap"])
        reader, writer = await greeted(port, context)
        assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == "imap"
        writer.write(b"QUIT\r\n")
        await ended((reader, writer))
        await world.until(lambda: world.kinds().count(Kind.CLOSED) == 2)
    assert world.lines == [(b"QUIT", True)]
    assert world.kinds()[0] is Kind.FOREIGN_ALPN


def common_name(writer: asyncio.StreamWriter) -> object:
    certificate = writer.get_extra_info("peercert")
    return certificate["subject"][0][0][1] if certificate else None


@both_loops
async def test_the_certificate_follows_the_name_and_unknown_names_get_the_default(tmp_path: Path) -> None:
    files = [make_certificate(tmp_path, name) for name in ("mail.example.org", "mx.example.net", "*.example.com")]
    anchors = tmp_path / "anchors.pem"
    anchors.write_bytes(b"".join(entry.chain.read_bytes() for entry in files))
    world = World()
    async with toy_server(world, certificates=Certificates(files, ["imap"]), implicit_tls=True) as (_, port):
        context = client_context(ca_file=anchors)
        context.check_hostname = False
        for asked, got in (
            ("mail.example.org", "mail.example.org"),
            ("MX.example.net", "mx.example.net"),
            ("imap.example.com", "*.example.com"),
            ("other.example", "mail.example.org"),
        ):
            reader, writer = await greeted(port, context, asked)
            assert common_name(writer) == got
            writer.write(b"TLS\r\nQUIT\r\n")
            assert asked.encode() in (await reader.readline())
            await ended((reader, writer))


@both_loops
async def test_reload_counts_for_new_handshakes_and_a_broken_file_changes_nothing(tmp_path: Path) -> None:
    files = make_certificate(tmp_path, "mail.example.org")
    certificates = Certificates([files], ["imap"])
    async with toy_server(World(), certificates=certificates, implicit_tls=True) as (_, port):
        old_client = client_context(ca_file=files.chain)
        running = await greeted(port, old_client)
        make_certificate(tmp_path, "mail.example.org")  # the same files, another key
        new_client = client_context(ca_file=files.chain)
        with pytest.raises(ssl.SSLCertVerificationError):
            await greeted(port, new_client)
        certificates.reload()
        fresh = await greeted(port, new_client)
        good_key = files.key.read_bytes()
        other = make_certificate(tmp_path, "other.example")
        for broken in (b"", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", other.key.read_bytes()):
            files.key.write_bytes(broken)
            with pytest.raises(CertificateError) as failure:
                certificates.reload()
            assert str(tmp_path) in str(failure.value)
            again = await greeted(port, new_client)
            again[1].write(b"QUIT\r\n")
            await ended(again)
        files.key.write_bytes(good_key)
        certificates.reload()
        for streams in (running, fresh):
            streams[1].write(b"QUIT\r\n")
            assert await ended(streams) == b"221 bye\r\n"


def test_unusable_files_are_named(tmp_path: Path) -> None:
    good = make_certificate(tmp_path, "a.example")
    for files in (
        CertificateFiles(tmp_path / "missing.pem", good.key),
        CertificateFiles(good.chain, tmp_path / "missing.key"),
        CertificateFiles(good.key, good.chain),
    ):
        with pytest.raises(CertificateError):
            Certificates([files], ["imap"])
    with pytest.raises(ValueError, match="at least one"):
        Certificates([], ["imap"])


def test_an_encrypted_key_is_refused_and_never_asks(tmp_path: Path) -> None:
    from cryptography.hazmat.primitives import serialization

    good = make_certificate(tmp_path, "a.example")
    key = serialization.load_pem_private_key(good.key.read_bytes(), None)
    good.key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    with pytest.raises(CertificateError, match="password"):
        Certificates([good], ["imap"])


def test_services_do_not_share_tickets(certificates: Certificates) -> None:
    """A TLS session of one service is not resumed by another (ALPACA)."""

    def resumed(first: str, second: str) -> bool:
        context = client_context(verify=False)
        context.maximum_version = ssl.TLSVersion.TLSv1_2  # there the session is known as soon as the handshake is done
        session = None
        reused = False
        for service in (first, second):
            ends = [ssl.MemoryBIO() for _ in range(4)]
            client = context.wrap_bio(ends[0], ends[1], session=session)
            server = certificates.context(service).wrap_bio(ends[2], ends[3], server_side=True)
            for _ in range(4):
                for tls, outgoing, incoming in ((client, ends[1], ends[2]), (server, ends[3], ends[0])):
                    with contextlib.suppress(ssl.SSLWantReadError):
                        tls.do_handshake()
                    incoming.write(outgoing.read())
            session, reused = client.session, bool(client.session_reused)
        return reused

    assert resumed("imap", "imap")
    assert not resumed("imap", "smtp")


@pytest.mark.parametrize(("service", "tickets"), [("imap", True), ("mx", True), ("submission", False)])
def test_who_gets_tickets(certificate_files: CertificateFiles, service: str, tickets: bool) -> None:
    context = client_context(verify=False)
    ends = [ssl.MemoryBIO() for _ in range(4)]
    client = context.wrap_bio(ends[0], ends[1])
    made = Certificates([certificate_files], [service])
    server = made.context(service).wrap_bio(ends[2], ends[3], server_side=True)
    for _ in range(4):
        for tls, outgoing, incoming in ((client, ends[1], ends[2]), (server, ends[3], ends[0])):
            with contextlib.suppress(ssl.SSLWantReadError):
                tls.do_handshake()
            incoming.write(outgoing.read())
    server.write(b"x")
    ends[0].write(ends[3].read())
    assert client.read() == b"x"
    assert client.version() == "TLSv1.3"
    assert client.session is not None
    assert client.session.has_ticket is tickets


def packets(sock: socket.socket) -> int:
    """How many with data have come: tcpi_data_segs_in of Linux' struct tcp_info (include/uapi/linux/tcp.h)."""
    return int.from_bytes(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 160)[152:156], sys.byteorder)


@both_loops
async def test_what_belongs_together_is_one_packet(certificates: Certificates, ca_file: Path) -> None:
    """A server's tickets come with its greeting, its goodbye with its last word."""
    loop = asyncio.get_running_loop()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = client_context(ca_file=ca_file).wrap_bio(incoming, outgoing, server_hostname="mail.example.org")
    async with toy_server(World(), certificates=certificates, implicit_tls=True) as (_, port):
        with socket.socket() as sock:
            sock.setblocking(False)
            await loop.sock_connect(sock, ("127.0.0.1", port))
            shaken = False
            while not shaken:
                try:
                    tls.do_handshake()
                    shaken = True
                except ssl.SSLWantReadError:
                    await loop.sock_sendall(sock, outgoing.read())
                    incoming.write(await loop.sock_recv(sock, 65_536))
            await loop.sock_sendall(sock, outgoing.read())
            incoming.write(await loop.sock_recv(sock, 65_536))
            assert tls.read() == b"220 hello\r\n"
            assert tls.session is not None
            assert tls.session.has_ticket
            assert packets(sock) == 2
            tls.write(b"QUIT\r\n")
            await loop.sock_sendall(sock, outgoing.read())
            incoming.write(await loop.sock_recv(sock, 65_536))
            assert tls.read() == b"221 bye\r\n"
            assert tls.read() == b""  # close_notify
            assert await loop.sock_recv(sock, 65_536) == b""
            assert packets(sock) == 3


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl program")
@both_loops
async def test_renegotiation_is_refused(certificates: Certificates) -> None:
    world = World()
    async with toy_server(world, certificates=certificates, implicit_tls=True) as (_, port):
        command = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-tls1_2"]
        process = await asyncio.create_subprocess_exec(
            *command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"NOOP\n")
        await world.until(lambda: len(world.lines) == 1)
        process.stdin.write(b"R\n")
        output = await process.stdout.read()
        await process.wait()
        process.stdin.close()
        assert b"renegotiation" in output.lower()
    assert [text for text, _ in world.lines] == [b"NOOP"]


@both_loops
async def test_dial_speaks_plaintext_starttls_and_implicit_tls(certificates: Certificates, ca_file: Path) -> None:
    setup = TlsSetup(lambda: client_context(ca_file=ca_file), server_name="mail.example.org")
    async with toy_server(World(), certificates=certificates) as (_, port):
        link = await dial("127.0.0.1", port, tls=setup)
        assert await link.read() == b"220 hello\r\n"
        await link.write([b"STARTTLS\r\n"])
        assert await link.read() == b"220 go ahead\r\n"
        await link.start_tls()
        assert link.tls is not None
        assert link.tls.version == "TLSv1.3"
        await link.write([b"QUIT\r\n"])
        assert await link.read() == b"221 bye\r\n"
        assert await link.read() == b""
        link.close()
        await link.wait_closed()
    async with toy_server(World(), certificates=certificates, implicit_tls=True) as (_, port):
        link = await dial("127.0.0.1", port, tls=setup, implicit_tls=True)
        assert await link.read() == b"220 hello\r\n"
        link.abort()
        await link.wait_closed()


@both_loops
async def test_dial_says_why_it_failed(certificates: Certificates, ca_file: Path) -> None:
    free = socket.create_server(("127.0.0.1", 0))
    port = free.getsockname()[1]
    free.close()
    with pytest.raises(DialError) as refused:
        await dial("127.0.0.1", port)
    assert refused.value.code == "refused"
    full = socket.create_server(("127.0.0.1", 0), backlog=0)
    filler = [socket.socket() for _ in range(3)]
    for sock in filler:
        sock.setblocking(False)
        sock.connect_ex(full.getsockname())
    with pytest.raises(DialError) as late:
        await dial("127.0.0.1", full.getsockname()[1], timeout_s=0.2)
    assert late.value.code == "timeout"
    for sock in (*filler, full):
        sock.close()
    async with toy_server(World(), certificates=certificates, implicit_tls=True) as (_, port):
        wrong_name = TlsSetup(lambda: client_context(ca_file=ca_file), server_name="other.example")
        with pytest.raises(TlsError) as failure:
            await dial("127.0.0.1", port, tls=wrong_name, implicit_tls=True)
        assert failure.value.code == "certificate"
    async with toy_server(World()) as (_, port):
        with pytest.raises(TlsError) as failure:
            await dial("127.0.0.1", port, tls=wrong_name, implicit_tls=True)
        assert failure.value.code == "handshake"


@both_loops
async def test_small_replies_are_not_delayed(certificates: Certificates) -> None:
    world = World()
    async with toy_server(world, certificates=certificates) as (_, port):
        client = await dial("127.0.0.1", port)
        await client.read()
        for link in (client, world.links[0]):
            assert link._transport is not None
            sock = link._transport.get_extra_info("socket")
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        client.close()
        await client.wait_closed()


def test_files_are_read_from_the_paths_given(tmp_path: Path) -> None:
    files = make_certificate(tmp_path, "a.example")
    moved = CertificateFiles(Path(shutil.move(files.chain, tmp_path / "b.pem")), files.key, files.names)
    Certificates([moved], ["pop3"]).context("pop3")
