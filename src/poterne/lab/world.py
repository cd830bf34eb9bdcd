"""Two organisations, a small Internet around them, its name server, and the mail between all. Loopback and high ports only.

ours        poterne.test    alice and bob          our server, as `setup` and `serve` make and run it
neighbour   voisin.test     carol                  another instance, smaller, that sends to us and takes mail
internet    clear.test … seven-bit.test            servers of strangers, each with a way of its own (`remotes.py`)
spoofer     impostor.test, p0terne.test            writes in other people's names (`spoofer.py`)
"""

import asyncio
import contextlib
import ctypes
import datetime as dt
import fcntl
import os
import signal
import smtplib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from email.utils import format_datetime
from pathlib import Path
from typing import Final, final

import dns.asyncresolver
import dns.exception

from poterne.admin.dkim import DkimRecord
from poterne.admin.instance import DATA
from poterne.app.stores import open_instance_store
from poterne.config.load import load
from poterne.lab import spoofer
from poterne.lab.dns import NameServer, Zones
from poterne.lab.instances import ADDRESS, Organisation, organisations, prepare, zone
from poterne.lab.internet import Internet, above
from poterne.lab.letters import Post, samples, send
from poterne.store.interface import Store

START_S: Final = 20.0


class LabError(Exception):
    """The lab can't run; the text says why and what to do."""


@contextlib.contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Nobody else runs a lab in this folder, which is made; the lock ends with the process. Raises LabError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise LabError(f"{folder} can't be used ({error.strerror}): choose another --folder") from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise LabError(f"another lab is running in {folder}: end it, or choose another --folder") from None
        yield
    finally:
        os.close(descriptor)


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
    post = Post(host, ours.port("mx"), neighbour.address)  # which its SPF record names
    try:
        return await asyncio.to_thread(send, post, str(ours.ca), neighbour.hostname, carol, alice, letters)
    except (OSError, smtplib.SMTPException) as error:
        raise LabError(f"the sample messages were not taken: {error}") from None


async def forge(ours: Organisation, neighbour: Organisation) -> str:
    """The spoofer writes to alice; gives what became of it. Raises StoreError."""
    alice, bob = ours.accounts
    forged = spoofer.forgeries(neighbour.accounts[0], bob)
    post = Post(ours.address, ours.port("mx"), spoofer.ADDRESS)
    now = format_datetime(dt.datetime.now(dt.UTC))
    try:
        answers = await asyncio.to_thread(spoofer.send, post, str(ours.ca), alice, forged, now)
    except (OSError, smtplib.SMTPException) as error:
        return f"  not there: {error}"
    store: Store = open_instance_store(ours.folder / DATA, load(ours.settings))
    try:
        return "\n".join(spoofer.rows(forged, answers, await store.events(kind="message.accepted")))
    finally:
        await store.close()


@final
class World:
    """Everything that runs. `run` stays until `stopped` is set."""

    def __init__(self, folder: Path, offset: int, say: Callable[[str], None]) -> None:
        self.ours, self.neighbour = organisations(folder, offset)
        self.dns_port: Final = 53 + offset
        self.policy_port: Final = 443 + offset
        self.internet: Final = Internet(folder, ADDRESS, self.ours.port("mx"), self.policy_port)
        self._say: Final = say
        self._keys: Final[dict[str, list[DkimRecord]]] = {}
        """What each of ours publishes of its keys."""
        self.forged = ""
        """What became of mail in other people's names, as lines to show."""

    def prepare(self) -> None:
        """Make what is not there yet. Raises LabError, InstanceError, AdminError, ConfigError, StoreError."""
        try:
            self.internet.prepare()
        except OSError as error:
            raise LabError(
                f"{self.internet.folder} can't be written ({error.strerror}): choose another --folder"
            ) from None
        for org in (self.ours, self.neighbour):
            self._keys[org.domain] = prepare(org, self.dns_port, self.policy_port)

    async def run(self, ready: Callable[[], None], stopped: asyncio.Event) -> None:
        """Start all, deliver the samples the first time, call `ready`, wait, stop all. Raises LabError."""
        zones = Zones(
            {
                **above(),
                **spoofer.zones(),
                **{o.domain: zone(o, self._keys.get(o.domain, ())) for o in (self.ours, self.neighbour)},
            }
        )
        names = NameServer(zones, ADDRESS, self.dns_port)
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
            await self.internet.start(zones)
            for server in servers:
                await wait_ready(server, stopped)
            if stopped.is_set():
                return
            first = self.ours.folder / "samples-delivered"
            if not first.exists():
                count = await deliver_samples(self.ours, self.neighbour, self.dns_port)
                first.write_text(f"{count}\n")
                self._say(f"{count} sample messages were delivered over SMTP with STARTTLS.")
            self.forged = await self._forged()
            ready()
            await _until(stopped, servers)
        finally:
            names.close()
            await self.internet.close()
            await asyncio.gather(*(asyncio.to_thread(server.stop) for server in servers))

    async def _forged(self) -> str:
        """What became of forged mail, which is sent the first time only."""
        path = self.ours.folder / "forged-mail"
        if not path.exists():
            path.write_text(await forge(self.ours, self.neighbour), encoding="utf-8")
        return path.read_text(encoding="utf-8")


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
