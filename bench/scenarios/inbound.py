"""Mail in over SMTP. The measured time ends when *every* message can be seen over IMAP, not when it was acknowledged."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from bench import smtp
from bench.corpus import plain_message
from bench.imap import ImapClient
from bench.scenarios.base import Group, Sample, Scenario, Stage, Watch, accounts, in_parallel, memory_mib
from bench.sut import DOMAIN

CLIENTS = 16
RECIPIENTS = accounts("in", 16)
_POLL_S = 0.02
DIFFERENT_MESSAGES = 64


@dataclass(frozen=True, slots=True)
class Flood:
    """One kind of inbound load."""

    size_bytes: int
    full: int
    quick: int
    recipients: int = 1
    per_connection: int = 20
    starttls: bool = False

    def targets(self) -> list[list[str]]:
        """The recipients of message after message, again and again."""
        count = len(RECIPIENTS)
        return [[RECIPIENTS[(at + step) % count] for step in range(self.recipients)] for at in range(count)]


async def wait_until_visible(viewers: Sequence[tuple[ImapClient, int]]) -> None:
    """Return when each mailbox has its number of messages. Asks one mailbox at a time, so that asking costs nearly nothing."""
    for viewer, expected in viewers:
        while await viewer.count() < expected:  # noqa: ASYNC110 - the event is in another process
            await asyncio.sleep(_POLL_S)


async def _flood(stage: Stage, flood: Flood) -> Sample:
    messages = [smtp.data(plain_message(flood.size_bytes, number)) for number in range(DIFFERENT_MESSAGES)]
    return await play(stage, flood, messages, [smtp.envelope(target) for target in flood.targets()])


async def play(
    stage: Stage,
    flood: Flood,
    messages: Sequence[bytes],
    openings: Sequence[bytes],
    connect: Callable[[], Awaitable[smtp.SmtpClient]] | None = None,
) -> Sample:
    """Send and wait until all can be seen. The opening of a message, and its targets, have its number.

    `connect`: as who, if not as anybody.
    """
    total = stage.scale.pick(flood.full, flood.quick)
    targets = flood.targets()
    viewers = [await ImapClient.open(stage.endpoints.imaps, stage.tls, name) for name in RECIPIENTS]
    expected = {name: await viewer.count() for name, viewer in zip(RECIPIENTS, viewers, strict=True)}
    for number in range(total):
        for name in targets[number % len(targets)]:
            expected[name] += 1
    watch = Watch(stage.root)
    left = iter(range(total))

    async def client(_number: int) -> None:
        while True:
            connection: smtp.SmtpClient | None = None
            for _ in range(flood.per_connection):
                if (number := next(left, None)) is None:
                    break
                if connection is None:
                    tls = stage.starttls if flood.starttls else None
                    opened = connect() if connect else smtp.SmtpClient.open(stage.endpoints.smtp, starttls=tls)
                    connection = await opened
                opening = openings[number % len(openings)]
                await watch.timed(connection.send(opening, flood.recipients, messages[number % len(messages)]))
            if connection is None:
                return
            await connection.quit()

    with watch.running():
        started = time.perf_counter()
        await in_parallel(CLIENTS, client)
        acknowledged_s = time.perf_counter() - started
        await wait_until_visible([(viewer, expected[name]) for name, viewer in zip(RECIPIENTS, viewers, strict=True)])
    for viewer in viewers:
        await viewer.logout()
    figures = watch.sample(total)
    figures["visible_per_s"] = figures.pop("per_s")
    return figures | {"acknowledged_per_s": total / acknowledged_s, "pss_mib": memory_mib(stage)}


def _scenario(name: str, summary: str, flood: Flood) -> Scenario:
    async def measure(stage: Stage) -> Sample:
        return await _flood(stage, flood)

    return Scenario(name, GROUP, f"{summary}, {CLIENTS} clients, to {DOMAIN}; CPU per message", measure)


GROUP = Group("inbound")
SCENARIOS = (
    _scenario("smtp-in-4k", "SMTP in, 4 KiB, 20 messages a connection", Flood(4096, full=3000, quick=800)),
    _scenario("smtp-in-64k", "SMTP in, 64 KiB, 20 messages a connection", Flood(65536, full=1500, quick=400)),
    _scenario("smtp-in-10rcpt", "SMTP in, 4 KiB to 10 recipients", Flood(4096, full=800, quick=200, recipients=10)),
    _scenario(
        "smtp-in-starttls",
        "SMTP in, 4 KiB, STARTTLS, one message a connection",
        Flood(4096, full=1500, quick=400, per_connection=1, starttls=True),
    ),
)
