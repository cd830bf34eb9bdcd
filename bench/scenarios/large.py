"""One very large message in and out: how much memory it takes beyond its place on disk.

Memory is held against a baseline from before the first large message: what a server took for one and kept is not forgotten.
"""

from bench import smtp
from bench.corpus import plain_message
from bench.imap import ImapClient
from bench.scenarios.base import Baseline, Group, PssSampler, Sample, Scenario, Stage, Watch, warm_logins
from bench.scenarios.inbound import wait_until_visible
from bench.wire import RefusedError

USER = "large"
_SIZE_BYTES = 50 * 1024 * 1024


async def _deliver(stage: Stage, message: bytes, watch: Watch) -> None:
    """Send one message over SMTP and wait until it can be seen."""
    viewer = await ImapClient.open(stage.endpoints.imaps, stage.tls, USER)
    expected = await viewer.count() + 1
    sender = await smtp.SmtpClient.open(stage.endpoints.smtp)
    with watch.running():
        await sender.send(smtp.envelope([USER]), 1, message)
        await wait_until_visible([(viewer, expected)])
    await sender.quit()
    await viewer.logout()


async def _fetch_last(stage: Stage, watch: Watch) -> int:
    """Octets of the answer to FETCH of the last message."""
    client = await ImapClient.open(stage.endpoints.imaps, stage.tls, USER)
    await client.select()
    with watch.running():
        seen = await client.skim(b"FETCH * (BODY.PEEK[])")
    await client.logout()
    return seen.size_bytes


async def _prepare(stage: Stage) -> None:
    await warm_logins(stage, [USER])
    for _ in range(4):
        await _deliver(stage, smtp.data(plain_message(4096)), Watch(stage.root))
        await _fetch_last(stage, Watch(stage.root))
    stage.memory = Baseline.of(stage.root)


def _sampler(stage: Stage) -> PssSampler:
    assert stage.memory is not None, "not prepared"
    return PssSampler(stage.root, stage.memory)


async def _in(stage: Stage) -> Sample:
    watch, sampler = Watch(stage.root), _sampler(stage)
    message = smtp.data(plain_message(_SIZE_BYTES))
    with sampler.running():
        await _deliver(stage, message, watch)
    return sampler.sample() | watch.sample(1)


async def _out(stage: Stage) -> Sample:
    if await _fetch_last(stage, Watch(stage.root)) < _SIZE_BYTES:
        await _deliver(stage, smtp.data(plain_message(_SIZE_BYTES)), Watch(stage.root))
    watch, sampler = Watch(stage.root), _sampler(stage)
    with sampler.running():
        size_bytes = await _fetch_last(stage, watch)
    if size_bytes < _SIZE_BYTES:
        raise RefusedError(f"{size_bytes} bytes")
    return sampler.sample() | watch.sample(1)


GROUP = Group("large", _prepare)
SCENARIOS = (
    Scenario("large-in", GROUP, "one message of 50 MiB over SMTP, until visible: extra memory, CPU", _in),
    Scenario("large-out", GROUP, "FETCH of one message of 50 MiB: extra memory, CPU", _out),
)
