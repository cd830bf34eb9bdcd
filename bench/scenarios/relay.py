"""Mail out: submitted over TLS by people who sign in, relayed over TLS to a server that counts what arrives.

The measured time ends when the last message has arrived there; CPU is counted until the server has settled down, for what
it has still to write down then is work of these messages.
"""

import asyncio
import contextlib
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

from bench import accounting, smtp
from bench.corpus import plain_message
from bench.scenarios.base import Baseline, Group, Sample, Scenario, Stage, Watch, accounts, in_parallel, memory_mib
from bench.sink import Sink
from bench.sut import DOMAIN, HOST
from bench.sut_poterne import DEAD, HUNG, LIVE
from bench.wire import RefusedError

CLIENTS = 16
SENDERS = accounts("out", CLIENTS)
_SIZE_BYTES = 4096
_DIFFERENT_MESSAGES = 64
_POLL_S = 0.02
_SETTLE_S = 0.5
_WARM = 128
_WARM_LOGINS = 8  # of each account
_PER_MESSAGE = 100
"""Recipients of each message of a mass mailing."""
_FAIR_LIMIT_S = 60.0


@dataclass(frozen=True, slots=True)
class _Relay:
    """One kind of outgoing load. `mailmax`: messages a connection that the next server says it takes; 0: any number."""

    per_connection: int
    mailmax: int = 0
    full: int = 3000
    quick: int = 800


def _letter(sender: str, number: int) -> bytes:
    """The sender is its author."""
    return smtp.data(
        plain_message(_SIZE_BYTES, number).replace(b"sender@example.net", f"{sender}@{DOMAIN}".encode(), 1)
    )


def _envelope(sender: str, recipients: list[str]) -> bytes:
    to = "".join(f"RCPT TO:<{each}>\r\n" for each in recipients)
    return f"MAIL FROM:<{sender}@{DOMAIN}>\r\n{to}DATA\r\n".encode()


@contextlib.contextmanager
def _sink(stage: Stage, mailmax: int = 0) -> Iterator[Sink]:
    with (
        tempfile.TemporaryDirectory(prefix="poterne-sink-") as folder,
        Sink(Path(folder), stage.endpoints.sink, mailmax) as sink,
    ):
        yield sink


async def _until(sink: Sink, messages: int) -> None:
    while sink.messages < messages:  # noqa: ASYNC110 - the event is in another process
        await asyncio.sleep(_POLL_S)


async def _sign_in(stage: Stage) -> None:
    """Every process has met every account: a costly first password check is not what is measured."""
    left = iter([sender for _ in range(_WARM_LOGINS) for sender in SENDERS])

    async def client(_number: int) -> None:
        for sender in left:
            await (await smtp.SmtpClient.submit(stage.endpoints.submissions, stage.starttls, sender)).quit()

    await in_parallel(8, client)


async def _submit(stage: Stage, total: int, per_connection: int, watch: Watch | None = None) -> None:
    letters = [[_letter(sender, number) for number in range(_DIFFERENT_MESSAGES // CLIENTS)] for sender in SENDERS]
    left = iter(range(total))

    async def client(who: int) -> None:
        sender = SENDERS[who]
        while True:
            connection: smtp.SmtpClient | None = None
            for _ in range(per_connection):
                if (number := next(left, None)) is None:
                    break
                if connection is None:
                    connection = await smtp.SmtpClient.submit(stage.endpoints.submissions, stage.starttls, sender)
                opening = _envelope(sender, [f"user{number}@sink.test"])
                sending = connection.send(opening, 1, letters[who][number % len(letters[who])])
                await (sending if watch is None else watch.timed(sending))
            if connection is None:
                return
            await connection.quit()

    await in_parallel(CLIENTS, client)


async def _relay(stage: Stage, relay: _Relay) -> Sample:
    total = stage.scale.pick(relay.full, relay.quick)
    with _sink(stage, relay.mailmax) as sink:
        await _sign_in(stage)
        await _submit(stage, _WARM, 4)  # the destination is known
        await _until(sink, _WARM)
        await asyncio.sleep(_SETTLE_S)
        before, connections, resumed = sink.messages, sink.connections, sink.resumed
        watch = Watch(stage.root)
        with watch.running():
            started = time.perf_counter()
            await _submit(stage, total, relay.per_connection, watch)
            acknowledged_s = time.perf_counter() - started
            await _until(sink, before + total)
            arrived_s = time.perf_counter() - started
            await asyncio.sleep(_SETTLE_S)
        if sink.messages != before + total:
            raise RefusedError(f"{sink.messages - before} messages arrived, {total} were sent")
        opened = sink.connections - connections
        figures = watch.sample(total)
        del figures["per_s"]
        return figures | {
            "arrived_per_s": total / arrived_s,
            "acknowledged_per_s": total / acknowledged_s,
            "per_connection": total / max(1, opened),
            "resumed": 100 * (sink.resumed - resumed) / max(1, opened),
            "pss_mib": memory_mib(stage),
        }


async def _burst(stage: Stage, sender: str, domains: list[str], recipients: int) -> None:
    """A mass mailing: each message has recipients at several of the domains."""
    letter = _letter(sender, 1)
    connection = await smtp.SmtpClient.submit(stage.endpoints.submissions, stage.starttls, sender)
    for start in range(0, recipients, _PER_MESSAGE):
        count = min(_PER_MESSAGE, recipients - start)
        to = [f"r{start + at}@{domains[(start // _PER_MESSAGE + at) % len(domains)]}" for at in range(count)]
        await connection.send(_envelope(sender, to), count, letter)
    await connection.quit()


@contextlib.asynccontextmanager
async def _silence(port: int) -> AsyncIterator[None]:
    """A server that lets everybody in and says nothing."""

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            await reader.read()
        writer.close()

    server = await asyncio.start_server(hear, HOST, port)
    try:
        yield
    finally:
        server.close()


def _only_ours(stage: Stage) -> None:
    if not stage.endpoints.hung:
        raise RefusedError("this server has no domains of this scenario")


async def _fair(stage: Stage) -> Sample:
    _only_ours(stage)
    recipients = stage.scale.pick(50_000, 10_000)
    domains = [f"live{number}.test" for number in range(LIVE)]
    domains += [f"dead{number}.test" for number in range(DEAD)]
    domains += [f"hung{number}.test" for number in range(HUNG)]
    with _sink(stage) as sink:
        async with _silence(stage.endpoints.hung):
            await _submit(stage, CLIENTS, 1)
            await _until(sink, CLIENTS)
            used_s, started = accounting.tree_cpu_s(stage.root), time.perf_counter()
            await _burst(stage, SENDERS[0], domains, recipients)
            taken_s = time.perf_counter() - started
            other = await smtp.SmtpClient.submit(stage.endpoints.submissions, stage.starttls, SENDERS[1])
            delays_s = []
            # To a server of its own, and to one that the mailing crowds.
            for domain in ("sink.test", "live7.test"):
                sent_at, before = time.monotonic(), sink.urgent_at
                await other.send(_envelope(SENDERS[1], [f"urgent@{domain}"]), 1, _letter(SENDERS[1], 2))
                while sink.urgent_at == before and time.monotonic() < sent_at + _FAIR_LIMIT_S:  # noqa: ASYNC110
                    await asyncio.sleep(_POLL_S)
                delays_s.append(max(sink.urgent_at, sent_at) - sent_at if sink.urgent_at != before else _FAIR_LIMIT_S)
            await other.quit()
            waiting = recipients * LIVE // len(domains) * 95 // 100
            while sink.recipients < waiting:  # noqa: ASYNC110
                await asyncio.sleep(_POLL_S)
            out_s = time.perf_counter() - started
            used_s = accounting.tree_cpu_s(stage.root) - used_s
    return {
        "delay_s": max(delays_s),
        "taken_s": taken_s,
        "burst_per_s": waiting / out_s,
        "cpu_ms": used_s / recipients * 1000,
        "pss_mib": memory_mib(stage),
    }


async def _idle(stage: Stage) -> Sample:
    """Nobody reaches those servers: all of it waits for the next try, some minutes from now."""
    _only_ours(stage)
    recipients = stage.scale.pick(100_000, 20_000)
    with _sink(stage) as sink:
        await _submit(stage, CLIENTS * 4, 1)  # every process is warm
        await _until(sink, CLIENTS * 4)
    await asyncio.sleep(2.0)
    baseline = Baseline.of(stage.root)
    before = {stat.pid: accounting.pss_kib(stat.pid) for stat in accounting.descendants(stage.root)}
    await _burst(stage, SENDERS[2], [f"dead{number}.test" for number in range(DEAD)], recipients)
    await _quiet(stage)
    after_kib = accounting.tree_pss_kib(stage.root)
    grown = [accounting.pss_kib(pid) - kib for pid, kib in before.items()]
    observed_s = stage.scale.pick(30, 10)
    used_s = accounting.tree_cpu_s(stage.root)
    await asyncio.sleep(observed_s)
    used_s = accounting.tree_cpu_s(stage.root) - used_s
    return {
        "idle_cpu_ms_per_s": used_s / observed_s * 1000,
        "extra_mib": (after_kib - baseline.pss_kib) / 1024,
        "one_process_mib": max(grown) / 1024,
        "pss_mib": after_kib / 1024,
    }


async def _quiet(stage: Stage) -> None:
    """Until everything was tried and put off."""
    while True:
        used_s = accounting.tree_cpu_s(stage.root)
        await asyncio.sleep(2.0)
        if accounting.tree_cpu_s(stage.root) - used_s < 0.1:
            return


def _scenario(name: str, summary: str, relay: _Relay) -> Scenario:
    async def measure(stage: Stage) -> Sample:
        return await _relay(stage, relay)

    text = f"submission 4 KiB, TLS, AUTH, {CLIENTS} clients, {summary}; CPU per message"
    return Scenario(name, GROUP, text, measure)


GROUP = Group("relay")
FAIR_GROUP = Group("queue-fair")
IDLE_GROUP = Group("queue-idle")
SCENARIOS = (
    _scenario("relay-4k", "5 a connection, relayed over TLS", _Relay(5)),
    _scenario("relay-4k-1", "1 a connection, relayed over TLS", _Relay(1, full=2000, quick=600)),
    _scenario("relay-4k-fresh", "5 a connection, relayed over TLS to a server that takes 1 a connection", _Relay(5, 1)),
    Scenario(
        "queue-fair", FAIR_GROUP, "50,000 recipients of one sender, then single mails of another; their delay", _fair
    ),
    Scenario("queue-idle", IDLE_GROUP, "100,000 deferred recipients, nothing due: CPU and memory", _idle),
)
