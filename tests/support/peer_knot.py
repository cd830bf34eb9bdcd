"""Debian's Knot DNS as an authoritative name server on loopback, that takes signed updates."""

import contextlib
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import dns.message
import dns.query
import dns.rdatatype
import dns.zone

from tests.support.name_server import free_dns_port

BINARY = "/usr/sbin/knotd"
KEY_NAME = "poterne-test"
SECRET = "c2VjcmV0LW9mLWEtdGVzdC10aGF0LW5vYm9keS1rbm93cw=="
KEY_FILE = f'key "{KEY_NAME}" {{\n\talgorithm hmac-sha256;\n\tsecret "{SECRET}";\n}};\n'

_CONF = """
server:
    rundir: "{folder}"
    listen: 127.0.0.1@{port}
log:
  - target: "{folder}/log"
    any: info
database:
    storage: "{folder}/db"
key:
  - id: {key}
    algorithm: hmac-sha256
    secret: {secret}
acl:
  - id: update
    key: {key}
    action: update
  - id: transfer
    address: 127.0.0.1
    action: transfer
template:
  - id: default
    storage: "{folder}"
    acl: [update, transfer]
zone:
"""


@dataclass(frozen=True)
class Knot:
    port: int

    def zone(self, origin: str) -> dict[tuple[str, str], set[str]]:
        """All that it serves, by name and type, as a transfer says."""
        transfer = dns.query.xfr("127.0.0.1", origin, port=self.port, relativize=False, timeout=5)
        zone = dns.zone.from_xfr(transfer, relativize=False)
        assert zone is not None
        return {
            (name.to_text(omit_final_dot=True).lower(), dns.rdatatype.to_text(rdataset.rdtype)): {one.to_text() for one in rdataset}
            for name, rdataset in zone.iterate_rdatasets()
        }  # fmt: skip


@contextlib.contextmanager
def knot(folder: Path, zones: Mapping[str, str], port: int = 0) -> Iterator[Knot]:
    """Serves these zone files, by origin."""
    port = port or free_dns_port()
    (folder / "db").mkdir(parents=True)
    conf = _CONF.format(folder=folder, port=port, key=KEY_NAME, secret=SECRET)
    for origin, text in zones.items():
        (folder / f"{origin}.zone").write_text(text)
        conf += f'  - domain: {origin}\n    file: "{folder}/{origin}.zone"\n'
    (folder / "conf").write_text(conf)
    binary = shutil.which("knotd") or BINARY
    process = subprocess.Popen([binary, "-c", str(folder / "conf")], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        for origin in zones:
            _wait(process, port, origin, folder)
        yield Knot(port)
    finally:
        process.terminate()
        process.communicate(timeout=10)


def _wait(process: "subprocess.Popen[bytes]", port: int, origin: str, folder: Path) -> None:
    query = dns.message.make_query(origin, dns.rdatatype.SOA)
    for _ in range(100):
        with contextlib.suppress(Exception):
            if dns.query.udp(query, "127.0.0.1", timeout=0.2, port=port).answer:
                return
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    raise AssertionError(f"knot does not serve {origin}:\n{(folder / 'log').read_text()}")
