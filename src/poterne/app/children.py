"""What a child process runs: the steward or a worker, in its own event loop."""

import sys

from poterne.app.context import Child, Role
from poterne.app.steward import keep
from poterne.app.supervisor import EXIT_START
from poterne.app.worker import work
from poterne.net.loops import run
from poterne.net.tls import CertificateError
from poterne.observe import configure, logger
from poterne.store.errors import StoreError

LOOPS = {"auto": None, "uvloop": True, "asyncio": False}


def main(child: Child) -> int:
    """Run the child to its end; gives the exit status. What the administrator can mend is said in words, without a trace."""
    configure(child.settings.log.level, child.settings.log.format, child.name)
    task = keep(child) if child.role is Role.STEWARD else work(child)
    try:
        return run(task, use_uvloop=LOOPS[child.settings.server.loop])
    except (StoreError, CertificateError, OSError) as error:
        logger().error("process.failed", problem=str(error))
        sys.stderr.write(f"poterne: {error}\n")
        return EXIT_START
