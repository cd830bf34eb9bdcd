"""Run by test_memory: serves the toy protocol over TLS and answers on stdin/stdout how much memory it holds.

python memory_probe.py uvloop|asyncio FOLDER      prints the port; each line on stdin is answered with RSS bytes and
                                                  the number of connections; end of file ends it
"""

import asyncio
import gc
import os
import sys
from pathlib import Path

from poterne.net.limits import Limits
from poterne.net.link import Link
from poterne.net.loops import run
from poterne.net.tls import Certificates
from tests.unit.net.toy import World, make_certificate, toy_server


def rss_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def main(folder: Path) -> None:
    certificates = Certificates([make_certificate(folder, "mail.example.org")], ["imap"])
    world = World()

    def opened(link: Link) -> None:
        link.set_patience(1800, "idle")
        for kept in (world.links, world.lines, world.notices):
            kept.clear()  # else the test's own bookkeeping is what grows

    world.on_open = opened
    async with toy_server(
        world, certificates=certificates, implicit_tls=True, limits=Limits(10000, 10000), handshake_timeout_s=60
    ) as (listener, port):
        print(port, flush=True)  # noqa: T201
        lines = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
        while await lines.readline():
            gc.collect()
            print(rss_bytes(), listener.connections, flush=True)  # noqa: T201


if __name__ == "__main__":
    run(main(Path(sys.argv[2])), use_uvloop=sys.argv[1] == "uvloop")
