"""Forwarding turned against others: rewritten senders (SRS) replayed by whoever saw one, lists reached by a side door.

Who receives forwarded mail knows a rewritten sender, and anybody may write to it with the null sender. All that may be good for is
some notices to whoever sent the mail.
"""

import itertools
import time
from collections.abc import Iterator

import pytest

from poterne.admin import people
from poterne.store.errors import NotFoundError
from poterne.values.directory import Posting
from tests.support.attack_client import Target, target
from tests.support.server import wait_for

_names = itertools.count(1)
NOTICE = b"From: MAILER-DAEMON@attacker.example\r\nSubject: not delivered\r\n\r\nbuy this\r\n."


class Office:
    """Addresses that forward, and what they leave in the queue."""

    def __init__(self, world: Target) -> None:
        self.world = world
        self.store = world.store._store
        self.acting = world.store._acting

    def forwarding(self, *, keeps: bool = False) -> str:
        """An account whose mail goes to somebody who can't be trusted."""
        address = self.world.account()
        target = f"x{next(_names)}@attacker.example"
        self.world.store.call(people.set_forwards(self.store, address, [target], self.acting, keeps=keeps))
        return address

    def list_of(self, *targets: str, posting: Posting = Posting.LOCAL, posters: tuple[str, ...] = ()) -> str:
        address = f"list{next(_names)}@peers.test"
        self.world.store.call(
            people.add_alias(self.store, address, targets, self.acting, posting=posting, posters=posters)
        )
        return address

    def send(self, sender: bytes, *recipients: bytes, text: bytes = NOTICE, source: str = "") -> bytes:
        """As a stranger. The first answer that is no, or that to the message."""
        wire = self.world.smtp(source=source)
        try:
            for line in (b"MAIL FROM:<%b>" % sender, *(b"RCPT TO:<%b>" % to for to in recipients), b"DATA"):
                if not (answer := wire.say(line)).startswith((b"250", b"354")):
                    return answer
            return wire.say(text)
        finally:
            wire.close()

    def rewritten(self, sender: bytes, via: str) -> bytes:
        """What the forward's receiver learns."""
        assert self.send(sender, via.encode()).startswith(b"250")
        (path,) = {
            row.message.reverse_path
            for row, _ in self.world.store.queued()
            if row.message.origin.name == via and row.forward_path.endswith("@attacker.example")
        }
        return path.encode()

    def has(self, address: str) -> bool:
        try:
            self.world.store.call(self.store.account(address))
        except NotFoundError:
            return False
        return True

    def queued_to(self, address: str) -> int:
        return sum(row.forward_path == address for row, _ in self.world.store.queued())


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A server of its own: what is queued here would be in the way of other attacks."""
    with target(tmp_path_factory.mktemp("forwards") / "instance") as found:
        yield found


@pytest.fixture
def office(world: Target) -> Office:
    return Office(world)


def test_a_rewritten_sender_is_no_way_to_send_what_one_likes(office: Office) -> None:
    """Replayed without end, from many addresses: a few notices go back, no more, whichever forward's path is used."""
    victim = f"victim{next(_names)}@victim.example"
    paths = [office.rewritten(victim.encode(), office.forwarding()) for _ in range(2)]
    answers = [office.send(b"", path, source=f"127.3.{n}.9") for n in range(20) for path in paths]
    assert answers[0].startswith(b"250"), "a bounce finds its way"
    assert office.queued_to(victim) <= 25, "and is no relay"
    assert answers[-1].startswith(b"450 4.7.1"), "later, for a notice may be real"


def test_one_notice_is_for_one_sender(office: Office) -> None:
    """A notice has one recipient (RFC 3464 §2): several in one transaction are no notice."""
    via = office.forwarding()
    first, second = (f"one{next(_names)}@victim.example" for _ in range(2))
    a = office.rewritten(first.encode(), via)
    b = office.rewritten(second.encode(), office.forwarding())
    assert office.send(b"", a, b).startswith(b"452")


@pytest.mark.parametrize("posting", [Posting.LOCAL, Posting.MEMBERS])
def test_a_rewritten_sender_is_no_way_into_a_list(office: Office, posting: Posting) -> None:
    """The forged sender of the forwarded mail is a list that strangers may not write to."""
    member = office.world.account()
    staff = office.list_of(member, posting=posting)
    assert office.send(b"a@attacker.example", staff.encode()).startswith(b"550 5.7.2"), "the front door"
    path = office.rewritten(staff.encode(), office.forwarding())
    assert office.send(b"", path).startswith(b"550 5.7.2")
    assert office.queued_to(staff) == 0
    assert office.world.inbox(member) == []


def test_a_hidden_sender_is_no_way_into_a_list(office: Office) -> None:
    """A sender without room in the rewritten path: what comes back is for whoever answers for the list, not for its members."""
    member = office.world.account()
    staff = office.list_of(member, "out@attacker.example", posting=Posting.ANYONE)
    path = office.rewritten(b"a" * 60 + b"@a-long-name.attacker.example", staff)
    assert path.startswith(b"SRS2=")
    before = len(office.world.inbox(member))
    office.send(b"", path)
    assert len(office.world.inbox(member)) == before


def test_a_rewritten_sender_of_ours_who_is_nobody_is_refused(office: Office) -> None:
    """In the dialogue: what can't be delivered is not accepted first."""
    path = office.rewritten(b"nobody-at-all@peers.test", office.forwarding())
    assert office.send(b"", path).startswith(b"550 5.1.1")


@pytest.mark.parametrize(
    "change",
    [
        lambda path: path.replace(b"=victim.example=", b"=other.example="),
        lambda path: path.replace(b"=v@", b"=w@"),
        lambda path: path[:5] + bytes([path[5] ^ 1]) + path[6:],
        lambda path: path.replace(b"@peers.test", b"@sub.peers.test"),
        lambda path: path.replace(b"SRS0=", b"SRS0+"),
        lambda path: path.replace(b"=v@", b"=%v@"),
        lambda path: b'"' + path.replace(b"@", b'\\@evil.example"@'),
        lambda path: b"SRS1=" + path[14:16] + path[5:13] + b"=victim.example==" + path[5:],
    ],
)
def test_a_changed_path_is_believed_in_nothing(office: Office, change: object) -> None:
    assert callable(change)
    path = office.rewritten(b"v@victim.example", office.forwarding())
    before = len(office.world.store.queued())
    assert office.send(b"", change(path)).startswith(b"5")
    assert len(office.world.store.queued()) == before


def test_a_path_with_a_sender_or_a_sign_in_goes_nowhere(office: Office) -> None:
    path = office.rewritten(b"w@victim.example", office.forwarding())
    assert office.send(b"a@attacker.example", path).startswith(b"550 5.7.1")
    wire = office.world.smtp("submissions", user=(user := office.world.account()))
    assert wire.say(b"MAIL FROM:<%b>" % user.encode()).startswith(b"250")
    assert wire.say(b"RCPT TO:<%b>" % path).startswith(b"550")
    wire.close()


def test_cased_and_quoted_paths_are_the_same_path(office: Office) -> None:
    """Hosts on the way change case; the count must not begin anew with each spelling."""
    victim = f"v{next(_names)}@victim.example"
    path = office.rewritten(victim.encode(), office.forwarding())
    local, _, domain = path.partition(b"@")
    for number in range(10):
        for spelled in (path, path.lower(), path.upper(), b'"' + local + b'"@' + domain):
            office.send(b"", spelled, source=f"127.4.{number}.9")
    found = sum(row.forward_path.lower() == victim.lower() for row, _ in office.world.store.queued())
    assert 1 <= found <= 25


def test_a_notice_that_can_t_go_back_is_told_to_nobody(office: Office) -> None:
    """The sender was invented, and leads nowhere at once: no mail of ours comes of it, not even to the postmaster."""
    world = office.world
    boss = world.account("postmaster") if not office.has("postmaster@peers.test") else "postmaster@peers.test"
    before = len(world.inbox(boss))
    log_at = world.log_size()
    paths = [office.rewritten(b"x%d@[10.1.2.%d]" % (n, n), office.forwarding()) for n in range(1, 6)]
    for path in paths:
        assert office.send(b"", path).startswith(b"250")
    wait_for(lambda: [line for line in world.log_since(log_at) if line["event"] == "message.failed"][4:])
    time.sleep(0.3)
    assert len(world.inbox(boss)) == before


def test_to_guess_a_path_costs_what_guessing_names_costs(office: Office) -> None:
    path = office.rewritten(b"guess@victim.example", office.forwarding())
    wire = office.world.smtp()
    assert wire.say(b"MAIL FROM:<>").startswith(b"250")
    guesses = [b"RCPT TO:<SRS0=%08d%b>" % (number, path[13:]) for number in range(22222222, 22222232)]
    answers = [wire.say(guess) for guess in guesses]
    assert [answer[:9] for answer in answers[:-1]] == [b"550 5.1.1"] * 9
    assert answers[-1].startswith(b"421")
    wire.close()
