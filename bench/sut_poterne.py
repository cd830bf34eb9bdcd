"""Poterne as a system under test: an instance in an empty folder, served on loopback as its users would serve it.

Started by root it runs as an account without privileges, as it must. The accounts are made through the same operations as
the command line's, but in one process: a hundred accounts are a hundred password hashes, so all share one verifier.
"""

import grp
import json
import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.sut import DOMAIN, Endpoints, Resolver, Tree, UnavailableError, free_ports

_USER, _GROUP = "nobody", "nogroup"
_RUN = "from poterne.cli.main import main; main()"
_SETUP_LIMIT_S = 60.0


class Poterne:
    """One instance with its own configuration, certificate and accounts."""

    def __init__(self) -> None:
        self._tree: Tree | None = None

    @property
    def name(self) -> str:
        return "poterne"

    @property
    def root(self) -> int:
        assert self._tree is not None, "not started"
        return self._tree.root

    def start(
        self, folder: Path, accounts: Sequence[str], resolver: Resolver | None, *, indexed: bool = False
    ) -> Endpoints:
        smtp, imaps, pop3s, guarded, submissions, sink, hung = free_ports(7)
        instance = folder / "instance"
        instance.mkdir()
        wrapper = _unprivileged(instance)
        wanted = json.dumps(
            {
                "folder": str(instance),
                "domain": DOMAIN,
                "accounts": list(accounts),
                "ports": {"mx": smtp, "imap": imaps, "pop3": pop3s, "submission": submissions},
                "guarded": guarded,
                "indexed": indexed,
                "routes": routes(sink, hung),
                "resolver": f"{resolver.address}:{resolver.port}" if resolver is not None else "",
            }
        )
        command = [*wrapper, sys.executable, "-m", "bench.provision_poterne"]
        done = subprocess.run(
            command, input=wanted, capture_output=True, text=True, timeout=_SETUP_LIMIT_S, check=False, cwd=_REPOSITORY
        )
        if done.returncode != 0:
            raise UnavailableError(f"poterne could not be set up:\n{done.stderr[-2000:]}")
        settings = done.stdout.strip()
        self._tree = Tree([[*wrapper, sys.executable, "-c", _RUN, "-c", settings, "serve"]], folder)
        self._tree.wait_for(smtp, (imaps, pop3s, submissions))
        return Endpoints(smtp, imaps, pop3s, guarded=guarded, submissions=submissions, sink=sink, hung=hung)

    def stop(self) -> None:
        if self._tree is not None:
            self._tree.stop()


LIVE, DEAD, HUNG = 40, 5, 3
"""How many domains there are at the sink beside `sink.test`, at a closed port, and at a server that says nothing."""
_CLOSED_PORT = 1


def routes(sink: int, hung: int) -> dict[str, tuple[str, int]]:
    """Domain and port of each: each domain is a destination of its own."""
    found = {"sink": ("sink.test", sink)}
    found |= {f"live{number}": (f"live{number}.test", sink) for number in range(LIVE)}
    found |= {f"dead{number}": (f"dead{number}.test", _CLOSED_PORT) for number in range(DEAD)}
    found |= {f"hung{number}": (f"hung{number}.test", hung) for number in range(HUNG)}
    return found


_REPOSITORY = Path(__file__).resolve().parent.parent


def _unprivileged(folder: Path) -> list[str]:
    """What to put before a command so that it runs as the unprivileged owner of `folder`; nothing if we are not root.

    An interpreter that lives below a closed home folder stays readable through one capability; it opens nothing for writing.
    """
    if os.geteuid() != 0:
        return []
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise UnavailableError("setpriv is missing; on Debian: apt-get install util-linux")
    os.chown(folder, pwd.getpwnam(_USER).pw_uid, grp.getgrnam(_GROUP).gr_gid)
    account = [f"--reuid={_USER}", f"--regid={_GROUP}", "--clear-groups"]
    return [setpriv, *account, "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search", "--"]
