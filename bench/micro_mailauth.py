"""What finding out who a message is from costs, in one process: `python -m bench.micro_mailauth`. Takes some ten seconds.

Best CPU of many rounds, with names that the resolver's cache already holds, so that no packet is sent. SPF and DMARC are the
evaluations as a server makes them for each message; a DKIM signature is read, its 4 KiB hashed, and verified.
"""

import asyncio
import base64
import random
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from bench import names
from bench.corpus import plain_message
from bench.senders import PEER, Senders
from poterne.config.dns import Dns
from poterne.mailauth.dkim.canonical import BodyHashes, Canonical
from poterne.mailauth.dkim.record import KeyType
from poterne.mailauth.dkim.verify import Verifier
from poterne.mailauth.dmarc.check import judge
from poterne.mailauth.dmarc.discover import discover
from poterne.mailauth.spf.check import check_host, mail_from
from poterne.message.header import index
from poterne.net.dns.resolver import StubResolver
from poterne.observe import logger
from poterne.session.smtp.asking import Asking
from poterne.values.address import Address
from poterne.values.dns import Answer

_BODY_BYTES = 7 << 20
_CHUNK_BYTES = 64 * 1024
_SIZE_BYTES = 4096
BODY_GOAL_MS, EVALUATION_GOAL_US = 10.0, 100.0


def base64_body(size_bytes: int) -> bytes:
    """As an attachment has it."""
    lines = base64.encodebytes(random.Random(1).randbytes(size_bytes * 3 // 4)).replace(b"\n", b"\r\n")
    return lines[: size_bytes - 2] + b"\r\n"


def dense_text(size_bytes: int) -> bytes:
    """Lines of words with a space between each two, that don't repeat: a processor learns what repeats."""
    chosen, words = random.Random(2), plain_message(2_000).split()[-200:]
    lines = [b" ".join(chosen.choices(words, k=9)) for _ in range(size_bytes // 50)]
    return b"\r\n".join(lines)[: size_bytes - 2].rstrip() + b"\r\n"


def _hash_body(body: bytes) -> None:
    hashes = BodyHashes([(Canonical.RELAXED, None)])
    for at in range(0, len(body), _CHUNK_BYTES):
        hashes.feed(body[at : at + _CHUNK_BYTES])
    hashes.finish()


def _best_s(work: Callable[[], object], times: int, rounds: int = 15) -> float:
    """CPU seconds of one, in the best of the rounds: what else runs here only makes it longer."""
    best = float("inf")
    for _ in range(rounds):
        began = time.process_time()
        for _ in range(times):
            work()
        best = min(best, (time.process_time() - began) / times)
    return best


def _line(label: str, value: float, unit: str, goal: float | None = None) -> None:
    verdict = "" if goal is None else f"  goal < {goal:g}: {'reached' if value < goal else 'MISSED'}"
    print(f"{label:44} {value:8.1f} {unit}{verdict}")


async def _run(folder: Path) -> None:
    for label, body in (("base64", base64_body(_BODY_BYTES)), ("dense text", dense_text(_BODY_BYTES))):
        _line(f"body hash, 7 MiB of {label}, relaxed", _best_s(partial(_hash_body, body), 1) * 1e3, "ms", BODY_GOAL_MS)
    senders = Senders()
    with names.served(senders.zones(), folder) as where:
        resolver = StubResolver(Dns(servers=[f"{where.address}:{where.port}"]), logger())
        try:
            await _evaluations(senders, resolver)
        finally:
            resolver.close()


async def _evaluations(senders: Senders, resolver: StubResolver) -> None:
    author = senders.author(0)
    domain = author.rpartition("@")[2]
    claim = mail_from(PEER, Address.parse(author), domain, receiver="mx.bench.test")
    spf = await Asking(check_host(claim), resolver).result()
    found = await Asking(discover(domain), resolver).result()

    def evaluate_spf() -> None:
        Asking(check_host(claim), resolver)

    def evaluate_dmarc() -> None:
        Asking(judge(found, (spf,), ()), resolver)
        Asking(discover(domain), resolver)

    _line("SPF, one record, names known", _best_s(evaluate_spf, 500) * 1e6, "us", EVALUATION_GOAL_US)
    _line("DMARC, discovery and alignment, names known", _best_s(evaluate_dmarc, 500) * 1e6, "us", EVALUATION_GOAL_US)
    for kind in KeyType:
        message = senders.letter(0, _SIZE_BYTES, (kind,))
        header, now_s = index(message), int(time.time())
        answers = {name: await resolver.txt(name) for name in Verifier(header, now_s).names}
        cost_s = _best_s(partial(_verify, message, now_s, answers), 100)
        _line(f"DKIM, {kind.algorithm}, 4 KiB, with its header", cost_s * 1e6, "us")


def _verify(message: bytes, now_s: int, answers: Mapping[str, Answer[bytes]]) -> None:
    header = index(message)
    verifier = Verifier(header, now_s)
    verifier.feed(message[header.end :])
    verifier.finish(answers)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        asyncio.run(_run(Path(scratch)))
