"""What senders and our own settings demand of TLS on the way out."""

from pathlib import Path
from typing import Any

import pytest

from poterne.message.dsn import Action, RecipientReport
from poterne.queue.bounce import Notices
from poterne.queue.domains import LocalDomains
from poterne.queue.routes import Routes
from poterne.values.ids import TraceId
from poterne.values.queue import NewQueued, NewRecipient
from tests.support.policy_world import (
    EXPIRED,
    GOOD,
    MX,
    NONE,
    STRANGER,
    WRONG,
    World,
    authority,
    context_of,
    secure,
    served,
    server_of,
    world,
)
from tests.support.queue_world import ALICE, LETTER
from tests.support.sink import EXTENSIONS, Sink
from tests.support.stores import blob

__all__ = ["authority", "world"]


@pytest.mark.parametrize(
    ("kind", "tls", "wanted"),
    [
        (NONE, {"cleartext": "refused"}, "deferred 4.7.4"),
        (EXPIRED, {"cleartext": "refused"}, "sent encrypted"),
        (GOOD, {"verified": ["d.test"]}, "deferred 4.7.5"),  # for mx.d.test, which nothing proves
        ("domain", {"verified": ["d.test"]}, "sent verified"),
        ("domain", {"verified": [".test"]}, "sent verified"),
        (GOOD, {"verified": [".d.test"]}, "sent encrypted"),
    ],
)
async def test_our_own_demands(world: World, tmp_path: Path, kind: str, tls: dict[str, Any], wanted: str) -> None:
    server = served(world.authority, "d.test") if kind == "domain" else server_of(kind, world.authority, tmp_path)
    with Sink(certificate=context_of(server)) as sink:
        world.zone(sink.port)
        assert await world.send(sink.port, **tls) == wanted


async def test_requiretls(world: World) -> None:
    with Sink(certificate=served(world.authority, MX).context, extensions=(*EXTENSIONS, "REQUIRETLS")) as sink:
        world.zone(sink.port)
        assert await world.send(sink.port, requiretls=True) == "failed 5.7.10"
        assert sink.connections == 0
        # A notice of such mail is not lost for it.
        assert await world.send(sink.port, requiretls=True, reverse_path="") == "sent encrypted"
        secure(world)
        world.resolver._cache._entries.clear()
        assert await world.send(sink.port, requiretls=True) == "sent verified"
        assert [taken.mail.endswith(" REQUIRETLS") for taken in sink.taken] == [True, True]


@pytest.mark.parametrize(
    ("policy", "kind", "tls", "wanted", "reported"),
    [
        ("enforce", NONE, {}, "sent clear", "sts 0/1 starttls-not-supported"),
        ("enforce", EXPIRED, {}, "sent encrypted", "sts 0/1 certificate-expired"),
        ("enforce", WRONG, {}, "sent encrypted", "sts 0/1 certificate-host-mismatch"),
        ("enforce", STRANGER, {}, "sent encrypted", "sts 0/1 certificate-not-trusted"),
        ("enforce", GOOD, {}, "sent verified", "sts 1/0"),
        ("dane", NONE, {}, "sent clear", "tlsa 0/1 starttls-not-supported"),
        ("dane", GOOD, {}, "sent encrypted", "tlsa 0/1 validation-failure"),
        # What our own settings demand stays.
        ("enforce", NONE, {"cleartext": "refused"}, "deferred 4.7.4", "sts 0/1 starttls-not-supported"),
        ("enforce", EXPIRED, {"cleartext": "refused"}, "sent encrypted", "sts 0/1 certificate-expired"),
        ("enforce", EXPIRED, {"verified": ["d.test"]}, "deferred 4.7.5", "sts 0/1 certificate-expired"),
    ],
)
async def test_a_sender_who_wants_it_to_arrive(
    world: World, tmp_path: Path, policy: str, kind: str, tls: dict[str, Any], wanted: str, reported: str
) -> None:
    """RFC 8689 §4.2.2: tried as the recipient's domain demands it, sent as it goes, and reported as it was."""
    with Sink(certificate=context_of(server_of(kind, world.authority, tmp_path))) as sink:
        lines = ['_mta-sts 60 IN TXT "v=STSv1; id=1"']
        if policy == "dane":
            secure(world)
            lines = [f"_PORT._tcp.mx 60 IN TLSA 3 1 1 {'ab' * 32}"]
        world.zone(sink.port, *lines)
        world.policy("enforce")
        assert await world.send(sink.port, tls_optional=True, **tls) == wanted
        assert await world.counted() == [reported]
        assert len(sink.taken) == wanted.startswith("sent")


async def test_switched_off(world: World) -> None:
    secure(world)
    with Sink() as sink:
        world.zone(sink.port, f"_PORT._tcp.mx 60 IN TLSA 3 1 1 {'ab' * 32}", '_mta-sts 60 IN TXT "v=STSv1; id=1"')
        world.policy("enforce")
        assert await world.send(sink.port, dane=False, mta_sts=False) == "sent clear"
        assert world.site.requests == []


@pytest.mark.parametrize(("requiretls", "tls_optional"), [(False, False), (True, False), (False, True)])
async def test_notices_are_guarded_as_the_message_was(world: World, requiretls: bool, tls_optional: bool) -> None:
    """RFC 8689 §5: REQUIRETLS again, and no more than header fields, whatever was asked for. And `TLS-Required: No` again."""
    store, now = world.post.store, int(world.post.clock.now)
    recipient = NewRecipient("b@d.test", "d.test")
    kept = await blob(store, LETTER + b"secret text\r\n")
    account, terms = world.post.account(), {"requiretls": requiretls, "tls_optional": tls_optional}
    new = NewQueued(account, TraceId("t"), ALICE, kept, (recipient,), now, ret="FULL", **terms)  # type: ignore[arg-type]
    await store.deliver([], [new], [])
    (queued,) = await store.queued()
    notices = Notices(
        store, "mail.example.org", "en", Routes({}, world.post.folder), LocalDomains(store, world.post.clock), 10_000
    )
    report = RecipientReport("b@d.test", Action.FAILED, "5.7.10", "550 5.7.10 no")
    (notice,) = await notices.about(queued.message, [report], [queued], now)
    assert (notice.requiretls, notice.tls_optional) == (requiretls, tls_optional)
    assert (b"secret text" in store.blobs.read(notice.blob)) is not requiretls
