"""One server for all of these tests; each test has accounts of its own on it."""

import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.peer_server import PeerServer, serve
from tests.support.peer_tools import NewAccount

EXPECTED_WARNINGS = {
    "auth.failed",
    "security.starttls-injection",
    "security.foreign-alpn",
    "dkim.unsigned",  # nobody publishes keys here
    "security.origin-hidden",  # all strangers come from loopback here
}
"""What these tests provoke; anything else that is loud is a trouble."""
_NUMBERS = itertools.count(1)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PeerServer]:
    with serve(tmp_path_factory.mktemp("peers") / "instance") as running:
        yield running
        assert running.store.check() == []
    lines = [json.loads(line) for line in running.log.read_text().splitlines()]
    loud = {line["event"] for line in lines if line["level"] != "info"}
    assert loud <= EXPECTED_WARNINGS, running.log.read_text()


@pytest.fixture
def new_account(server: PeerServer, request: pytest.FixtureRequest) -> NewAccount:
    test = re.sub(r"[^a-z0-9]+", "-", request.node.name.removeprefix("test_").lower())[:40].strip("-")
    module = Path(str(request.path)).stem.removeprefix("test_")

    def make(name: str = "") -> str:
        return server.store.add_account(f"{next(_NUMBERS)}.{module}.{test}{'.' if name else ''}{name}")

    return make


@pytest.fixture
def account(new_account: NewAccount) -> str:
    return new_account()
