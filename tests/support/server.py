"""A real server in a process of its own, on loopback, for tests: made, started, asked, killed."""

import asyncio
import datetime as dt
import imaplib
import itertools
import json
import os
import random
import re
import signal
import smtplib
import socket
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping
from email.message import EmailMessage
from pathlib import Path
from typing import Any, Final

from poterne.admin import people
from poterne.admin.instance import DATA, Plan, make
from poterne.app.stores import open_instance_store
from poterne.config.load import load
from poterne.config.render import Value
from poterne.config.settings import Listener
from poterne.store.interface import Store
from poterne.values.ids import TraceId
from poterne.values.secret import Secret
from tests.support.commands import command

ADDRESS = "127.0.0.1"
DOMAIN = "example.test"
PASSWORD = "correct-horse-battery"
SERVICES: dict[str, tuple[str, str]] = {
    "mx": ("mx", "starttls"),
    "submission": ("submission", "starttls"),
    "submissions": ("submission", "implicit"),
    "imaps": ("imap", "implicit"),
    "pop3s": ("pop3", "implicit"),
}
WAIT_S = 20.0


def _own_ports() -> range:
    """Ports outside the range that outgoing connections use: each process of the tests has its own."""
    worker = int(re.sub(r"\D", "", os.environ.get("PYTEST_XDIST_WORKER", "")) or 0) % 8
    return range(10_000 + worker * 2_800, 10_000 + (worker + 1) * 2_800)


OWN_PORTS: Final = _own_ports()
_PORTS: Final = itertools.cycle(random.sample(OWN_PORTS, len(OWN_PORTS)))
"""None is given twice in a row."""


def free_port() -> int:
    """One that nobody listens on, and that nobody else among the tests is given just now."""
    return next(port for port in _PORTS if is_free(port))


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((ADDRESS, port))
        except OSError:
            return False
    return True


def wait_for(what: Callable[[], Any], timeout_s: float = WAIT_S, text: str = "it never came") -> Any:
    """Ask until the answer is true; gives it."""
    until = time.monotonic() + timeout_s
    while time.monotonic() < until:
        if found := what():
            return found
        time.sleep(0.02)
    raise AssertionError(text)


def letter(to: str = f"alice@{DOMAIN}", subject: str = "hello", body: str = "text\n") -> EmailMessage:
    message = EmailMessage()
    message["From"] = "carol@elsewhere.test"
    message["To"] = to
    message["Subject"] = subject
    message["Date"] = "Sun, 22 Nov 2026 21:00:00 +0000"
    message["Message-ID"] = f"<{random.getrandbits(64):x}@elsewhere.test>"
    message.set_content(body)
    return message


class Instance:
    """An instance's folder, and the server that runs on it."""

    def __init__(
        self,
        folder: Path,
        *,
        accounts: tuple[str, ...] = ("alice", "bob"),
        chosen: Mapping[str, Mapping[str, Value]] | None = None,
        address: str = ADDRESS,
        domain: str = DOMAIN,
        mx_port: int = 0,
    ) -> None:
        self.folder = folder
        self.address, self.domain = address, domain
        self.ports = {name: free_port() for name in SERVICES}
        self.ports["mx"] = mx_port or self.ports["mx"]
        self.metrics_port = free_port()
        defaults: dict[str, dict[str, Value]] = {
            "server": {"workers": 2, "drain_s": 3},
            "metrics": {"port": self.metrics_port},
            "dns": {"servers": ["127.0.0.1:1"]},  # no query of a test leaves this machine
            "inbound": {"verify": False},
            "log": {"level": "debug", "format": "json"},
        }
        for table, values in (chosen or {}).items():
            defaults[table] = {**defaults.get(table, {}), **values}
        listeners = {
            name: Listener(service=service, addresses=[address], port=self.ports[name], tls=tls)
            for name, (service, tls) in SERVICES.items()
        }
        self.settings = make(Plan(folder, f"mail.{domain}", listeners, defaults), dt.datetime.now(dt.UTC))
        self.log = folder / "server.log"
        self._lines: list[dict[str, Any]] = []
        self._read = 0
        """Octets of the log."""
        self.process: subprocess.Popen[bytes] | None = None
        self.with_store(lambda store: self._populate(store, accounts))

    async def _populate(self, store: Store, accounts: tuple[str, ...]) -> None:
        acting = people.Acting("test", int(time.time()), TraceId("test"))
        await people.add_domain(store, self.domain, acting)
        for name in accounts:
            await people.add_account(store, f"{name}@{self.domain}", acting, password=Secret(PASSWORD))

    def with_store(self, work: Callable[[Store], Any]) -> Any:
        """Do something with the store, in this process."""

        async def run() -> Any:
            store = open_instance_store(self.folder / DATA, load(self.settings))
            try:
                return await work(store)
            finally:
                await store.close()

        return asyncio.run(run())

    # -- the process ---------------------------------------------------------------------------------------------------

    def spawn(self, *options: str, env: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "poterne", "-c", str(self.settings), "serve", "--keep-root", *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**os.environ, **(env or {})},
            )
        return self.process

    def start(self, *, env: Mapping[str, str] | None = None) -> "Instance":
        before = len(self.events("server.ready"))
        self.spawn(env=env)
        self.wait_event("server.ready", before + 1)
        return self

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def wait(self, timeout_s: float = WAIT_S) -> int:
        assert self.process is not None
        return self.process.wait(timeout_s)

    def stop(self) -> int:
        """SIGTERM, and the exit status; nothing is left behind, however it goes."""
        if self.process is None:
            return 0
        children = self.children()
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
        try:
            return self.wait()
        finally:
            for pid in (self.pid, *children):
                if alive(pid):
                    os.kill(pid, signal.SIGKILL)

    def children(self) -> list[int]:
        """The pids of steward and workers."""
        try:
            found = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        except OSError:
            return []
        return [int(pid) for pid in found]

    def rewrite(self, old: str, new: str) -> None:
        """Change the settings file."""
        text = self.settings.read_text()
        assert old in text, f"{old!r} is not in the settings"
        self.settings.write_text(text.replace(old, new))

    def reload(self) -> None:
        self.signal(signal.SIGHUP)

    # -- what it says --------------------------------------------------------------------------------------------------

    def lines(self) -> list[dict[str, Any]]:
        """The log; every line must be JSON."""
        if not self.log.exists():
            return []
        with self.log.open("rb") as log:
            log.seek(self._read)
            fresh = log.read()
        fresh = fresh[: fresh.rfind(b"\n") + 1]
        self._read += len(fresh)
        self._lines += map(_line, fresh.splitlines())
        return self._lines.copy()

    def events(self, name: str) -> list[dict[str, Any]]:
        return [line for line in self.lines() if line["event"] == name]

    def wait_event(self, name: str, count: int = 1, timeout_s: float = WAIT_S) -> dict[str, Any]:
        """The `count`-th line of that name."""
        until = time.monotonic() + timeout_s
        while time.monotonic() < until:
            if len(found := self.events(name)) >= count:
                return found[count - 1]
            if self.process is not None and self.process.poll() is not None:
                break
            time.sleep(0.02)
        raise AssertionError(f"no {name} ({count}):\n{self.log.read_text()[-3000:]}")

    def metrics(self) -> dict[str, float]:
        """The page's series, by name with labels."""
        with urllib.request.urlopen(f"http://{ADDRESS}:{self.metrics_port}/metrics", timeout=5) as page:
            text = page.read().decode()
        found = re.findall(r"^(poterne_[^ ]+) ([0-9.e+-]+)$", text, re.MULTILINE)
        return {name: float(value) for name, value in found}

    # -- speaking to it ------------------------------------------------------------------------------------------------

    def context(self) -> ssl.SSLContext:
        """Trusts the instance's CA; loopback addresses are in its certificate, so that nothing is switched off."""
        return ssl.create_default_context(cafile=str(self.folder / DATA / "tls" / "ca.pem"))

    def smtp(self, name: str = "mx", *, tls: bool = True) -> smtplib.SMTP:
        client = smtplib.SMTP(self.address, self.ports[name], local_hostname="elsewhere.test", timeout=WAIT_S)
        if tls:
            client.starttls(context=self.context())
            client.ehlo()
        return client

    def deliver(self, message: EmailMessage | None = None, to: str = f"alice@{DOMAIN}") -> None:
        with self.smtp() as client:
            client.send_message(message or letter(to), "carol@elsewhere.test", [to])

    def imap(self, user: str = "alice", password: str = PASSWORD) -> imaplib.IMAP4_SSL:
        client = imaplib.IMAP4_SSL(ADDRESS, self.ports["imaps"], ssl_context=self.context(), timeout=WAIT_S)
        try:
            client.login(f"{user}@{DOMAIN}", password)
        except imaplib.IMAP4.error:
            client.shutdown()
            raise
        return client

    def poterne(self, *arguments: str, stdin: str | bytes = b"", status: int = 0) -> "subprocess.CompletedProcess[str]":
        """The command line on this instance; its status is as expected."""
        given = stdin.encode() if isinstance(stdin, str) else stdin
        done = command(["-c", str(self.settings), *arguments], given)
        assert done.returncode == status, f"status {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done


def alive(pid: int) -> bool:
    """Is it there, and not only a zombie?"""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


def _line(text: bytes) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(text)
    except ValueError:
        raise AssertionError(f"a log line is not JSON: {text!r}") from None
    return found
