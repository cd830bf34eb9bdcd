"""CPU time and memory of a whole server, however many processes it is made of.

Method. A server is everything below its *root*, a small launcher that declares itself the subreaper of its descendants
(`reaper.py`): daemons that detach stay in the tree. CPU is the sum, over the live tree, of each process's own CPU clock
(nanoseconds, threads included, those that ended too) and of what its reaped children used (`cutime + cstime` of
`/proc/PID/stat`, which contains their own reaped children). A process that exits moves from the first term to the second
of its parent, so nothing is lost; the only rounding is one clock tick per parent. The root itself is not counted, its
children are. Memory is PSS from `/proc/PID/smaps_rollup`: pages shared by several processes count once.
"""

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")
_CPUCLOCK_SCHED = 2  # include/linux/posix-timers_types.h: the low bits of a per-process clock id
# Fields of /proc/PID/stat counted after the closing parenthesis of the command (proc(5)).
_PPID, _UTIME, _STIME, _CUTIME, _CSTIME = 1, 11, 12, 13, 14


@dataclass(frozen=True, slots=True)
class ProcessStat:
    """The fields of one `/proc/PID/stat` that accounting needs."""

    pid: int
    ppid: int
    own_ticks: int
    children_ticks: int


def parse_stat(text: str) -> ProcessStat:
    """What one line of `/proc/PID/stat` says. The command name may hold spaces and parentheses."""
    before, _, after = text.rpartition(")")
    fields = after.split()
    return ProcessStat(
        pid=int(before.split(" ", 1)[0]),
        ppid=int(fields[_PPID]),
        own_ticks=int(fields[_UTIME]) + int(fields[_STIME]),
        children_ticks=int(fields[_CUTIME]) + int(fields[_CSTIME]),
    )


def _read_stat(pid: int) -> ProcessStat | None:
    try:
        return parse_stat(Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return None


def _all_stats() -> Iterator[ProcessStat]:
    for entry in _PROC.iterdir():
        if entry.name.isdigit() and (stat := _read_stat(int(entry.name))) is not None:
            yield stat


def descendants(root: int) -> list[ProcessStat]:
    """Every live process below `root`, parents before children; `root` itself is left out."""
    children: dict[int, list[ProcessStat]] = {}
    for stat in _all_stats():
        children.setdefault(stat.ppid, []).append(stat)
    found: list[ProcessStat] = []
    pending = [root]
    while pending:
        below = children.get(pending.pop(), [])
        found.extend(below)
        pending.extend(stat.pid for stat in below)
    return found


def _own_cpu_s(stat: ProcessStat) -> float:
    with contextlib.suppress(OSError):
        return time.clock_gettime((~stat.pid << 3) | _CPUCLOCK_SCHED)
    return stat.own_ticks / _TICKS_PER_S  # it ended just now: a zombie still has its ticks


def tree_cpu_s(root: int) -> float:
    """CPU seconds used so far by everything below `root`, including what has exited."""
    total = sum(_own_cpu_s(stat) + stat.children_ticks / _TICKS_PER_S for stat in descendants(root))
    own = _read_stat(root)
    return total + (own.children_ticks / _TICKS_PER_S if own is not None else 0.0)


def pss_kib(pid: int) -> int:
    try:
        with Path(f"/proc/{pid}/smaps_rollup").open(encoding="ascii") as lines:
            for line in lines:
                if line.startswith("Pss:"):
                    return int(line.split()[1])
    except OSError:
        pass
    return 0


def tree_pss_kib(root: int) -> int:
    """Memory of the tree in KiB, pages shared between processes counted once."""
    return sum(pss_kib(stat.pid) for stat in descendants(root))


def _status_kib(pid: int, field: str) -> int:
    try:
        with Path(f"/proc/{pid}/status").open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                if line.startswith(field):
                    return int(line.split()[1])
    except OSError:
        pass
    return 0


class PeakMemory:
    """How far each process of a tree rises above where it was when this was made, by the kernel's own high-water mark.

    Writing 5 to `/proc/PID/clear_refs` sets the mark back to the present size (proc(5)). A process that starts in
    between counts from zero; a process that ends in between is not seen.
    """

    __slots__ = ("_before", "_root")

    def __init__(self, root: int) -> None:
        self._root = root
        self._before = {stat.pid: _status_kib(stat.pid, "VmRSS:") for stat in descendants(root)}
        self.restart()

    def restart(self) -> None:
        """Forget the peaks so far; what they are compared with stays."""
        for stat in descendants(self._root):
            with contextlib.suppress(OSError):
                Path(f"/proc/{stat.pid}/clear_refs").write_text("5", encoding="ascii")

    def extra_kib(self) -> int:
        """The sum, over the processes that live now, of peak minus size at the start."""
        total = 0
        for stat in descendants(self._root):
            total += max(0, _status_kib(stat.pid, "VmHWM:") - self._before.get(stat.pid, 0))
        return total
