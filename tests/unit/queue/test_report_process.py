"""The confined process: what it costs, what it may not do, and that no report outlives its limits."""

import asyncio
import io
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from poterne.mailauth.reports_in.outcome import Fault, Limits, Reading
from poterne.queue import report_child, report_process
from poterne.queue.report_process import RESOURCES, ReportProcess
from tests.unit.mailauth.reports_in.written import NOW, blown, gz, head, many, record, report

SECONDS = 2.0
KIB = 100 * 1024


async def measured(octets: bytes, limits: Limits | None = None) -> tuple[Reading, float, int]:
    """What was read; seconds of a processor and KiB of memory that it took, as the kernel counts them."""
    process = ReportProcess(limits or Limits(), NOW, whole_mail=False)
    try:
        reading = await process.read(octets)
        assert process.pid is not None, "it did not outlive its work"
        folder = Path(f"/proc/{process.pid}")
        ticks = (folder / "stat").read_text().rpartition(")")[2].split()[11:13]
        memory = int((folder / "status").read_text().split("VmHWM:")[1].split()[0])
        return reading, sum(map(int, ticks)) / 100, memory
    finally:
        await process.close()


@pytest.mark.parametrize(
    ("octets", "fault"),
    [
        pytest.param(lambda: blown(head(), bytes(1 << 20), 1024), Fault.SYNTAX, id="1 GiB of zeros"),
        pytest.param(lambda: blown(head(), b" " * (1 << 20), 1024), Fault.BOMB, id="1 GiB of spaces"),
        pytest.param(lambda: blown(head(), record() * 1000, 1000), None, id="10^6 records, alike"),
        pytest.param(lambda: blown(head(), b"<record/>" * 1000, 1000), None, id="10^6 empty records"),
        pytest.param(lambda: blown(head(), b"<a/>" * 10_000, 100), Fault.BOMB, id="10^6 elements"),
        pytest.param(lambda: gz(many(60_000)), None, id="60,000 records, different"),
        pytest.param(lambda: report(*[record(f"2001:db8::{i:x}").replace(b"s1", b"s" * 250) for i in range(12_000)]), None,
                     id="texts"),
        pytest.param(lambda: head() + b"<a>" * 3_000_000, Fault.DEPTH, id="depth"),
        pytest.param(lambda: head() + b'<a b="' + b"x" * 10_000_000, Fault.TOKEN, id="10 MB attribute"),
        pytest.param(lambda: head() + b"<a " + b" ".join(b'b%d=""' % i for i in range(60_000)) + b"/></feedback>", None,
                     id="60,000 attributes"),
        pytest.param(lambda: b"<!DOCTYPE f [<!ENTITY a 'aaaaaaaaaa'>" + b"".join(
            b"<!ENTITY a%d '%s'>" % (i, b"&a;" * 10) for i in range(1000)) + b"]><f>&a999;</f>", Fault.DTD, id="laughs"),
        pytest.param(lambda: b'{"x":' + b"[" * 8_000_000, Fault.DEPTH, id="JSON depth"),
        pytest.param(lambda: b'{"policies":[' + b"{}," * 3_000_000 + b"{}]}", Fault.TOO_LARGE, id="JSON objects"),
        pytest.param(lambda: b'{"report-id":"' + b"x" * 7_000_000 + b'"}', Fault.INCOMPLETE, id="JSON text"),
        pytest.param(lambda: b'{"report-id":' + b"9" * 7_000_000 + b"}", Fault.SYNTAX, id="JSON number"),
    ],
)  # fmt: skip
async def test_cost(octets: Callable[[], bytes], fault: Fault | None) -> None:
    given = octets()
    assert len(given) <= Limits().report_bytes
    reading, seconds, memory = await measured(given)
    assert reading.faults == ((fault,) if fault else ())
    assert bool(reading.dmarc) == (fault is None)
    assert seconds < SECONDS
    assert memory < KIB


async def test_many_in_one_process_and_after_a_broken_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_process, "MEMORY_FACTOR", 0)
    process = ReportProcess(Limits(), NOW, whole_mail=False)
    try:
        assert len((await process.read(report())).dmarc) == 1
        first = process.pid
        assert len((await process.read(report())).dmarc) == 1
        assert process.pid == first
        monkeypatch.setattr(report_process, "WALL_S", 0.0)
        assert await process.read(report()) == RESOURCES
        assert process.pid is None
        monkeypatch.setattr(report_process, "WALL_S", 30.0)
        assert len((await process.read(report())).dmarc) == 1
        assert process.pid != first
    finally:
        await process.close()
    await process.close()  # again is nothing


async def child_that(code: str) -> tuple[int, str]:
    """What a process does that gave up what the reader gives up, and then runs this."""
    start = report_process.START.partition("c.serve(")[0]
    order = "c.confine(c.Order(True,0,c.Limits(),1,160));"
    process = await asyncio.create_subprocess_exec(
        *report_process.command(f"{start}{order}\n{code}"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=report_process.environment(),
    )
    async with asyncio.timeout(20):
        _, stderr = await process.communicate()
    assert process.returncode is not None
    return process.returncode, stderr.decode()


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("open('/etc/hostname')", "Too many open files"),
        ("import socket; socket.socket()", "Too many open files"),
        ("os.pipe()", "Too many open files"),
        ("x = bytearray(300 << 20)", "MemoryError"),
        ("import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (99, 99))", "not allowed to raise maximum limit"),
    ],
)
async def test_what_it_may_not(code: str, says: str) -> None:
    status, stderr = await child_that(code)
    assert status == 1
    assert says in stderr


async def test_time_is_up() -> None:
    status, _ = await child_that("c._more_time(0)\nwhile True: pass")
    assert status == -24  # SIGXCPU


async def test_a_process_that_answers_nonsense(monkeypatch: pytest.MonkeyPatch) -> None:
    for code in (
        "",
        "sys.stdout.buffer.write(b'\\xff' * 9)",
        "sys.stdout.buffer.write(b'\\0\\0\\0\\1\\xc1')",
        "os._exit(3)",
    ):
        monkeypatch.setattr(report_process, "START", f"import sys,os\n{code}")
        process = ReportProcess(Limits(), NOW)
        assert await process.read(report()) == RESOURCES, code
        await process.close()


async def test_too_large_or_empty_costs_no_process() -> None:
    process = ReportProcess(Limits(report_bytes=10), NOW)
    assert (await process.read(b"x" * 11)).faults == (Fault.TOO_LARGE,)
    assert (await process.read(b"")).faults == (Fault.NOTHING,)
    assert process.pid is None


def test_serve_ends_with_its_input() -> None:
    """In this process, without confinement."""
    order = msgspec.msgpack.encode(report_child.Order(False, NOW, Limits(), 1, 100))
    letter = report()
    framed = b"".join(report_child.FRAME.pack(len(one)) + one for one in (order, letter, b"hello")) + b"\0\0"
    sink = io.BytesIO()
    report_child.serve(io.BytesIO(framed), sink, confined=lambda _: None, more_time=lambda _: None)
    written = sink.getvalue()
    length = report_child.FRAME.unpack(written[:4])[0]
    first = msgspec.msgpack.decode(written[4 : 4 + length], type=Reading)
    assert first.dmarc[0].organisation == "org.example"
    assert msgspec.msgpack.decode(written[8 + length :], type=Reading).faults == (Fault.NOTHING,)
