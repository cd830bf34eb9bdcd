"""The socket of this machine: taken over when nobody answers, never stolen; and the kernel says who connects."""

import asyncio
import errno
import os
import socket
import stat
from pathlib import Path

import pytest

from poterne.net.limits import Gate, Limits
from poterne.net.link import Link
from poterne.net.listen import Listener
from poterne.net.notice import Notice
from poterne.net.unix import bind_unix, peer_uid


def test_everybody_may_connect_whatever_the_umask(tmp_path: Path) -> None:
    path, before = tmp_path / "s", os.umask(0o077)
    try:
        sock = bind_unix(path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666
    assert [found.name for found in tmp_path.iterdir()] == ["s"]
    sock.close()


def test_a_name_behind_which_nobody_answers_is_taken_over(tmp_path: Path) -> None:
    bind_unix(tmp_path / "s").close()
    sock = bind_unix(tmp_path / "s")
    with sock, socket.socket(socket.AF_UNIX) as client:
        client.connect(str(tmp_path / "s"))


def test_a_name_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    with bind_unix(tmp_path / "s"):
        with pytest.raises(OSError) as taken:
            bind_unix(tmp_path / "s")
        assert taken.value.errno == errno.EADDRINUSE
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OSError) as there:
        bind_unix(tmp_path / "file")
    assert there.value.errno == errno.EEXIST
    assert (tmp_path / "file").read_text() == "mine"
    with pytest.raises(OSError) as long:
        bind_unix(tmp_path / ("x" * 100))
    assert long.value.errno == errno.ENAMETOOLONG


async def test_a_link_knows_the_user_and_limits_go_by_it(tmp_path: Path) -> None:
    seen: asyncio.Queue[tuple[str, int | None]] = asyncio.Queue()
    notices: list[Notice] = []

    async def serve(link: Link) -> None:
        seen.put_nowait((link.peer, link.local_uid))
        await link.read()

    gate = Gate(Limits(total=10, per_address=1))
    listener = Listener(
        "submission", [bind_unix(tmp_path / "s")], serve, gate=gate, observe=notices.append, refusal=b"421 no\r\n"
    )
    listener.start()
    reader, writer = await asyncio.open_unix_connection(tmp_path / "s")
    assert await seen.get() == (f"uid:{os.getuid()}", os.getuid())
    second, other = await asyncio.open_unix_connection(tmp_path / "s")
    assert await second.read() == b"421 no\r\n"
    assert [(n.peer, n.detail) for n in notices] == [(f"uid:{os.getuid()}", "address")]
    for stream in (writer, other):
        stream.close()
    assert await reader.read() == b""
    assert await listener.drain(2) == 0


def test_who_comes_over_the_network_has_no_uid() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()):
        client, _ = server.accept()
        with client:
            assert peer_uid(client) is None
