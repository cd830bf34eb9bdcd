"""A mailbox emptied over POP3 inside TLS."""

from bench.imap import ImapClient
from bench.pop3 import Pop3Client
from bench.scenarios.base import Group, Sample, Scenario, Stage, Watch, memory_mib
from bench.scenarios.mailbox import fill
from bench.wire import RefusedError

USER = "pop"
_MESSAGES = 1000


async def _prepare(stage: Stage) -> None:
    client = await ImapClient.open(stage.endpoints.imaps, stage.tls, USER)
    await fill(client, b"INBOX", _MESSAGES, mean_bytes=stage.scale.mean_bytes, seed=2)
    await client.logout()


async def _retrieve_all(stage: Stage) -> None:
    client = await Pop3Client.open(stage.endpoints.pop3s, stage.tls, USER)
    if await client.count() != _MESSAGES:
        raise RefusedError("messages are missing")
    for number in range(1, _MESSAGES + 1):
        await client.retrieve(number)
    await client.quit()


async def _measure(stage: Stage) -> Sample:
    await _retrieve_all(stage)
    watch = Watch(stage.root)
    times = stage.scale.pick(5, 2)
    with watch.running():
        for _ in range(times):
            await watch.timed(_retrieve_all(stage))
    return watch.sample(times) | {"pss_mib": memory_mib(stage)}


SCENARIOS = (
    Scenario("pop3-1000", Group("pop3", _prepare), f"login, STAT, {_MESSAGES} RETR, QUIT; CPU for all of it", _measure),
)
