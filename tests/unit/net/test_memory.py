"""What an idle TLS connection costs, measured in a process of its own."""

import asyncio
import os
import resource
import ssl
import sys
from pathlib import Path

import pytest

from poterne.net.tls import client_context

CONNECTIONS = 600
BUDGET_KIB = {"uvloop": 28, "asyncio": 28}
"""Measured 22.5 and 22.2 at 2,000 connections, with the toy session."""
GROWTH_KIB = 8
"""After connections came and went; free memory is not always where it is needed."""


class Probe:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def line(self) -> list[int]:
        assert self.process.stdout is not None
        return [int(word) for word in (await self.process.stdout.readline()).split()]

    async def rss_bytes(self, connections: int) -> int:
        assert self.process.stdin is not None
        for _ in range(200):
            self.process.stdin.write(b"?\n")
            rss, inside = await self.line()
            if inside == connections:
                return rss
            await asyncio.sleep(0.02)
        raise AssertionError("the server does not get rid of its connections")


async def clients(
    port: int, context: ssl.SSLContext, count: int
) -> list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    opened = []
    for _ in range(count):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        await reader.readline()
        writer.write(b"NOOP\r\n")
        await reader.readline()
        opened.append((reader, writer))
    return opened


@pytest.mark.parametrize("kind", ["uvloop", "asyncio"])
async def test_an_idle_tls_connection_stays_within_its_budget(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < CONNECTIONS + 200:
        pytest.skip("too few file descriptors")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, CONNECTIONS + 200), hard))
    root = request.config.rootpath
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.unit.net.memory_probe", kind, str(tmp_path)),
        cwd=root,
        env={**os.environ, "PYTHONPATH": f"{root / 'src'}:{root}"},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    probe = Probe(process)
    (port,) = await probe.line()
    context = client_context(verify=False)
    for _, writer in await clients(port, context, 50):
        writer.transport.abort()
    base = await probe.rss_bytes(0)
    sizes = []
    for _ in range(3):
        opened = await clients(port, context, CONNECTIONS)
        sizes.append((await probe.rss_bytes(CONNECTIONS) - base) / CONNECTIONS / 1024)
        for _, writer in opened:
            writer.transport.abort()
        await probe.rss_bytes(0)
    assert process.stdin is not None
    process.stdin.close()
    await process.wait()
    print(f"{kind}: KiB for each idle TLS connection, in three rounds: {[round(size, 1) for size in sizes]}")  # noqa: T201
    assert sizes[0] < BUDGET_KIB[kind]
    assert sizes[2] < sizes[0] + GROWTH_KIB
