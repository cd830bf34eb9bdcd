from collections.abc import Iterator

import pytest

from tests.support.attack_client import Target, target


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    with target(tmp_path_factory.mktemp("attacked") / "instance") as found:
        yield found


@pytest.fixture
def world(running: Target) -> Iterator[Target]:
    """One server for all attacks: what one of them leaves behind must not help the next."""
    yield running
    running.close_wires()
