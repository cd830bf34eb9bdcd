"""An edge and a server behind it: two real servers on loopback, and what stands between them and other networks."""

import asyncio
import contextlib
import datetime as dt
import json
import smtplib
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from poterne.admin import people
from poterne.admin.instance import DATA, Plan, make
from poterne.config.settings import Listener
from poterne.store.interface import Store
from poterne.values.ids import TraceId
from poterne.values.secret import Secret
from tests.support.proxy import header
from tests.support.server import ADDRESS, PASSWORD, WAIT_S, Instance, free_port

DOMAIN: Final = "example.test"
STRANGER: Final = "127.0.0.9"
"""Whoever writes to us. The edge itself talks to the inner server from 127.0.0.1."""
INNER: Final = "10.9.8.7"
"""The address under which the edge sees the inner server: loopback is never relayed for."""
FROM: Final = "carol@elsewhere.test"


class Node(Instance):
    """One of the two. `listeners` by name; `role` and `more` (tables, as TOML) are written into the settings."""

    def __init__(
        self,
        folder: Path,
        hostname: str,
        role: str,
        listeners: Mapping[str, Listener],
        *,
        accounts: Sequence[str] = (),
        domains: Sequence[str] = (),
        more: str = "",
        chosen: Mapping[str, Mapping[str, int]] | None = None,
    ) -> None:
        self.folder, self.hostname = folder, hostname
        self.ports = {name: listener.port for name, listener in listeners.items()}
        self.metrics_port = free_port()
        tables: dict[str, dict[str, object]] = {
            "server": {"workers": 1, "drain_s": 1},
            "metrics": {"port": self.metrics_port},
            "dns": {"servers": ["127.0.0.1:1"]},
            "inbound": {"verify": False},
            "queue": {"first_retry_s": 60},
            "log": {"level": "debug", "format": "json"},
        }
        for table, values in (chosen or {}).items():
            tables[table] = {**tables.get(table, {}), **values}
        self.settings = make(Plan(folder, hostname, listeners, tables), dt.datetime.now(dt.UTC))  # type: ignore[arg-type]
        text = self.settings.read_text().replace("[server]\n", f'[server]\nrole = "{role}"\n', 1)
        self.settings.write_text(f"{text}\n{more}")
        self.log = folder / "server.log"
        self._lines, self._read = [], 0
        self.process = None
        self._domains = tuple(domains)
        self.with_store(lambda store: self._fill(store, accounts))

    async def _fill(self, store: Store, accounts: Sequence[str]) -> None:
        acting = people.Acting("test", int(time.time()), TraceId("test"))
        for domain in self._domains:
            await people.add_domain(store, domain, acting)
        for address in accounts:
            await people.add_account(store, address, acting, password=Secret(PASSWORD))

    @property
    def ca(self) -> Path:
        return self.folder / DATA / "tls" / "ca.pem"

    def append(self, text: str) -> None:
        """More settings; counts at the next start."""
        self.settings.write_text(f"{self.settings.read_text()}\n{text}")

    def stranger(self, name: str = "mx", source: str = STRANGER, *, tls: bool = True) -> smtplib.SMTP:
        """A dialogue from another address than the edge's, after EHLO."""
        client = smtplib.SMTP(
            ADDRESS, self.ports[name], local_hostname="elsewhere.test", timeout=WAIT_S, source_address=(source, 0)
        )
        if tls:
            client.starttls(context=self.context())
        client.ehlo()
        return client

    def rcpt(self, *recipients: str, sender: str = FROM, name: str = "mx", source: str = STRANGER) -> list[str]:
        """What is said to each of them; "DATA" is never sent."""
        with self.stranger(name, source) as client:
            client.mail(sender)
            said = [client.rcpt(recipient) for recipient in recipients]
        return [f"{code} {text.decode()}" for code, text in said]

    def queued(self) -> list[dict[str, object]]:
        """What waits, as `poterne queue list` has it."""
        found: list[dict[str, object]] = json.loads(self.poterne("queue", "list", "--json").stdout)
        return found


def mx(*, port: int | None = None, allow: Sequence[str] = (), proxies: Sequence[str] = ()) -> Listener:
    return Listener(
        service="mx", addresses=[ADDRESS], port=port or free_port(), allow=list(allow), proxies=list(proxies)
    )


def mailboxes() -> dict[str, Listener]:
    """Where people sign in."""
    return {
        "submission": Listener(service="submission", addresses=[ADDRESS], port=free_port()),
        "imaps": Listener(service="imap", addresses=[ADDRESS], port=free_port(), tls="implicit"),
    }


def route(name: str, port: int, *domains: str, ca: Path | None = None, host: str = ADDRESS, **more: object) -> str:
    """A `[route.NAME]` to a server on this machine, with its authority or in the clear."""
    lines = {
        "domains": list(domains),
        "host": host,
        "port": port,
        **({"tls": "opportunistic"} if ca is None else {"ca": str(ca)}),
        **more,
    }
    return _table(f"route.{name}", lines)


def relay(name: str, *domains: str, hosts: Sequence[str] = (INNER,), per_hour: int = 1000) -> str:
    return _table(f"relay.{name}", {"hosts": list(hosts), "sender_domains": list(domains), "per_hour": per_hour})


def _table(name: str, values: Mapping[str, object]) -> str:
    words = {True: "true", False: "false"}
    lines = [f"{key} = {words[value] if isinstance(value, bool) else _value(value)}" for key, value in values.items()]
    return "\n".join([f"[{name}]", *lines, ""])


def _value(value: object) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    return str(value) if isinstance(value, int) else f'"{value}"'


class Elsewhere:
    """Makes connections of this machine arrive from another address: a proxy that says so (PROXY protocol, version 2)."""

    def __init__(self, target: int, source: str = INNER) -> None:
        self._target, self._header = target, header(source)
        self.port = 0

    def __enter__(self) -> Self:
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()), daemon=True)
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    async def _main(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._accepted, ADDRESS, 0)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        for task in asyncio.all_tasks():
            if task is not asyncio.current_task():
                task.cancel()
        await asyncio.sleep(0.01)

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.CancelledError):
            there, out = await asyncio.open_connection(ADDRESS, self._target)
            out.write(self._header)
            await asyncio.gather(self._pass_on(reader, out), self._pass_on(there, writer))

    @staticmethod
    async def _pass_on(source: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                to.write(data)
                await to.drain()
        finally:
            with contextlib.suppress(OSError):
                to.close()
