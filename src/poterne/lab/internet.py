"""The lab's small Internet: the remote organisations of `remotes.py`, running inside the lab's process until it ends.

It costs nothing while nobody writes to them. What they took is in FOLDER/taken/DOMAIN/.
"""

import datetime as dt
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final, final

import dns.rcode

from poterne.lab.credentials import Authority, Credential
from poterne.lab.dns import Trouble, Zones
from poterne.lab.policies import PREFIX, PolicyHosts, enforce
from poterne.lab.remotes import REMOTES, Certificate, Remote, Tlsa, zone
from poterne.lab.sink import Sink
from poterne.lab.taken import Shelf

FOLDER: Final = "internet"
TAKEN: Final = "taken"
STRANGER: Final = "mail.somebody-else.test"


def above() -> dict[str, str]:
    """The zones above all others: what nobody has does not exist, instead of failing."""
    soa = "$TTL 300\n@ SOA ns postmaster 1 3600 900 604800 60\n@ NS ns\nns A 127.0.0.1\n"
    return {".": soa, "test": soa}


def _why(address: str, port: int, error: OSError) -> str:
    """What can't be listened on; the words of asyncio for it are long."""
    return f"{address}:{port} can't be used ({os.strerror(error.errno) if error.errno else error})"


@final
class Internet:
    """`mx_port` is everybody's, `policy_port` that of all policy hosts, on `address`."""

    def __init__(self, folder: Path, address: str, mx_port: int, policy_port: int) -> None:
        self.folder: Final = folder
        self._address: Final = address
        self._mx_port: Final = mx_port
        self._policy_port: Final = policy_port
        self._credentials: Final[dict[str, Credential]] = {}
        self._sinks: Final[dict[str, Sink]] = {}
        self._policies: PolicyHosts | None = None
        self.running: Final[list[Remote]] = []
        """Those that can be written to."""
        self.missing: Final[dict[str, str]] = {}
        """The domains of the others, and why."""

    @property
    def taken(self) -> Path:
        """Where what they took is, by domain."""
        return self.folder / TAKEN

    def prepare(self) -> None:
        """Make the certificates, before anybody wants to trust them. Raises OSError."""
        authority = Authority(self.folder / FOLDER, dt.datetime.now(dt.UTC))
        for remote in REMOTES:
            if remote.certificate is not Certificate.NONE and remote.listens:
                name = STRANGER if remote.certificate is Certificate.OTHER_NAME else remote.exchanger
                self._credentials[remote.domain] = authority.issue(
                    [name], expired=remote.certificate is Certificate.EXPIRED
                )
        texts = {remote.domain: enforce(remote.exchanger) for remote in REMOTES if remote.enforce}
        self._policies = PolicyHosts(texts, authority.issue([PREFIX + domain for domain in texts]).context)

    async def start(self, zones: Zones) -> None:
        """Start every organisation that can be, and publish its zone; `running` and `missing` tell."""
        no_policies = await self._start_policies()
        for remote in REMOTES:
            reason = no_policies if remote.enforce and no_policies else await self._start_sink(remote)
            if reason:
                self.missing[remote.domain] = reason
                continue
            self.running.append(remote)
            self._publish(remote, zones)

    async def _start_policies(self) -> str:
        assert self._policies is not None, "prepare() comes first"  # noqa: S101
        try:
            await self._policies.start(self._address, self._policy_port)
        except OSError as error:
            return _why(self._address, self._policy_port, error)
        return ""

    async def _start_sink(self, remote: Remote) -> str:
        if not remote.listens:
            return ""
        found = self._credentials.get(remote.domain)
        try:
            shelf = Shelf(self.taken / remote.domain)
            sink = Sink(remote.exchanger, remote.manner, shelf, None if found is None else found.context)
            await sink.start(remote.address, self._mx_port)
        except OSError as error:
            return _why(remote.address, self._mx_port, error)
        self._sinks[remote.domain] = sink
        return ""

    def _publish(self, remote: Remote, zones: Zones) -> None:
        found = self._credentials.get(remote.domain)
        text = zone(remote, self._mx_port, self._address, "" if found is None else found.tlsa)
        zones.put(remote.domain, text, secure=remote.tlsa is not Tlsa.NONE)
        if remote.tlsa is Tlsa.BOGUS:
            zones.trouble(f"_{self._mx_port}._tcp.{remote.exchanger}", Trouble(rcode=dns.rcode.SERVFAIL))

    def shelves(self) -> Mapping[str, Shelf]:
        """What each took, by domain."""
        return {domain: sink.shelf for domain, sink in self._sinks.items()}

    async def close(self) -> None:
        if self._policies is not None:
            self._policies.close()
        for sink in self._sinks.values():
            await sink.close()
