"""One very large message in and out: how much memory it takes beyond its place on disk."""

from bench import smtp
from bench.accounting import PeakMemory
from bench.corpus import plain_message
from bench.imap import ImapClient
from bench.scenarios.base import Group, PssSampler, Sample, Scenario, Stage, Watch
from bench.scenarios.inbound import wait_until_visible
from bench.wire import RefusedError

SENT_TO, READ_FROM = "large0", "large1"
_SIZE_BYTES = 50 * 1024 * 1024


async def _deliver(stage: Stage, user: str, size_bytes: int) -> None:
    viewer = await ImapClient.open(stage.endpoints.imaps, stage.tls, user)
    expected = await viewer.count() + 1
    sender = await smtp.SmtpClient.open(stage.endpoints.smtp)
    await sender.send(smtp.envelope([user]), 1, smtp.data(plain_message(size_bytes)))
    await wait_until_visible([(viewer, expected)])
    await sender.quit()
    await viewer.logout()


async def _prepare(stage: Stage) -> None:
    await _deliver(stage, SENT_TO, 4096)
    await _deliver(stage, READ_FROM, _SIZE_BYTES)


async def _in(stage: Stage) -> Sample:
    message = smtp.data(plain_message(_SIZE_BYTES))
    viewer = await ImapClient.open(stage.endpoints.imaps, stage.tls, SENT_TO)
    expected = await viewer.count() + 1
    sender = await smtp.SmtpClient.open(stage.endpoints.smtp)
    watch, peak, sampler = Watch(stage.root), PeakMemory(stage.root), PssSampler(stage.root)
    sampler.start()
    try:
        with watch.running():
            await watch.timed(sender.send(smtp.envelope([SENT_TO]), 1, message))
            await wait_until_visible([(viewer, expected)])
    finally:
        extra_mib = sampler.stop()
    figures = {"extra_mib": extra_mib, "extra_rss_mib": peak.extra_kib() / 1024} | watch.sample(1)
    await sender.quit()
    await viewer.logout()
    return figures


async def _out(stage: Stage) -> Sample:
    client = await ImapClient.open(stage.endpoints.imaps, stage.tls, READ_FROM)
    await client.select()
    watch, peak, sampler = Watch(stage.root), PeakMemory(stage.root), PssSampler(stage.root)
    sampler.start()
    try:
        with watch.running():
            seen = await client.skim(b"FETCH 1 (BODY.PEEK[])")
    finally:
        extra_mib = sampler.stop()
    if seen.size_bytes < _SIZE_BYTES:
        raise RefusedError(f"{seen.size_bytes} bytes")
    figures = {"extra_mib": extra_mib, "extra_rss_mib": peak.extra_kib() / 1024} | watch.sample(1)
    await client.logout()
    return figures


GROUP = Group("large", _prepare)
SCENARIOS = (
    Scenario("large-in", GROUP, "one message of 50 MiB over SMTP: extra memory, CPU", _in),
    Scenario("large-out", GROUP, "FETCH of one message of 50 MiB: extra memory, CPU", _out),
)
