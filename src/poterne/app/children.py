"""What a child process runs: the steward or a worker, in its own event loop."""

from poterne.app.context import EXIT_START, Child, Role
from poterne.app.steward import keep
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
        return EXIT_START
    except Exception as error:  # noqa: BLE001  (a bug: its trace goes where all lines go, and the process ends)
        logger().error("bug", exc_info=error)
        return EXIT_BUG


EXIT_BUG = 1
