"""Signed mail in over SMTP: SPF, DKIM and DMARC of every message, with DNS that has been asked before.

Before it counts, a server must refuse a forgery in the dialogue: a signed letter that was changed on the way, from a server that
may send for its envelope's domain, so that only DMARC tells. Afterwards each delivered message must say that all three passed.
"""

import asyncio
import re
import time
from collections.abc import Sequence

from bench import smtp
from bench.imap import ImapClient
from bench.scenarios.base import Group, Sample, Scenario, Stage
from bench.scenarios.inbound import CLIENTS, DIFFERENT_MESSAGES, RECIPIENTS, Flood, play
from bench.senders import FORGER, FORGERS_PEER, NAME, PEER, Senders
from bench.sut import DOMAIN
from bench.wire import RefusedError
from poterne.mailauth.dkim.record import KeyType

_SIZE_BYTES = 4096
_SAID = tuple(f"{check}=pass".encode() for check in ("spf", "dkim", "dmarc"))
_WARM = 8  # letters of each domain, before anything is measured
_WARM_LIMIT_S = 30.0
_FLAGS = re.compile(rb"^\* \d+ FETCH ", re.MULTILINE)


async def _prepare(stage: Stage) -> None:
    """All DNS has been asked by every process; and forgeries are refused."""
    senders = _senders(stage)
    seen = await ImapClient.open(stage.endpoints.imaps, stage.tls, RECIPIENTS[0])
    expected = await seen.count() + _WARM * 8
    for _ in range(_WARM):
        connection = await _honest(stage)
        for number in range(8):
            letter = smtp.data(senders.letter(number, _SIZE_BYTES, (KeyType.RSA, KeyType.ED25519)))
            await connection.send(senders.opening(number, RECIPIENTS[:1]), 1, letter)
        await connection.quit()
    ends_at = time.monotonic() + _WARM_LIMIT_S
    while await seen.count() < expected:
        if time.monotonic() > ends_at:
            raise RefusedError("honest mail was not delivered")
        await asyncio.sleep(0.05)
    await seen.logout()
    await _refused_forgery(stage, senders)


async def _refused_forgery(stage: Stage, senders: Senders) -> None:
    forged = senders.letter(0, _SIZE_BYTES, (KeyType.RSA,)).replace(b"invoice", b"INVOICE")
    connection = await smtp.SmtpClient.open(stage.endpoints.smtp, source=FORGERS_PEER, name=FORGER)
    try:
        await connection.send(smtp.envelope(RECIPIENTS[:1], f"x@{FORGER}"), 1, smtp.data(forged))
    except RefusedError as error:
        if str(error).startswith("5"):
            return
        raise
    finally:
        connection.close()
    raise RefusedError("a forgery was taken")


async def _honest(stage: Stage) -> smtp.SmtpClient:
    return await smtp.SmtpClient.open(stage.endpoints.smtp, source=PEER, name=NAME)


def _senders(stage: Stage) -> Senders:
    if stage.senders is None:
        raise RefusedError("nobody signs in this group")
    return stage.senders


async def _all_passed(stage: Stage, held: Sequence[int]) -> None:
    """Every message behind the first `held` ones of each mailbox says that it passed."""
    for name, before in zip(RECIPIENTS, held, strict=True):
        viewer = await ImapClient.open(stage.endpoints.imaps, stage.tls, name)
        now = await viewer.select()
        asked = f"FETCH {before + 1}:{now} BODY.PEEK[HEADER.FIELDS (Authentication-Results)]"
        answers = _FLAGS.split(await viewer.ask(asked.encode()))[1:]
        await viewer.logout()
        if len(answers) != now - before:
            raise RefusedError(f"{len(answers)} of {now - before} messages were fetched")
        for answer in answers:
            if not all(word in answer for word in _SAID):
                raise RefusedError(f"not all passed: {answer[:500]!r}")


def _scenario(name: str, summary: str, kinds: tuple[KeyType, ...]) -> Scenario:
    async def measure(stage: Stage) -> Sample:
        senders, flood = _senders(stage), Flood(_SIZE_BYTES, full=3000, quick=800)
        messages = [smtp.data(senders.letter(number, _SIZE_BYTES, kinds)) for number in range(DIFFERENT_MESSAGES)]
        targets = flood.targets()
        openings = [senders.opening(number, targets[number % len(targets)]) for number in range(DIFFERENT_MESSAGES)]
        held = []
        for recipient in RECIPIENTS:
            viewer = await ImapClient.open(stage.endpoints.imaps, stage.tls, recipient)
            held.append(await viewer.count())
            await viewer.logout()
        sample = await play(stage, flood, messages, openings, lambda: _honest(stage))
        await _all_passed(stage, held)
        return sample

    return Scenario(name, GROUP, f"{summary}, {CLIENTS} clients, to {DOMAIN}; CPU per message", measure)


GROUP = Group("signed", _prepare, verified=True)
SCENARIOS = (
    _scenario("smtp-in-signed", "SMTP in, 4 KiB, RSA signature, SPF + DKIM + DMARC", (KeyType.RSA,)),
    _scenario("smtp-in-signed-both", "the same, signed with RSA and with Ed25519", (KeyType.RSA, KeyType.ED25519)),
)
