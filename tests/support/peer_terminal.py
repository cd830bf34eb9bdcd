"""Runs a program that wants a terminal, in one, until it ends."""

import os
import pty
import select
import subprocess
import time
from collections.abc import Mapping, Sequence


def run_in_terminal(command: Sequence[str], environment: Mapping[str, str], limit_s: float = 20) -> str:
    """What it drew. Fails with that if it does not end in time or ends with a status other than 0."""
    ours, theirs = pty.openpty()
    settings = {**os.environ, "TERM": "vt100", "LC_ALL": "C.UTF-8", "LINES": "40", "COLUMNS": "120", **environment}
    drawn = bytearray()
    deadline = time.monotonic() + limit_s
    process = subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=settings, start_new_session=True
    )
    os.close(theirs)
    try:
        while time.monotonic() < deadline:
            if select.select([ours], [], [], 0.2)[0]:
                try:
                    drawn += os.read(ours, 65536)
                except OSError:  # the other side is closed
                    break
        text = drawn.decode(errors="replace")
        assert time.monotonic() < deadline, f"did not end in {limit_s} s; it drew:\n{text[-3000:]}"
        assert process.wait(5) == 0, text[-3000:]
        return text
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        os.close(ours)
