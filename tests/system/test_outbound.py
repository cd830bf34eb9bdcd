"""One attempt over a real socket: what goes right."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from poterne.queue.outcome import Delivered, TlsDemand
from tests.support.outbound import LETTER, Authority, Sender, hop, only, outcomes
from tests.support.sink import Sink


@pytest.fixture
async def sender(tmp_path: Path) -> AsyncIterator[Sender]:
    async with Sender(tmp_path / "store") as sender:
        yield sender


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


async def test_it_arrives(sender: Sender) -> None:
    with Sink() as sink:
        result = await sender.send(hop(sink.port), None, "b@example.net", "c@example.net")
        assert outcomes(result) == [Delivered("250 2.0.0 taken as 1", 250, "2.0.0")] * 2
        assert (result.failed_at, result.try_next, result.unsure, result.dsn) == (None, False, False, True)
        (taken,) = sink.taken
        assert taken.text == LETTER
        assert taken.rcpts == ["RCPT TO:<b@example.net>", "RCPT TO:<c@example.net>"]
        assert taken.mail == f"MAIL FROM:<a@example.org> SIZE={len(LETTER)}"


async def test_over_tls_and_again_on_the_same_connection(sender: Sender, authority: Authority) -> None:
    with Sink(certificate=authority.context("sink.test")) as sink:
        for terms in ({}, {"tls": TlsDemand.REQUIRED}, {"tls": TlsDemand.VERIFIED, "ca_file": authority.file}):
            for reused in (False, True):
                result = await sender.send(hop(sink.port, **terms))
                assert isinstance(only(result), Delivered)
                assert result.reused is reused
                assert result.tls.version == "TLSv1.3"
                assert result.tls.verified is ("ca_file" in terms)
                assert len(result.tls.certificate) == 64
        assert all(taken.tls for taken in sink.taken)
        assert (len(sink.taken), sink.connections) == (6, 3)
