"""The command line in processes of their own that begin warm: forked from one that has imported everything.

`python -m poterne` spends half a second of CPU on imports; a test of the server that makes an account does not test those.
"""

import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from multiprocessing.context import ForkServerContext
from pathlib import Path
from pkgutil import iter_modules

from poterne import cli


@cache
def _warm() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([f"poterne.cli.{found.name}" for found in iter_modules(cli.__path__)])
    return context


def _main(folder: str, cwd: str, environment: Mapping[str, str], arguments: Sequence[str]) -> None:
    """In the new process."""
    from poterne.cli.main import main

    signal.signal(signal.SIGINT, signal.default_int_handler)  # the server of forks ignores it
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    place = Path(folder)
    for number, (name, flags) in enumerate(
        (("in", os.O_RDONLY), ("out", os.O_WRONLY | os.O_CREAT), ("err", os.O_WRONLY | os.O_CREAT))
    ):
        opened = os.open(place / name, flags, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115  (multiprocessing had closed it)
    sys.argv = ["poterne", *arguments]
    main()


def command(
    arguments: Sequence[str], stdin: bytes = b"", *, timeout_s: float = 60.0
) -> "subprocess.CompletedProcess[str]":
    """Run it to its end; its status and what it wrote."""
    with tempfile.TemporaryDirectory(prefix="poterne-command-") as folder:
        place = Path(folder)
        (place / "in").write_bytes(stdin)
        process = _warm().Process(target=_main, args=(folder, str(Path.cwd()), dict(os.environ), list(arguments)))
        process.start()
        process.join(timeout_s)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(list(arguments), timeout_s)
        status = process.exitcode
        process.close()
        said = [(place / name).read_bytes().decode() if (place / name).exists() else "" for name in ("out", "err")]
    return subprocess.CompletedProcess(list(arguments), status, *said)
