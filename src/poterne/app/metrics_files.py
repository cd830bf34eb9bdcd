"""The files in which the processes of a server count, and which the metrics page adds up.

Theory of operation. A file is shared by `mmap` and belongs to a *place* (a slot of the supervisor and a letter), not to a
process: who comes next at a place counts on from there, so that counters survive a restart and the number of files is bounded.
Gauges end with their process. The files are allocated before use: writing to a mapped hole of a full disk would kill the process.
"""

import os
from pathlib import Path
from typing import Final

FOLDER_VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"
FILE_BYTES: Final = 256 * 1024
"""Room for some 1,500 series of one process; the files would grow by themselves, but with holes."""


def _allocate(path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if os.fstat(descriptor).st_size < FILE_BYTES:
            os.posix_fallocate(descriptor, 0, FILE_BYTES)
    finally:
        os.close(descriptor)


def make_place(folder: Path, place: str) -> None:
    """Room for the files of a process that is about to start. Raises OSError."""
    _allocate(folder / f"counter_{place}.db")
    _allocate(folder / f"gauge_livesum_{place}.db")


def forget(folder: Path, place: str) -> None:
    """The process at a place is gone: its gauges no longer count, its counters do."""
    (folder / f"gauge_livesum_{place}.db").unlink(missing_ok=True)


def empty(folder: Path) -> None:
    """A new server begins to count at zero. Raises OSError."""
    folder.mkdir(mode=0o700, exist_ok=True)
    for old in folder.glob("*.db"):
        old.unlink(missing_ok=True)
