"""Behind an edge: what it found is not for the inbox is not sent on to somebody else's either."""

from collections.abc import Iterator

import pytest

from poterne.admin import people
from poterne.store.interface import Store
from poterne.values.ids import TraceId
from poterne.values.quarantine import Quarantined
from tests.support.edge import Node, mx, route
from tests.support.outside import queued
from tests.support.server import ADDRESS, DOMAIN, free_port, letter

ACTING = people.Acting("test", 1_790_000_000, TraceId("test"))
MOVER, TEAM, FAR = f"mover@{DOMAIN}", f"team@{DOMAIN}", "carol@far.test"


@pytest.fixture(scope="module")
def inner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    async def forwards(store: Store) -> None:
        await people.set_forwards(store, MOVER, [FAR], ACTING, keeps=False)
        await people.add_alias(store, TEAM, ["dan@far.test"], ACTING)

    listeners = {"mx": mx(port=free_port(), allow=[ADDRESS])}
    node = Node(
        tmp_path_factory.mktemp("inner"), "inner.test", "mailbox", listeners, accounts=[MOVER], domains=[DOMAIN],
        more=route("edge", free_port(), "*"),
    )  # fmt: skip
    node.with_store(forwards)
    node.start()
    yield node
    node.stop()


def brought(inner: Node, to: str, subject: str, *verdicts: str) -> int:
    """By the edge; the code of the answer."""
    message = letter(to, subject=subject)
    for verdict in verdicts:
        message["X-Poterne-Verdict"] = verdict
    with inner.stranger(source=ADDRESS) as client:
        client.docmd("MAIL FROM:<x@evil.test>")
        client.docmd(f"RCPT TO:<{to}>")
        return client.data(message.as_bytes().replace(b"\n", b"\r\n"))[0]


def leaving(inner: Node) -> set[str]:
    return {one.forward_path for one in queued(inner)}


def test_forged_mail_is_not_forwarded(inner: Node) -> None:
    """It stays with whose address it is; where that is nobody, it is refused."""
    assert brought(inner, MOVER, "kept", "quarantine") == 250
    assert brought(inner, MOVER, "junk", "junk") == 250
    assert brought(inner, TEAM, "refused", "quarantine") == 550
    assert leaving(inner) == set()
    kept: list[Quarantined] = inner.with_store(lambda store: store.quarantined())
    assert [one.subject for one in kept] == ["kept"]


def test_mail_for_the_inbox_is_forwarded(inner: Node) -> None:
    assert brought(inner, MOVER, "good") == 250
    assert leaving(inner) == {FAR}
