"""What was answered 250 is there, and what was taken away is gone: corners in which mail could vanish, or a credential outlive itself."""

import itertools
import time

import pytest

from poterne.admin import people, senders
from poterne.admin.sender_scope import Wanted
from poterne.store.interface import QueueFilter
from poterne.values.queue import QueueChange
from poterne.values.secret import Secret
from poterne.values.sending import Incident, IncidentState, SendingLimits
from tests.support.attack_client import Target, plain
from tests.support.server import wait_for

_names = itertools.count(1)


def test_a_forward_in_a_circle_beside_a_full_mailbox(world: Target) -> None:
    """LMTP delivers each by itself then; who forwards and keeps nothing gets what came round again, as it says."""
    store, acting = world.store._store, world.store._acting
    forwarding, full = world.account(), world.account()
    call = world.store.call
    call(people.set_forwards(store, forwarding, ["x@elsewhere.example"], acting, keeps=False))
    account = call(store.account(full))
    call(store.set_account(account.id, acting.event("account.quota"), quota_bytes=1000))
    wire = world.open("lmtp")
    assert wire.say(b"LHLO front.example").startswith(b"250")
    assert wire.say(b"MAIL FROM:<a@b.example>").startswith(b"250")
    for recipient in (forwarding, full):
        assert wire.say(b"RCPT TO:<%b>" % recipient.encode()).startswith(b"250")
    assert wire.say(b"DATA").startswith(b"354")
    wire.send(
        b"Delivered-To: %b\r\nFrom: a@b.example\r\n\r\n%b\r\n.\r\n"
        % (forwarding.encode(), b"x" * 900 + b"\r\n" + b"y" * 900)
    )
    first, second = wire.reply(), wire.reply()
    assert second.startswith(b"452")
    assert len(world.inbox(forwarding)) == first.startswith(b"250"), "250 means that it is there"
    assert world.inbox(full) == []


@pytest.mark.parametrize("what", ["again", "revoked", "account"])
def test_a_script_s_session_ends_with_its_credential(world: Target, what: str) -> None:
    """Signed in while the name was another sender's: whoever has the name next is somebody else."""
    store, acting, call = world.store._store, world.store._acting, world.store.call
    owner, next_owner, name = world.account(), world.account(), f"shop{next(_names)}-{int(time.time())}"

    def make(of: str, password: str) -> None:
        wanted = Wanted(from_addresses=[of], recipients=["@peers.test"])
        call(senders.add_sender(store, name, of, wanted, acting, password=Secret(password)))
        call(senders.approve_sender(store, name, acting))

    make(owner, world.password)
    wire = world.smtp("submissions")
    assert wire.say(b"AUTH PLAIN " + plain(name, world.password)).startswith(b"235")
    assert wire.say(b"MAIL FROM:<%b>" % owner.encode()).startswith(b"250")
    assert wire.say(b"RSET").startswith(b"250")
    if what == "revoked":
        call(senders.revoke_sender(store, name, acting))
    else:
        call(people.remove_account(store, owner, acting))
    if what == "again":
        make(next_owner, "another horse, three carts & 4 wheels")
        assert wire.say(b"MAIL FROM:<%b>" % next_owner.encode()).startswith(b"550")
    else:
        assert wire.say(b"MAIL FROM:<%b>" % owner.encode()).startswith(b"550")
    wire.close()


def test_a_quoted_address_elsewhere_is_written_as_one(world: Target) -> None:
    """By way of the queue (its sender asks to hear of the delivery): else no server would understand it, and the mail be lost."""
    store, acting, call = world.store._store, world.store._acting, world.store.call
    ann, name = world.account(), f"odd{next(_names)}@peers.test"
    call(people.add_alias(store, name, ['"o p"@far.example', ann], acting))
    wire = world.smtp("submissions", user=ann)
    assert wire.say(b"MAIL FROM:<%b>" % ann.encode()).startswith(b"250")
    assert wire.say(b"RCPT TO:<%b> NOTIFY=SUCCESS" % name.encode()).startswith(b"250")
    assert wire.say(b"DATA").startswith(b"354")
    assert wire.say(b"From: <%b>\r\n\r\nx\r\n." % ann.encode()).startswith(b"250")
    wire.close()
    wait_for(lambda: world.inbox(ann))
    found = [row for row, _ in world.store.queued() if row.domain == "far.example"]
    call(store.change_queue(QueueFilter(domain="far.example"), QueueChange.REMOVE, int(time.time()), acting.event("x")))
    assert [row.forward_path for row in found] == ['"o p"@far.example']


def test_what_is_held_of_somebody_who_is_gone_is_not_the_next_one_s(world: Target) -> None:
    """A stolen account is removed and made anew: its new owner is not held for it, and the old mail still waits for a decision."""
    store, acting, call = world.store._store, world.store._acting, world.store.call
    name = f"next{next(_names)}"

    def send() -> bytes:
        wire = world.smtp("submissions", user=address)
        for line in (b"MAIL FROM:<%b>" % address.encode(), b"RCPT TO:<%b>" % address.encode(), b"DATA"):
            assert wire.say(line).startswith((b"250", b"354"))
        reply = wire.say(b"From: <%b>\r\n\r\nx\r\n." % address.encode())
        wire.close()
        return reply

    def incidents() -> list[Incident]:
        return [one for one in call(store.incidents()) if one.origin.name == address]

    for again in (False, True):
        address = world.account(name)
        assert b"held" not in send()
        call(people.set_limits(store, address, SendingLimits(1, 0, 0, 0), acting))
        assert b"held" in send()
        assert len(incidents()) == 1 + again
        call(people.remove_account(store, address, acting))
    address = world.account(name)
    assert b"held" not in send()
    for incident in incidents():
        assert incident.recipients == 1
        call(store.close_incident(incident.id, IncidentState.PURGED, acting.event("x")))
    assert incidents() == []
