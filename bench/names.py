"""The names of a run: the lab's name server with the zones, and unbound before it as the resolver that all servers ask.

Processes of their own, in nobody's CPU. `python -m bench.names PORT ZONES` is the name server. Libraries that read
resolv.conf know no port but 53: root gets that one, on an address of loopback. Without unbound the name server is asked itself.
"""

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from bench.sut import HOST, Resolver, UnavailableError
from poterne.lab.dns import NameServer, Zones

_UNBOUND: Final = Path("/usr/sbin/unbound")
_ADDRESSES: Final = tuple(f"127.0.53.{number}" for number in range(53, 250))
"""Two runs at a time must not ask each other's names."""
_START_LIMIT_S: Final = 10.0
_CONFIG: Final = """\
server:
  interface: {address}
  port: {port}
  num-threads: 1
  username: ""
  chroot: ""
  directory: "{folder}"
  pidfile: ""
  use-syslog: no
  logfile: "{folder}/unbound.log"
  module-config: "iterator"
  do-not-query-localhost: no
  qname-minimisation: no
  local-zone: "example." transparent
  local-zone: "." static
stub-zone:
  name: "example."
  stub-addr: {host}@{zones_port}
remote-control:
  control-enable: no
"""


@contextlib.contextmanager
def served(zones: Mapping[str, str], folder: Path) -> Iterator[Resolver]:
    """A resolver that knows these zones and nothing else, until the block ends. Raises `UnavailableError`."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "zones.json"
    file.write_text(json.dumps(dict(zones)), encoding="utf-8")
    resolver = _free_place()
    with contextlib.ExitStack() as stack:
        if not _UNBOUND.exists():
            stack.enter_context(_running(_name_server(resolver, file)))
        else:
            behind = Resolver(HOST, _free_port(HOST))
            stack.enter_context(_running(_name_server(behind, file)))
            _until_answered(behind)
            config = folder / "unbound.conf"
            text = _CONFIG.format(
                address=resolver.address, port=resolver.port, folder=folder, host=HOST, zones_port=behind.port
            )
            config.write_text(text, encoding="utf-8")
            stack.enter_context(_running([str(_UNBOUND), "-d", "-c", str(config)]))
        _until_answered(resolver)
        yield resolver


def _name_server(where: Resolver, file: Path) -> list[str]:
    return [sys.executable, "-m", "bench.names", where.address, str(where.port), str(file)]


@contextlib.contextmanager
def _running(command: list[str]) -> Iterator[None]:
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, cwd=Path(__file__).resolve().parent.parent)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def _free_place() -> Resolver:
    """Where a resolver can be found, if possible."""
    if os.geteuid() != 0:
        return Resolver(_ADDRESSES[0], _free_port(_ADDRESSES[0]))
    for address in _ADDRESSES:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, contextlib.suppress(OSError):
            probe.bind((address, 53))
            return Resolver(address, 53)
    raise UnavailableError("port 53 is taken on every address of loopback that was tried")


def _free_port(address: str) -> int:
    """For UDP, and most likely for TCP."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((address, 0))
        port: int = probe.getsockname()[1]
        return port


_QUERY: Final = b"\0\1\1\0\0\1\0\0\0\0\0\0\7example\0\0\6\0\1"


def _until_answered(resolver: Resolver) -> None:
    """Until it knows the zone."""
    deadline = time.monotonic() + _START_LIMIT_S
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.settimeout(0.2)
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                probe.sendto(_QUERY, (resolver.address, resolver.port))
                answer = probe.recv(1500)
                if answer[3] & 15 == 0 and answer[7]:
                    return
            time.sleep(0.05)
    raise UnavailableError(f"no name server answers on {resolver.address}, port {resolver.port}")


async def _serve(where: Resolver, zones: Mapping[str, str]) -> None:
    server = NameServer(Zones(zones), where.address, where.port)
    await server.start()
    parent = os.getppid()
    while os.getppid() == parent:  # noqa: ASYNC110 - nothing says it
        await asyncio.sleep(1)
    server.close()


def main() -> None:
    address, port, file = sys.argv[1:]
    asyncio.run(_serve(Resolver(address, int(port)), json.loads(Path(file).read_text(encoding="utf-8"))))


if __name__ == "__main__":
    main()
