"""A real server: its process tree, and a way to end any part of it."""

import asyncio
import contextlib
import datetime as dt
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from poterne.admin import instance, people
from poterne.admin.passwords import hash_password
from poterne.app.stores import open_instance_store
from poterne.config.load import load
from poterne.config.render import Value
from poterne.config.settings import Listener, Settings
from poterne.store.interface import Store
from poterne.values.folders import FOLDERS
from poterne.values.ids import TraceId
from poterne.values.secret import Secret

HOST = "127.0.0.1"
DOMAIN = "example.org"
PASSWORD = "correct horse battery"
ACCOUNTS = ("ada", "ben")
WORKERS = 2
_RUN = "from poterne.cli.main import main; main()"


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind((HOST, 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


async def _fill(data: Path, settings: Settings) -> None:
    acting = people.Acting("test", int(time.time()), TraceId("test"))
    store = open_instance_store(data, settings)
    await people.add_domain(store, DOMAIN, acting)
    verifier = hash_password(Secret(PASSWORD))
    for name in ACCOUNTS:
        event = acting.event("account.added")
        await store.add_account(f"{name}@{DOMAIN}", name, "en", verifier, 0, FOLDERS["en"], event)
    await store.close()


class Server:
    """One instance with two accounts; `start` as often as it was ended."""

    def __init__(self, folder: Path, chosen: dict[str, dict[str, Value]] | None = None) -> None:
        self.folder = folder
        self.smtp, self.imap = free_ports(2)
        listeners = {
            "mx": Listener(service="mx", addresses=[HOST], port=self.smtp, tls="starttls"),
            "imaps": Listener(service="imap", addresses=[HOST], port=self.imap, tls="implicit"),
        }
        listeners = {name: replace(each, max_per_address=1_000, max_per_minute=0) for name, each in listeners.items()}
        tables: dict[str, dict[str, Value]] = {
            "server": {"workers": WORKERS, "drain_s": 5},
            "log": {"format": "json"},
            "dns": {"servers": ["127.0.0.1:1"]},  # no query of a test leaves this machine
            "inbound": {"verify": False},
        }
        for table, values in (chosen or {}).items():
            tables[table] = tables.get(table, {}) | values
        plan = instance.Plan(folder, f"mx.{DOMAIN}", listeners, tables)
        self.settings_path = instance.make(plan, dt.datetime.now(dt.UTC))
        self.settings = load(self.settings_path)
        self.data = (folder / self.settings.server.data).resolve()
        asyncio.run(_fill(self.data, self.settings))
        self.log = folder / "server.log"
        self.steward = 0
        self.workers: list[int] = []
        self._process: subprocess.Popen[bytes] | None = None

    # -- starting and ending -------------------------------------------------------------------------------------------

    def start(self, limit_s: float = 20.0) -> float:
        """Run it until it serves; gives the seconds that took."""
        began, ready = time.monotonic(), self._told("server.ready")
        with self.log.open("ab") as log:
            command = [sys.executable, "-c", _RUN, "-c", str(self.settings_path), "serve", "--keep-root"]
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.wait(lambda: self._told("server.ready") > ready or self._ended, limit_s, "ready")
        assert not self._ended, f"it did not start\n{self.log_tail()}"
        children = self.children()
        assert len(children) == self.settings.server.workers + 1, children
        self.steward, *self.workers = children  # the steward is forked first
        return time.monotonic() - began

    def stop(self) -> int:
        """As an administrator does it."""
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(20)

    def kill_all(self) -> None:
        """Whatever is left; for the end of a test."""
        if self._process is None:
            return
        for pid in (self._process.pid, self.steward, *self.workers):
            if pid == self._process.pid or self.is_alive(pid):
                self.signal(pid, signal.SIGKILL)
        self._process.wait(20)

    @property
    def _ended(self) -> bool:
        return self._process is not None and self._process.poll() is not None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def signal(self, pid: int, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)

    def kill_supervisor(self) -> float:
        """SIGKILL for the parent alone; gives the seconds after which its children have ended by themselves."""
        children = [self.steward, *self.workers]
        process = self._process
        assert process is not None
        process.kill()
        process.wait(20)
        began = time.monotonic()
        self.wait(lambda: not any(map(self.is_alive, children)), 15, "the end of the orphans")
        return time.monotonic() - began

    def kill_child(self, pid: int) -> None:
        """SIGKILL; `await_replacement` comes after it."""
        self._ready_before = self._told("process.ready")
        self.signal(pid, signal.SIGKILL)

    def await_replacement(self, pid: int, limit_s: float = 10.0) -> None:
        """Returns once the killed child has a successor that serves."""
        self.wait(lambda: self._told("process.ready") > self._ready_before, limit_s, f"a successor of {pid}")
        (fresh,) = set(self.children()) - {self.steward, *self.workers}
        if pid == self.steward:
            self.steward = fresh
        else:
            self.workers[self.workers.index(pid)] = fresh

    # -- looking -------------------------------------------------------------------------------------------------------

    def children(self) -> list[int]:
        """Of the supervisor, oldest first."""
        return sorted(map(int, Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()))

    @staticmethod
    def is_alive(pid: int) -> bool:
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return False
        return stat.rpartition(")")[2].split()[0] != "Z"

    def _told(self, event: str) -> int:
        """How often the log has told of it."""
        return self.log.read_bytes().count(f'"event":"{event}"'.encode()) if self.log.exists() else 0

    def wait(self, condition: Callable[[], bool], limit_s: float, what: str) -> None:
        until = time.monotonic() + limit_s
        while not condition():
            assert time.monotonic() < until, f"waited {limit_s} s for {what}\n{self.log_tail()}"
            time.sleep(0.005)

    def log_tail(self, lines: int = 40) -> str:
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return (
            "\n".join(line for line in text.splitlines() if '"info"' not in line)[-8_000:]
            + "\n---\n"
            + "\n".join(text.splitlines()[-lines:])
        )

    def tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.data / "tls" / "ca.pem")

    def open_store(self) -> Store:
        """The store beside the running server, as the command line opens it."""
        return open_instance_store(self.data, self.settings)
