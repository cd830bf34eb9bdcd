"""Recipients of ours in the queue: into mailboxes, or on to where they forward, in the transaction that settles them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from poterne.values.ids import AccountId
from poterne.values.origin import Origin, OriginKind
from poterne.values.secret import Secret
from tests.support.queue_world import ALICE, LETTER, Post, here, post, settings
from tests.support.sink import Sink
from tests.support.stores import ALL, event

STRANGER = "stranger@elsewhere.test"
SYSTEM = Origin(OriginKind.SYSTEM, "")


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Post]:
    async with post(tmp_path) as made:
        yield made


async def add(office: Post, address: str, quota_bytes: int = 0) -> AccountId:
    return (await office.store.add_account(address, "", "en", Secret("$argon2id$x"), quota_bytes, (), event())).id


def srs(reverse_path: str, via: str, now: int, /, *, local: bool = False) -> str:
    if local:
        return reverse_path
    return f"SRS0={reverse_path.replace('@', '=')}@{via.partition('@')[2]}" if reverse_path else ""


async def test_released_mail_reaches_mailboxes_with_its_return_path(office: Post) -> None:
    first = f"Return-Path: <{ALICE}>\r\n".encode()
    bob = await add(office, "bob@example.org")
    office.start(settings())
    await office.queue("bob@example.org", ALICE, letter=first + LETTER, start=len(first))
    assert await office.rest() == []
    assert await office.letters(bob) == await office.letters() == [first + LETTER]
    assert {event.detail["to"] for event in await office.events("message.delivered")} == {"bob@example.org", ALICE}
    inbox = await office.store.mailbox(bob, "INBOX")
    (row,) = office.store.contents(bob, inbox.id, ALL)
    assert b'"hello"' in row.envelope


async def test_a_return_path_is_written_where_there_is_none(office: Post) -> None:
    office.start(settings())
    await office.queue(ALICE, origin=SYSTEM, reverse_path="")
    wrong = b"Return-Path: <forged@far.test>\r\n"
    await office.queue(ALICE, reverse_path=STRANGER, letter=wrong + LETTER, start=len(wrong))
    await office.rest()
    assert sorted(await office.letters()) == [
        b"Return-Path: <>\r\n" + LETTER,
        f"Return-Path: <{STRANGER}>\r\n".encode() + LETTER,
    ]


async def test_an_alias_gives_one_copy_to_each(office: Post) -> None:
    bob = await add(office, "bob@example.org")
    await office.store.add_alias("team@example.org", [ALICE, "bob@example.org"], event())
    office.start(settings())
    await office.queue("team@example.org", "alice+tag@example.org", "bob@example.org", origin=SYSTEM, reverse_path="")
    assert await office.rest() == []
    assert len(await office.letters(bob)) == len(await office.letters()) == 1


async def test_nobody_here(office: Post) -> None:
    office.start(settings())
    await office.queue("nobody@example.org")
    assert await office.rest() == []
    (notice,) = await office.letters()
    assert b"nobody@example.org" in notice
    assert b"5.1.1" in notice


async def test_a_full_mailbox_waits_and_the_others_do_not(office: Post) -> None:
    await add(office, "full@example.org", quota_bytes=10)
    office.start(settings())
    await office.queue("full@example.org", ALICE, origin=SYSTEM, reverse_path="")
    (waiting,) = await office.rest()
    assert (waiting.forward_path, waiting.last_reply, waiting.attempts) == (
        "full@example.org",
        "The mailbox is full",
        1,
    )
    assert len(await office.letters()) == 1
    await office.later(300)
    assert len(await office.letters()) == 1


async def test_a_forward_leaves_again_in_its_own_name(office: Post) -> None:
    await office.store.set_forwards(office.world.alice, ["alice@home.test"], keeps=True, event=event())
    with Sink() as sink:
        office.start(settings({"all": here("*", port=sink.port)}), rewrite=srs)
        first = f"Return-Path: <{STRANGER}>\r\n".encode()
        await office.queue(ALICE, origin=SYSTEM, reverse_path=STRANGER, letter=first + LETTER, start=len(first))
        assert await office.rest() == []
        assert await office.letters() == [first + LETTER]
        (taken,) = sink.taken
        assert taken.mail.startswith("MAIL FROM:<SRS0=stranger=elsewhere.test@example.org>")
        assert taken.rcpts == ["RCPT TO:<alice@home.test>"]
        assert taken.text == b"Delivered-To: alice@example.org\r\n" + LETTER
        (sent,) = await office.events("message.sent")
        assert sent.detail["origin"] == "forward:alice@example.org"


async def test_a_forward_that_goes_round_stays_with_whoever_forwards(office: Post) -> None:
    await office.store.set_forwards(office.world.alice, ["alice@home.test"], keeps=False, event=event())
    with Sink() as sink:
        office.start(settings({"all": here("*", port=sink.port)}), rewrite=srs)
        letter = b"Delivered-To: alice@example.org\r\n" + LETTER
        await office.queue(ALICE, origin=SYSTEM, reverse_path=STRANGER, letter=letter)
        await office.queue(ALICE, origin=Origin(OriginKind.FORWARD, ALICE), reverse_path=STRANGER)
        assert await office.rest() == []
        assert sink.taken == []
        first = f"Return-Path: <{STRANGER}>\r\n".encode()
        assert sorted(await office.letters()) == sorted([first + letter, first + LETTER])


async def test_a_second_forward_keeps_the_mark_of_the_first(office: Post) -> None:
    await office.store.set_forwards(office.world.alice, ["alice@home.test"], keeps=False, event=event())
    with Sink() as sink:
        office.start(settings({"all": here("*", port=sink.port)}), rewrite=srs)
        origin = Origin(OriginKind.FORWARD, "somebody@example.org")
        await office.queue(ALICE, origin=origin, reverse_path=STRANGER)
        assert await office.rest() == []
        (taken,) = sink.taken
        assert taken.text == b"Delivered-To: alice@example.org\r\nDelivered-To: somebody@example.org\r\n" + LETTER


async def test_a_list_that_goes_round_ends(office: Post) -> None:
    await office.store.add_alias("team@example.org", [], event(), forwards=["team@home.test"])
    with Sink() as sink:
        office.start(settings({"all": here("*", port=sink.port)}), rewrite=srs)
        letter = b"Delivered-To: team@example.org\r\n" + LETTER
        origin = Origin(OriginKind.FORWARD, "somebody@example.org")
        await office.queue("team@example.org", origin=origin, reverse_path=STRANGER, letter=letter)
        assert await office.rest() == []
        assert sink.taken == []
        (failed,) = await office.events("message.failed")
        assert (failed.reason, failed.detail["told"]) == ("5.4.6", False)


async def test_a_domain_that_was_taken_in_is_local_at_once(office: Post) -> None:
    """Mail that waited for a domain elsewhere is delivered here once the domain is ours."""
    with Sink({"RCPT": b"450 4.2.0 later\r\n"}) as sink:
        office.start(settings({"all": here("*", port=sink.port)}))
        await office.queue("ann@moving.test")
        await office.rest()
        await office.store.add_domain("moving.test", event())
        ann = await add(office, "ann@moving.test")
        assert await office.later(300) == []
        assert len(await office.letters(ann)) == 1
