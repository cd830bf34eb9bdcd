"""SEARCH, SORT and THREAD of the large mailbox, and SEARCH BODY with an index of texts where the server has one.

What must be found is known from the corpus: dates, senders and needles come at fixed numbers.
"""

import asyncio
import re
import time

from bench import accounting
from bench.corpus import BODY_NEEDLE, FIRST_DATE, PEOPLE_NUMBERED, SUBJECT_NEEDLE
from bench.imap import ImapClient
from bench.scenarios.base import Group, Sample, Scenario, Stage, Watch, memory_mib, repeat
from bench.scenarios.mailbox import GROUP, USER, fill, opened
from bench.wire import RefusedError

WORDS_USER = "words"
_NUMBERS = re.compile(rb"^\* (?:SEARCH|SORT)([ 0-9]*)\r\n", re.MULTILINE)
_THREADS = re.compile(rb"^\* THREAD([ 0-9()]*)\r\n", re.MULTILINE)
_DRAFT_EVERY = 10
_SENDER = 13
_SENT_DAY = (2023, 11, 15)
_INDEX_STARTS_S = 12.0


def _hits(stage: Stage, every: int, offset: int) -> int:
    return len(range(offset, stage.scale.mailbox_messages, every))


def _sent_that_day(stage: Stage) -> int:
    return sum(time.gmtime(FIRST_DATE + number * 60)[:3] == _SENT_DAY for number in range(stage.scale.mailbox_messages))


async def _found(client: ImapClient, command: bytes, expected: int) -> None:
    """Run the command and count what it gives."""
    answer = await client.ask(command)
    found = _NUMBERS.search(answer)
    if found is None or len(found.group(1).split()) != expected:
        raise RefusedError(answer[:200].decode("ascii", "replace"))


async def _threaded(client: ImapClient, command: bytes, expected: int) -> None:
    answer = await client.ask(command)
    found = _THREADS.search(answer)
    if found is None or len(set(re.findall(rb"\d+", found.group(1)))) != expected:
        raise RefusedError(answer[:200].decode("ascii", "replace"))


async def _measure(
    stage: Stage, command: bytes, expected: int, user: str = USER, *, warm: bool = True, for_s: float = 3.0
) -> Sample:
    client = await opened(stage, user)
    ask = _threaded if command.startswith(b"THREAD") else _found
    if warm:
        await ask(client, command, expected)
    watch = Watch(stage.root)
    done = await repeat(watch, lambda: ask(client, command, expected), at_least=1, at_most=300, for_s=for_s)
    memory = memory_mib(stage)
    await client.logout()
    return watch.sample(done) | {"pss_mib": memory}


def _needle(name: str, key: str, needle: str, every: int, offset: int, *, slow: bool = False) -> Scenario:
    async def measure(stage: Stage) -> Sample:
        command = f"SEARCH {key} {needle}".encode("ascii")
        # What takes seconds without an index needs no second look in a quick run.
        warm = not (slow and stage.scale.quick)
        return await _measure(stage, command, _hits(stage, every, offset), warm=warm, for_s=stage.scale.pick(3, 1))

    return Scenario(name, GROUP, f"SEARCH {key} in the whole mailbox; CPU per command", measure)


def _all(name: str, command: str) -> Scenario:
    async def measure(stage: Stage) -> Sample:
        return await _measure(
            stage, command.encode("ascii"), stage.scale.mailbox_messages, for_s=stage.scale.pick(3, 1)
        )

    return Scenario(name, GROUP, f"{command}; CPU per command over the whole mailbox", measure)


async def _flagged(stage: Stage) -> Sample:
    client = await opened(stage)
    numbers = range(1, stage.scale.mailbox_messages + 1, _DRAFT_EVERY)
    await client.skim(b"STORE " + b",".join([b"%d" % number for number in numbers]) + b" +FLAGS.SILENT (\\Draft)")
    await client.logout()
    return await _measure(stage, b"SEARCH DRAFT", len(numbers), for_s=stage.scale.pick(3, 1))


async def _sent_on(stage: Stage) -> Sample:
    year, _, day = _SENT_DAY
    command = b"SEARCH SENTON %d-Nov-%d" % (day, year)
    return await _measure(stage, command, _sent_that_day(stage), for_s=stage.scale.pick(3, 1))


async def _message_id(stage: Stage) -> Sample:
    command = b"SEARCH HEADER Message-ID <mixed-1042@example.net>"
    return await _measure(stage, command, 1, for_s=stage.scale.pick(3, 1))


async def _prepare_words(stage: Stage) -> None:
    """Fill, and wait until the index is complete: only then is the server still."""
    client = await ImapClient.open(stage.endpoints.imaps, stage.tls, WORDS_USER)
    await fill(client, b"INBOX", stage.scale.mailbox_messages, mean_bytes=stage.scale.mean_bytes)
    await client.logout()
    await asyncio.sleep(_INDEX_STARTS_S)
    still = 0
    while still < 3:
        used_s = accounting.tree_cpu_s(stage.root)
        await asyncio.sleep(2.0)
        still = still + 1 if accounting.tree_cpu_s(stage.root) - used_s < 0.1 else 0


WORDS_GROUP = Group("words", _prepare_words, indexed=True)


def _indexed(name: str, key: str) -> Scenario:
    async def measure(stage: Stage) -> Sample:
        command = f"SEARCH {key} {BODY_NEEDLE}".encode("ascii")
        expected = _hits(stage, 500, 7)
        return await _measure(
            stage, command, expected, WORDS_USER, warm=not stage.scale.quick, for_s=stage.scale.pick(3, 1)
        )

    return Scenario(
        name, WORDS_GROUP, f"SEARCH {key}, with an index where the server has one; CPU per command", measure
    )


SCENARIOS = (
    Scenario("search-flag", GROUP, "SEARCH DRAFT, every tenth message; CPU per command", _flagged),
    _all("search-since", "SEARCH SINCE 1-Jan-2020"),
    Scenario("search-senton", GROUP, "SEARCH SENTON, a day of seven; CPU per command", _sent_on),
    _needle("search-subject", "SUBJECT", SUBJECT_NEEDLE, 100, 3),
    _needle("search-from", "FROM", f"person{_SENDER}@example.net", PEOPLE_NUMBERED, _SENDER),
    Scenario("search-message-id", GROUP, "SEARCH HEADER Message-ID, one message; CPU per command", _message_id),
    _needle("search-body", "BODY", BODY_NEEDLE, 500, 7, slow=True),
    _all("sort-date", "SORT (REVERSE DATE) UTF-8 ALL"),
    _all("sort-arrival", "SORT (REVERSE ARRIVAL) UTF-8 ALL"),
    _all("sort-subject", "SORT (SUBJECT) UTF-8 ALL"),
    _all("thread-references", "THREAD REFERENCES UTF-8 ALL"),
)
WORDS_SCENARIOS = (_indexed("search-body-indexed", "BODY"), _indexed("search-text-indexed", "TEXT"))
