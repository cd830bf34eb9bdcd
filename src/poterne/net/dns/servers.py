"""Which name servers are asked, in which order, and whose word about DNSSEC is taken."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

from poterne.config.dns import name_server
from poterne.observe import Log

RESOLV_CONF: Final = Path("/etc/resolv.conf")
RESOLV_CONF_S: Final = 30.0
"""How often we look whether that file changed."""
RESOLV_CONF_OCTETS: Final = 64 * 1024
MAX_SERVERS: Final = 8
REST_S: Final = 30.0
"""A server that did not answer is asked after the others for so long."""


@dataclass(frozen=True, slots=True)
class NameServer:
    """`local`: on this machine, so that nobody forges its answers on the way. `trusted`: its AD bit is believed."""

    address: str
    port: int
    local: bool
    trusted: bool

    def __str__(self) -> str:
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"


@final
class Servers:
    """The servers of the settings, or of resolv.conf as it is now.

    Where one is trusted, the others are not asked: whoever can make the trusted one fail could otherwise make us go without
    the proof that DANE needs.
    """

    def __init__(self, entries: Sequence[str], trust_ad: str, log: Log, *, resolv_conf: Path = RESOLV_CONF) -> None:
        self._fixed: Final = bool(entries)
        self._believe: Final = trust_ad == "loopback"
        self._log: Final = log
        self._resolv_conf: Final = resolv_conf
        self._checked_at = float("-inf")
        self._stamp: tuple[int, int] | None = None
        self._all: tuple[NameServer, ...] = self._chosen(entries) if entries else ()
        self._resting: dict[NameServer, float] = {}

    def order(self, now: float) -> Sequence[NameServer]:
        """Those to ask, first to last. `now`: monotonic seconds."""
        if not self._fixed and now - self._checked_at >= RESOLV_CONF_S:
            self._checked_at = now
            self._look()
        if not self._resting:
            return self._all
        self._resting = {server: until for server, until in self._resting.items() if until > now}
        return sorted(self._all, key=lambda server: self._resting.get(server, 0.0))

    def silent(self, server: NameServer, now: float) -> None:
        """It did not answer."""
        if len(self._all) > 1:
            self._resting[server] = now + REST_S

    def answered(self, server: NameServer) -> None:
        if self._resting:
            self._resting.pop(server, None)

    def _look(self) -> None:
        """Read resolv.conf if it changed: a few hundred octets that the system keeps in memory."""
        try:
            stat = self._resolv_conf.stat()
            stamp = (stat.st_mtime_ns, stat.st_ino)
            if stamp == self._stamp:
                return
            with self._resolv_conf.open(encoding="utf-8", errors="replace") as file:
                text = file.read(RESOLV_CONF_OCTETS)
        except OSError as error:
            if not self._all:
                self._log.error("dns.servers", problem=f"{self._resolv_conf} can't be read ({type(error).__name__})")
                self._all = self._chosen(["127.0.0.1"])  # resolv.conf(5): what holds without such a file
            return
        self._stamp = stamp
        self._all = self._chosen(named_in(text) or ["127.0.0.1"])
        self._resting.clear()

    def _chosen(self, entries: Sequence[str]) -> tuple[NameServer, ...]:
        found = [server for entry in entries if (server := self._server(entry)) is not None][:MAX_SERVERS]
        trusted = [server for server in found if server.trusted]
        if trusted and len(trusted) < len(found):
            others = " ".join(str(server) for server in found if not server.trusted)
            why = "a name server on this machine is trusted for DNSSEC, so that others are not asked"
            self._log.warning("dns.servers", not_asked=others, problem=why)
        return tuple(trusted or found)

    def _server(self, entry: str) -> NameServer | None:
        parsed = name_server(entry)
        if parsed is None:
            self._log.warning("dns.servers", problem="not an address of a name server", entry=entry)
            return None
        local = ipaddress.ip_address(parsed[0]).is_loopback
        return NameServer(*parsed, local, local and self._believe)


def named_in(resolv_conf: str) -> list[str]:
    """The name servers of a resolv.conf(5), without those of one link only (fe80::1%eth0)."""
    lines = (line.split() for line in resolv_conf.splitlines())
    return [words[1] for words in lines if len(words) > 1 and words[0] == "nameserver" and "%" not in words[1]]
