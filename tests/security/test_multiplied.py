"""A list that anyone may write to is no loudspeaker: what strangers' mail causes elsewhere is bounded, whoever they say they are."""

from collections.abc import Iterator

import pytest

from poterne.admin import people
from tests.support.attack_client import Target, target

MEMBERS, MOST = 10, 30


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """What is queued here would be in the way of other attacks."""
    with target(tmp_path_factory.mktemp("lists") / "instance", {"limits": {"copies_per_hour": MOST}}) as found:
        yield found


def lists(world: Target, name: str, *more: str) -> bytes:
    store, acting = world.store._store, world.store._acting
    members = [f"{name}{number}@far.example" for number in range(MEMBERS)]
    world.store.call(people.add_alias(store, f"{name}@peers.test", [*members, *more], acting))
    return name.encode() + b"@peers.test"


def send(world: Target, sender: bytes, *to: bytes, source: str = "", user: str = "") -> bytes:
    wire = world.smtp("submissions", user=user) if user else world.smtp(source=source)
    try:
        for line in (b"MAIL FROM:<%b>" % sender, *(b"RCPT TO:<%b>" % one for one in to), b"DATA"):
            assert wire.say(line).startswith((b"250", b"354"))
        return wire.say(b"From: <%b>\r\n\r\nbuy\r\n." % (sender or b"x@y.example"))
    finally:
        wire.close()


def copies(world: Target, name: str) -> int:
    return sum(row.forward_path.startswith(name) for row, _ in world.store.queued())


def test_many_senders_from_many_addresses_and_with_many_tags(world: Target) -> None:
    lists(world, "loud")
    said = [send(world, b"a%d@spam.example" % n, b"loud+%d@peers.test" % n, source=f"127.9.{n}.1") for n in range(10)]
    assert [answer[:3] for answer in said] == [b"250"] * 3 + [b"451"] * 7
    assert copies(world, "loud") == MOST


def test_one_list_s_share_is_not_another_s_and_people_of_ours_are_not_counted(world: Target) -> None:
    lists(world, "first")
    lists(world, "second")
    for n in range(4):
        send(world, b"a%d@spam.example" % n, b"first@peers.test")
    assert send(world, b"honest@b.example", b"second@peers.test").startswith(b"250")
    assert send(world, b"", b"first@peers.test").startswith(b"451"), "the null sender too"
    ann = world.account()
    assert send(world, ann.encode(), b"first@peers.test", user=ann).startswith(b"250")


def test_one_message_to_more_than_the_bound_still_passes(world: Target) -> None:
    """Else nobody could ever write there."""
    lists(world, "vast", *(f"vast-{number}@far.example" for number in range(MOST)))
    assert send(world, b"a@b.example", b"vast@peers.test").startswith(b"250")
    assert send(world, b"c@d.example", b"vast@peers.test").startswith(b"451")
    assert copies(world, "vast") == MEMBERS + MOST


def test_a_forward_keeps_what_it_does_not_send_on(world: Target) -> None:
    store, acting = world.store._store, world.store._acting
    ann = world.account()
    world.store.call(people.set_forwards(store, ann, ["keeper@far.example"], acting, keeps=False))
    for n in range(MOST + 5):
        assert send(world, b"a%d@spam.example" % n, ann.encode(), source="127.9.99.1").startswith(b"250")
    assert copies(world, "keeper") == MOST
    assert len(world.inbox(ann)) == 5
