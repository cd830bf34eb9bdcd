from collections.abc import Iterator

import pytest

from tests.support.attack_client import Target, target
from tests.support.spoofers import World


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    with target(tmp_path_factory.mktemp("attacked") / "instance") as found:
        yield found


@pytest.fixture
def world(running: Target) -> Iterator[Target]:
    """One server for all attacks: what one of them leaves behind must not help the next."""
    yield running
    running.close_wires()


@pytest.fixture(scope="session")
def _spoofed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    world = World(tmp_path_factory.mktemp("spoofed"))
    yield world
    world.close()


@pytest.fixture
def spoofers(_spoofed: World) -> Iterator[World]:
    """Servers that verify. What must pass did, before, and does after: a world in which nothing passes would look secure."""
    yield _spoofed
    _spoofed.honest()
