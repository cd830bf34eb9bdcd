"""Runs the processes of one server as one tree, and ends all of it: `bench.reaper LOG PARENT GRACE JSON-LIST-OF-COMMANDS`.

It is the subreaper of everything below it (prctl(2)), so that a daemon which detaches keeps its place in the tree, and it
gets SIGTERM when its own parent dies, so that a killed benchmark leaves nothing behind. It ends when a command ends.
"""

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from bench.accounting import descendants

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def _become_subreaper(parent: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0 or libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
    if os.getppid() != parent:  # it died before the prctl
        sys.exit(1)


def _reap() -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0] != 0:
            pass


def _signal_all(number: int, pids: list[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _gone_within(limit_s: float) -> bool:
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        _reap()
        if not descendants(os.getpid()):
            return True
        time.sleep(0.02)
    return False


def _end(commands: list[int], grace_s: float) -> None:
    """Ask the commands to stop, then each process that is left, then kill."""
    _signal_all(signal.SIGTERM, commands)
    if not _gone_within(grace_s):
        _signal_all(signal.SIGTERM, [stat.pid for stat in descendants(os.getpid())])
        _gone_within(grace_s)
    while left := [stat.pid for stat in descendants(os.getpid())]:
        _signal_all(signal.SIGKILL, left)
        time.sleep(0.02)
        _reap()


class _Stopped(BaseException):
    pass


def _stop(_number: int, _frame: object) -> None:
    raise _Stopped


def main(arguments: list[str]) -> int:
    log_name, parent, grace, encoded = arguments
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole terminal; only the benchmark answers it
    signal.signal(signal.SIGTERM, _stop)
    started: list[int] = []
    status = 0
    try:
        _become_subreaper(int(parent))
        with Path(log_name).open("ab") as log:
            for command in json.loads(encoded):
                process = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
                )
                started.append(process.pid)
        while (ended := os.wait())[0] not in started:
            pass
        status = 1
        print(f"a command ended by itself: {ended}", file=sys.stderr)
    except _Stopped:
        pass
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        _end(started, float(grace))
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
