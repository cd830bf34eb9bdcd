"""Reading hostile reports in a process of its own (`queue.report_child`), and what became of it."""

import asyncio
import contextlib
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from typing import Final, final

import msgspec

from poterne.mailauth.reports_in.outcome import Fault, Limits, Reading
from poterne.queue.report_child import FRAME, MIB, Order

CPU_S: Final = 3
ROWS_A_SECOND: Final = 10_000
"""On a slow machine; measured 20,000 to 40,000."""
MEMORY_MIB: Final = 160
"""Of address space, of which Python and its libraries take some 60; and for each octet of a report:"""
MEMORY_FACTOR: Final = 5
WALL_S: Final = 30.0
"""On a busy machine."""
ANSWER_MOST: Final = 64 * 1024 * 1024
PATH_VARIABLE: Final = "POTERNE_PATH"
START: Final = (
    "import sys,os;sys.path[:0]=os.environ.pop('POTERNE_PATH').split(os.pathsep);"
    "from poterne.queue import report_child as c;os.chdir('/');c.serve(sys.stdin.buffer,sys.stdout.buffer)"
)
"""`-c` with the path that this process has: it is the same installation, whatever variables say."""

RESOURCES: Final = Reading(faults=(Fault.RESOURCES,))


def command(code: str) -> list[str]:
    return [sys.executable, "-I", "-S", "-c", code]


def environment() -> dict[str, str]:
    """Nothing of ours but where to import from."""
    return {PATH_VARIABLE: os.pathsep.join(path for path in sys.path if path), "LC_ALL": "C.UTF-8"}


@final
class ReportProcess:
    """One process for one mail, or, of an administrator's own files, for many. `close` when done.

    A mail that breaks the process gives `Fault.RESOURCES`; the next one gets a new process.
    """

    def __init__(self, limits: Limits, now: int, *, whole_mail: bool = True) -> None:
        self._order: Final = Order(
            whole_mail=whole_mail,
            now=now,
            limits=limits,
            cpu_s=CPU_S + limits.rows // ROWS_A_SECOND,
            memory_mib=MEMORY_MIB + MEMORY_FACTOR * (limits.report_bytes // MIB),
        )
        self._process: Process | None = None

    async def read(self, octets: bytes) -> Reading:
        """Always gives a Reading. Raises OSError when no process can be started: nothing is known then."""
        if not octets:
            return Reading(faults=(Fault.NOTHING,))
        if len(octets) > self._order.limits.report_bytes:
            return Reading(faults=(Fault.TOO_LARGE,))
        process = self._process or await self._started()
        try:
            async with asyncio.timeout(WALL_S):
                return await self._asked(process, octets)
        except (TimeoutError, OSError, asyncio.IncompleteReadError, msgspec.MsgspecError, ValueError):
            await self.close()
            return RESOURCES
        except BaseException:
            await self.close()
            raise

    @property
    def pid(self) -> int | None:
        """Of the process that waits for the next mail."""
        return None if self._process is None else self._process.pid

    async def close(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()

    async def _started(self) -> Process:
        process = await asyncio.create_subprocess_exec(
            *command(START), stdin=PIPE, stdout=PIPE, stderr=DEVNULL, env=environment()
        )
        self._process = process
        self._write(process, msgspec.msgpack.encode(self._order))
        return process

    @staticmethod
    def _write(process: Process, octets: bytes) -> None:
        if process.stdin is None:
            raise OSError("no pipe")
        process.stdin.write(FRAME.pack(len(octets)))
        process.stdin.write(octets)

    async def _asked(self, process: Process, octets: bytes) -> Reading:
        self._write(process, octets)
        if process.stdin is None or process.stdout is None:
            raise OSError("no pipe")
        await process.stdin.drain()
        length = FRAME.unpack(await process.stdout.readexactly(FRAME.size))[0]
        if length > ANSWER_MOST:
            raise ValueError(length)
        return msgspec.msgpack.decode(await process.stdout.readexactly(length), type=Reading)
