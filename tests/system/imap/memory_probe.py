"""Run by test_idle_memory: serves IMAP and answers on stdin/stdout how much memory it holds.

python -m tests.system.imap.memory_probe FOLDER    prints the port; each line on stdin is answered with its RSS in bytes
"""

import gc
import os
import sys
from pathlib import Path

from tests.support.imap_world import World, message


def rss_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main(folder: Path) -> None:
    with World(folder) as world:
        world.deliver(*[message(f"number {number}") for number in range(20)])
        print(world.port, flush=True)  # noqa: T201
        for _ in sys.stdin:
            gc.collect()
            print(rss_bytes(), flush=True)  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]))
