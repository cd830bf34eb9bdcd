"""A long list, which any stranger may name as often as a transaction has recipients, with whatever tag."""

from collections.abc import Iterator

import pytest

from poterne.admin import people
from tests.support.attack_client import Target, target

MEMBERS = 1000
"""The most that an alias may have."""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A server of its own: what is queued here would be in the way of other attacks."""
    with target(tmp_path_factory.mktemp("lists") / "instance") as found:
        yield found


@pytest.fixture(scope="module")
def long_list(running: Target) -> bytes:
    store, acting = running.store._store, running.store._acting
    members = [f"m{number}@far.example" for number in range(MEMBERS)]
    running.store.call(people.add_alias(store, "long@peers.test", members, acting))
    return b"long"


def test_naming_a_long_list_again_and_again_holds_nobody_up(world: Target, long_list: bytes) -> None:
    with world.attacked() as watch:
        for spelled in (long_list, long_list.upper(), b"lOnG"):
            wire = world.smtp()
            assert wire.say(b"MAIL FROM:<a@b.example>").startswith(b"250")
            names = [b"RCPT TO:<%b+%d@peers.test>\r\n" % (spelled, number) for number in range(500)]
            wire.send(b"".join(names))
            answers = [wire.reply() for _ in names]
            assert {answer[:3] for answer in answers} == {b"250"}
            wire.close()
    assert watch.loop_cpu_s < 1.5, "1,500 recipients"


def test_they_are_still_written_to_once(world: Target, long_list: bytes) -> None:
    before = len(world.store.call(world.store._store.queued(limit=10_000)))
    wire = world.smtp()
    assert wire.say(b"MAIL FROM:<a@b.example>").startswith(b"250")
    for tag in (b"", b"+a", b"+b"):
        assert wire.say(b"RCPT TO:<%b%b@peers.test>" % (long_list, tag)).startswith(b"250")
    assert wire.say(b"DATA").startswith(b"354")
    assert wire.say(b"From: a@b.example\r\n\r\nx\r\n.").startswith(b"250")
    assert len(world.store.call(world.store._store.queued(limit=10_000))) - before == MEMBERS
