from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.stores import ENGINES, Clock, Factory, World


@pytest.fixture(params=sorted(ENGINES))
def engine(request: pytest.FixtureRequest) -> Factory:
    name: str = request.param
    return ENGINES[name]


@pytest.fixture
async def world(engine: Factory, tmp_path: Path) -> AsyncIterator[World]:
    clock = Clock()
    made = World(engine(tmp_path / "data", clock), tmp_path / "data", clock)
    await made.settle()
    yield made
    assert await made.store.check() == []
    await made.store.close()
