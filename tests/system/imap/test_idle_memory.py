"""What an idle IMAP connection costs inside TLS: the whole stack, measured in a process of its own."""

import os
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.imap_deflate import deflate
from tests.support.imap_world import ADDRESS, PASSWORD, Wire, certificate

CONNECTIONS = 120
BUDGET_KIB = 40
"""Measured in a worker with 1,000 connections: 24 with NOTIFY and IDLE, 29 after a FETCH, 27 after a FETCH inside COMPRESS."""
_LIST = "FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE)"
_NOTIFY = (
    "NOTIFY SET (selected (MessageNew MessageExpunge FlagChange)) (personal (MessageNew MessageExpunge MailboxName))"
)


class Probe:
    def __init__(self, folder: Path, root: Path) -> None:
        self.ca = certificate(folder / "tls").ca
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.system.imap.memory_probe", str(folder)],
            cwd=root,
            env={**os.environ, "PYTHONPATH": f"{root / 'src'}:{root}"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.port = self.line()

    def line(self) -> int:
        assert self.process.stdout is not None
        return int(self.process.stdout.readline())

    def rss_bytes(self) -> int:
        assert self.process.stdin is not None
        self.process.stdin.write(b"?\n")
        self.process.stdin.flush()
        return self.line()

    def idle(self, way: str) -> Wire:
        wire = Wire(self.port, self.ca)
        wire.ok(f'LOGIN "{ADDRESS}" "{PASSWORD}"')
        if way == "compress":
            deflate(wire, flush=zlib.Z_SYNC_FLUSH, level=1)
        wire.ok("SELECT INBOX")
        wire.ok(_LIST)
        if way == "notify":
            wire.ok(_NOTIFY)
        wire.send(b"i IDLE\r\n")
        while wire.line() != b"+ idling\r\n":
            pass
        return wire


@pytest.fixture
def probe(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Probe]:
    probe = Probe(tmp_path, request.config.rootpath)
    yield probe
    assert probe.process.stdin is not None
    assert probe.process.stdout is not None
    probe.process.stdin.close()
    assert probe.process.wait(20) == 0
    probe.process.stdout.close()


def test_an_idle_connection_stays_within_its_budget(probe: Probe) -> None:
    for wire in [probe.idle("notify") for _ in range(30)]:
        wire.socket.close()
    base = probe.rss_bytes()
    for way in ("plain", "notify", "compress"):
        wires = [probe.idle(way) for _ in range(CONNECTIONS)]
        each_kib = (probe.rss_bytes() - base) / CONNECTIONS / 1024
        print(f"{way}: {each_kib:.1f} KiB for each idle connection")  # noqa: T201
        assert each_kib < BUDGET_KIB, way
        for wire in wires:
            wire.socket.close()
