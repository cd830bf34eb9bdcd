"""Two organisations, their name server, and the mail between them. Everything on loopback and high ports.

ours        poterne.test    alice and bob          our server, as `setup` and `serve` make and run it
neighbour   voisin.test     carol                  another instance, smaller, that sends to us and takes mail
"""

import asyncio
import ctypes
import datetime as dt
import re
import signal
import smtplib
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, final

import dns.asyncresolver
import dns.exception

from poterne.admin import people
from poterne.admin.instance import DATA, SETTINGS, TLS, Plan, make, standard_listeners
from poterne.app.stores import open_instance_store
from poterne.config.load import load
from poterne.config.render import Value
from poterne.config.settings import Listener
from poterne.lab.dns import NameServer, Zones
from poterne.lab.letters import Post, samples, send
from poterne.store.interface import Store
from poterne.values.ids import TraceId
from poterne.values.secret import Secret

ADDRESS: Final = "127.0.0.1"
NEIGHBOUR: Final = "127.0.0.2"
"""Its own, for DNS names addresses and not ports: both MX listen on the same port."""
PASSWORD: Final = "open-the-small-door"  # noqa: S105  (of a world that ends at loopback, and is printed anyway)
START_S: Final = 20.0


class LabError(Exception):
    """The lab can't run; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Organisation:
    """One mail domain of the lab and the server that holds it."""

    domain: str
    people: tuple[str, ...]
    folder: Path
    listeners: Mapping[str, Listener]
    workers: int
    address: str = ADDRESS

    @property
    def hostname(self) -> str:
        return f"mail.{self.domain}"

    @property
    def settings(self) -> Path:
        return self.folder / SETTINGS

    @property
    def ca(self) -> Path:
        return self.folder / DATA / TLS / "ca.pem"

    def port(self, name: str) -> int:
        return self.listeners[name].port

    @property
    def accounts(self) -> list[str]:
        return [f"{name}@{self.domain}" for name in self.people]


def organisations(folder: Path, offset: int) -> tuple[Organisation, Organisation]:
    """Ours and the neighbour; the neighbour's ports are 10,000 above ours, but for its MX."""
    ours = Organisation("poterne.test", ("alice", "bob"), folder / "ours", standard_listeners((ADDRESS,), offset), 0)
    theirs = standard_listeners((NEIGHBOUR,), offset + 10_000)
    theirs["mx"] = replace(theirs["mx"], port=ours.port("mx"))
    return ours, Organisation("voisin.test", ("carol",), folder / "neighbour", theirs, 1, NEIGHBOUR)


def zone(org: Organisation) -> str:
    """What the organisation publishes."""
    return (
        f"$TTL 300\n"
        f"@ SOA ns.{org.domain}. postmaster.{org.domain}. 1 3600 900 604800 300\n"
        f"@ NS ns.{org.domain}.\n"
        f"ns A {org.address}\n"
        f"@ MX 10 {org.hostname}.\n"
        f"mail A {org.address}\n"
        f'@ TXT "v=spf1 a:{org.hostname} -all"\n'
        f'_dmarc TXT "v=DMARC1; p=reject"\n'
        f"_submissions._tcp SRV 0 1 {org.port('submissions')} {org.hostname}.\n"
        f"_imaps._tcp SRV 0 1 {org.port('imaps')} {org.hostname}.\n"
        f"_pop3s._tcp SRV 0 1 {org.port('pop3s')} {org.hostname}.\n"
    )


def prepare(org: Organisation, dns_port: int) -> None:
    """Make the instance unless it is there from another time. Raises InstanceError, AdminError, ConfigError, StoreError."""
    if org.settings.exists():
        _move_ports(org, dns_port)
    else:
        chosen: dict[str, dict[str, Value]] = {
            "server": {"workers": org.workers, "drain_s": 5},
            "dns": {"servers": [f"{ADDRESS}:{dns_port}"]},
            "queue": {"mx_port": org.port("mx"), "private_mx": True},
        }
        make(Plan(org.folder, org.hostname, org.listeners, chosen), dt.datetime.now(dt.UTC))
    populated = org.folder / "populated"
    if not populated.exists():  # also after a first run that was interrupted
        asyncio.run(_populate(org))
        populated.touch()


def _move_ports(org: Organisation, dns_port: int) -> None:
    """A later run may ask for other ports; what else was changed in the settings stays."""
    found = load(org.settings)
    text = org.settings.read_text(encoding="utf-8")
    for name, listener in org.listeners.items():
        if name in found.listener and found.listener[name].port != listener.port:
            section = re.compile(rf"(^\[listener\.{name}\]\n(?:(?!\[).*\n)*?port *= *)[0-9_]+", re.MULTILINE)
            text = section.sub(rf"\g<1>{listener.port}", text, count=1)
    text = re.sub(r"(?m)^(mx_port *= *)[0-9_]+", rf"\g<1>{org.port('mx')}", text)
    text = re.sub(rf'(?m)^(servers *= *\["{re.escape(ADDRESS)}:)[0-9]+', rf"\g<1>{dns_port}", text)
    org.settings.write_text(text, encoding="utf-8")
    load(org.settings)


async def _populate(org: Organisation) -> None:
    store: Store = open_instance_store(org.folder / DATA, load(org.settings))
    try:
        acting = people.Acting("lab", int(time.time()), TraceId("lab"))
        if org.domain not in {domain.name for domain in await people.domains(store)}:
            await people.add_domain(store, org.domain, acting)
        there = {account.address for account in await people.accounts(store)}
        for account in org.accounts:
            if account not in there:
                name = account.split("@")[0].title()
                await people.add_account(store, account, acting, password=Secret(PASSWORD), name=name)
        if not await people.aliases(store):
            await people.add_alias(store, f"info@{org.domain}", [org.accounts[0]], acting)
    finally:
        await store.close()


def _end_with_parent() -> None:
    """In the server's process: SIGTERM comes when the lab ends without saying so (prctl(2), PR_SET_PDEATHSIG)."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM, 0, 0, 0)


@final
class Server:
    """One organisation's server as a process of its own, with its log in a file."""

    def __init__(self, org: Organisation) -> None:
        self.org: Final = org
        self._log: Final = org.folder / "server.log"
        command = [sys.executable, "-m", "poterne", "-c", str(org.settings), "serve", "--keep-root"]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603  (our own command)
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_end_with_parent,  # noqa: PLW1509  (one call to the C library, no thread runs yet)
            )

    def failed(self) -> str | None:
        """The last lines of the log when the server is gone."""
        if self._process.poll() is None:
            return None
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-5:])

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(15)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


async def wait_ready(server: Server, stopped: asyncio.Event) -> None:
    """Return once the MX greets (then every port is served), or we are told to stop. Raises LabError."""
    port = server.org.port("mx")
    deadline = time.monotonic() + START_S
    while not stopped.is_set() and not await _greets(server.org.address, port):
        if (text := server.failed()) is not None:
            raise LabError(f"the server of {server.org.domain} did not start:\n{text}")
        if time.monotonic() > deadline:
            raise LabError(f"the server of {server.org.domain} does not answer on port {port}")
        await asyncio.sleep(0.05)


async def _greets(address: str, port: int) -> bool:
    try:
        async with asyncio.timeout(5.0):
            reader, writer = await asyncio.open_connection(address, port)
            try:
                return (await reader.readline()).startswith(b"220 ")
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return False


async def deliver_samples(ours: Organisation, neighbour: Organisation, dns_port: int) -> int:
    """The neighbour looks our MX up and sends the samples; gives how many arrived. Raises LabError."""
    resolver = dns.asyncresolver.Resolver(configure=False)
    resolver.nameservers, resolver.port, resolver.lifetime = [ADDRESS], dns_port, 5.0
    try:
        mx = (await resolver.resolve(ours.domain, "MX"))[0].exchange
        host = (await resolver.resolve(mx, "A"))[0].address
    except dns.exception.DNSException as error:
        raise LabError(f"the lab's name server does not answer ({type(error).__name__})") from None
    if host != ADDRESS:
        raise LabError(f"the lab's zone names {host}")
    carol, alice = neighbour.accounts[0], ours.accounts[0]
    letters = samples(carol, alice, dt.datetime.now(dt.UTC))
    post = Post(host, ours.port("mx"))
    try:
        return await asyncio.to_thread(send, post, str(ours.ca), neighbour.hostname, carol, alice, letters)
    except (OSError, smtplib.SMTPException) as error:
        raise LabError(f"the sample messages were not taken: {error}") from None


@final
class World:
    """Everything that runs. `run` stays until `stopped` is set."""

    def __init__(self, folder: Path, offset: int, say: Callable[[str], None]) -> None:
        self.ours, self.neighbour = organisations(folder, offset)
        self.dns_port: Final = 53 + offset
        self._say: Final = say

    def prepare(self) -> None:
        for org in (self.ours, self.neighbour):
            prepare(org, self.dns_port)

    async def run(self, ready: Callable[[], None], stopped: asyncio.Event) -> None:
        """Start all, deliver the samples the first time, call `ready`, wait, stop all. Raises LabError."""
        names = NameServer(Zones({o.domain: zone(o) for o in (self.ours, self.neighbour)}), ADDRESS, self.dns_port)
        servers: list[Server] = []
        try:
            try:
                await names.start()
            except OSError as error:
                raise LabError(
                    f"port {self.dns_port} is taken ({error.strerror or error}): does the lab run already? "
                    "Choose other ports with --port-offset"
                ) from None
            servers += [Server(self.ours), Server(self.neighbour)]
            for server in servers:
                await wait_ready(server, stopped)
            if stopped.is_set():
                return
            first = self.ours.folder / "samples-delivered"
            if not first.exists():
                count = await deliver_samples(self.ours, self.neighbour, self.dns_port)
                first.write_text(f"{count}\n")
                self._say(f"{count} sample messages were delivered over SMTP with STARTTLS.")
            ready()
            await _until(stopped, servers)
        finally:
            names.close()
            await asyncio.gather(*(asyncio.to_thread(server.stop) for server in servers))


async def _until(stopped: asyncio.Event, servers: list[Server]) -> None:
    while not stopped.is_set():
        for server in servers:
            if (text := server.failed()) is not None:
                raise LabError(f"the server of {server.org.domain} ended:\n{text}")
        try:
            async with asyncio.timeout(1.0):
                await stopped.wait()
        except TimeoutError:
            continue
