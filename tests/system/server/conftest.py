import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.server import Instance


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """One server for a module: two workers, metrics, JSON logs."""
    instance = Instance(tmp_path_factory.mktemp("server") / "instance")
    instance.start()
    yield instance
    assert instance.stop() == 0
    assert not instance.events("bug")


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Instance]:
    """An instance for one test, not started yet."""
    instance = Instance(tmp_path / "instance")
    yield instance
    if instance.process is not None and instance.process.poll() is None:
        instance.signal(signal.SIGTERM)
        instance.wait()
