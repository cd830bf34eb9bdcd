"""Poterne as a system under test: set up in an empty folder, served on loopback."""

from collections.abc import Sequence
from pathlib import Path

from bench.sut import Endpoints, Tree, Unavailable


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

    def start(self, folder: Path, accounts: Sequence[str]) -> Endpoints:
        raise Unavailable("the command line has no serve yet")

    def stop(self) -> None:
        if self._tree is not None:
            self._tree.stop()
