"""Debian's unbound as a validating resolver on loopback, for one zone that is signed here."""

import contextlib
import datetime as dt
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import dns.dnssec
import dns.message
import dns.name
import dns.node
import dns.query
import dns.rdataclass
import dns.rdatatype
import dns.zone
from cryptography.hazmat.primitives.asymmetric import ec
from dns.dnssectypes import Algorithm, DSDigest

from tests.support.name_server import free_dns_port

BINARY = "/usr/sbin/unbound"
ORIGIN = "d.test"

Tamper = Callable[[dns.zone.Zone], None]

_CONF = """
server:
  interface: 127.0.0.1@{port}
  access-control: 127.0.0.0/8 allow
  do-daemonize: no
  chroot: ""
  username: ""
  directory: "{folder}"
  pidfile: ""
  use-syslog: no
  logfile: "{folder}/log"
  verbosity: 1
  val-log-level: 2
  module-config: "validator iterator"
  local-zone: "." refuse
  local-zone: "test." transparent
  outgoing-interface: 127.0.0.1
  do-not-query-localhost: yes
  ede: yes
  harden-dnssec-stripped: yes
  {anchor}
remote-control:
  control-enable: no
auth-zone:
  name: "{origin}"
  zonefile: "{folder}/zone"
  for-downstream: no
  for-upstream: yes
  fallback-enabled: no
"""


def _signed(zone: dns.zone.Zone, days: int) -> str:
    """Signs the zone; gives its trust anchor."""
    key = ec.generate_private_key(ec.SECP256R1())
    dnskey = dns.dnssec.make_dnskey(key.public_key(), Algorithm.ECDSAP256SHA256, flags=257)
    now = dt.datetime.now(dt.UTC)
    with zone.writer() as txn:
        dns.dnssec.sign_zone(
            zone,
            txn,
            [(key, dnskey)],
            inception=now - dt.timedelta(days=20),
            expiration=now + dt.timedelta(days=days),
            dnskey_ttl=60,
        )
    ds = dns.dnssec.make_ds(dns.name.from_text(ORIGIN), dnskey, DSDigest.SHA256)
    return f'trust-anchor: "{ORIGIN}. IN DS {ds.to_text()}"'


@contextlib.contextmanager
def unbound(
    folder: Path, text: str, *, sign: bool = True, days: int = 20, tamper: Tamper | None = None
) -> Iterator[int]:
    """The port that it answers on. `tamper` changes the zone after it was signed."""
    zone = dns.zone.from_text(text, origin=ORIGIN, relativize=False)
    anchor = _signed(zone, days) if sign else ""
    if tamper is not None:
        tamper(zone)
    zone.to_file(str(folder / "zone"), relativize=False)
    port = free_dns_port()
    (folder / "conf").write_text(_CONF.format(port=port, folder=folder, origin=ORIGIN, anchor=anchor))
    binary = shutil.which("unbound") or BINARY
    process = subprocess.Popen([binary, "-d", "-c", str(folder / "conf")], stderr=subprocess.PIPE)
    try:
        _wait(process, port)
        yield port
    finally:
        process.terminate()
        process.communicate(timeout=10)


def _wait(process: "subprocess.Popen[bytes]", port: int) -> None:
    query = dns.message.make_query("id.server", dns.rdatatype.TXT, dns.rdataclass.CH)
    for _ in range(100):
        with contextlib.suppress(Exception):
            dns.query.udp(query, "127.0.0.1", timeout=0.2, port=port)
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    raise AssertionError("unbound does not answer")
