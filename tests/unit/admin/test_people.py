"""Domains, accounts, aliases: what works, and the text of every refusal. With a real store."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from poterne.admin import people
from poterne.admin.passwords import verify
from poterne.admin.people import Acting, AdminError
from poterne.store.interface import Store
from poterne.store.sqlite.engine import open_store
from poterne.values.directory import Posting
from poterne.values.ids import TraceId
from poterne.values.secret import Secret
from poterne.values.sending import SendingLimits

ACTING = Acting("cli:tester", 1_700_000_000, TraceId("t1"))
GOOD = Secret("long enough word")


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = open_store(tmp_path / "data")
    await people.add_domain(opened, "example.org", ACTING)
    yield opened
    await opened.close()


async def test_a_domain_is_kept_as_lower_case_a_labels(store: Store) -> None:
    assert await people.add_domain(store, " Écluse.EXAMPLE ", ACTING) == "xn--cluse-9ra.example"
    assert {d.name for d in await people.domains(store)} == {"example.org", "xn--cluse-9ra.example"}
    await people.remove_domain(store, "écluse.example", ACTING)
    assert [d.name for d in await people.domains(store)] == ["example.org"]
    kinds = [(e.kind, e.reason, e.trace_id) for e in await store.events()]
    assert ("domain.removed", "cli:tester", "t1") in kinds


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("example.org", "the domain example.org is served already"),
        ("localhost", '"localhost" is not a full domain: write it as example.org'),
        ("a b", '"a b" is not a domain'),
        ("[192.0.2.1]", "is not a full domain"),
        ("", "is not a domain"),
        ("-x.org", "is not a domain"),
        ("a@b.org", "is not a domain"),
    ],
)
async def test_domains_that_cannot_be_added(store: Store, name: str, text: str) -> None:
    with pytest.raises(AdminError) as caught:
        await people.add_domain(store, name, ACTING)
    assert text in str(caught.value)


async def test_a_domain_goes_only_when_it_is_empty_and_there(store: Store) -> None:
    await people.add_account(store, "a@example.org", ACTING, password=GOOD)
    with pytest.raises(AdminError, match=r"still has accounts or aliases.*poterne account list example.org"):
        await people.remove_domain(store, "example.org", ACTING)
    with pytest.raises(AdminError, match=r"the domain other\.org is not served here"):
        await people.remove_domain(store, "other.org", ACTING)


async def test_an_account_has_its_folders_in_its_language(store: Store) -> None:
    made = await people.add_account(
        store, "Anne@Example.org", ACTING, password=GOOD, name="Anne", language="fr", quota_bytes=10
    )
    assert (made.account.address, made.account.quota_bytes, made.password) == ("anne@example.org", 10, None)
    names = {mailbox.name for mailbox in await store.mailboxes(made.account.id)}
    assert names == {"INBOX", "Brouillons", "Envoyés", "Indésirables", "Corbeille", "Archives"}
    english = await people.add_account(store, "bob@example.org", ACTING, password=None)
    assert {m.name for m in await store.mailboxes(english.account.id)} == {
        "INBOX",
        "Drafts",
        "Sent",
        "Junk",
        "Trash",
        "Archive",
    }
    assert english.password is not None
    credential = await store.credential("bob@example.org")
    assert verify(english.password, credential.verifier)


@pytest.mark.parametrize(
    ("address", "text"),
    [
        ("a@other.org", "other.org is not served here: add it first (poterne domain add other.org)"),
        ("a", '"a" is not a mail address'),
        ("a@", "is not a mail address"),
        ("a+b@example.org", 'an account\'s name has no "+"'),
        ("taken@example.org", "taken@example.org exists already, as an account (poterne account list)"),
        ("TAKEN@example.org", "exists already"),
        (
            "alias@example.org",
            "exists already, as an alias (poterne alias list; poterne alias remove alias@example.org)",
        ),
    ],
)
async def test_accounts_that_cannot_be_added(store: Store, address: str, text: str) -> None:
    await people.add_account(store, "taken@example.org", ACTING, password=GOOD)
    await people.add_alias(store, "alias@example.org", ["taken@example.org"], ACTING)
    with pytest.raises(AdminError) as caught:
        await people.add_account(store, address, ACTING, password=GOOD)
    assert text in str(caught.value)
    assert len(await people.accounts(store)) == 1


async def test_languages_are_those_that_exist(store: Store) -> None:
    with pytest.raises(AdminError, match='there is no language "de": choose one of en, fr'):
        await people.add_account(store, "a@example.org", ACTING, password=GOOD, language="de")


@pytest.mark.parametrize(
    ("password", "text"),
    [
        (b"", "too short: take 10 characters or more"),
        (b"hush", "too short"),
        ("éèàüöçéèà".encode(), "too short"),  # nine characters, more octets
        (b"x" * 513, "too long: 512 octets are the most"),
        (b"anneliese@example.org", "this password is the address"),
        (b"ANNELIESE-", ""),
        (b"Example.Org", "this password is the address"),
        (b"tab\there and more", "control characters"),
        (b"nul\0here and more", "control characters"),
        (b"latin \xe9 is not UTF-8", "not UTF-8"),
        ("dix caractères é".encode(), ""),
    ],
)
def test_passwords(password: bytes, text: str) -> None:
    if not text:
        people.check_password(Secret(password), "anneliese@example.org")
        return
    with pytest.raises(AdminError) as caught:
        people.check_password(Secret(password), "anneliese@example.org")
    assert text in str(caught.value)
    assert password not in str(caught.value).encode() or not password


def test_generated_passwords_are_long_random_and_allowed() -> None:
    found = {people.generate_password().reveal() for _ in range(200)}
    assert len(found) == 200
    for password in found:
        people.check_password(Secret(password), "anne@example.org")
        assert len(password) == 19
        assert not set(password.decode()) & set("01lo")  # what one misreads


async def test_a_new_password_replaces_the_old_one(store: Store) -> None:
    await people.add_account(store, "a@example.org", ACTING, password=GOOD)
    generated = await people.set_password(store, "A@Example.ORG", ACTING, password=None)
    assert generated is not None
    verifier = (await store.credential("a@example.org")).verifier
    assert verify(generated, verifier)
    assert not verify(GOOD, verifier)
    with pytest.raises(AdminError, match="too short"):
        await people.set_password(store, "a@example.org", ACTING, password=Secret("x"))
    for work in (
        people.set_password(store, "b@example.org", ACTING, password=GOOD),
        people.remove_account(store, "b@example.org", ACTING),
    ):
        with pytest.raises(AdminError, match=r"there is no account b@example.org \(poterne account list\)"):
            await work


async def test_lists_are_by_domain_and_know_their_domains(store: Store) -> None:
    await people.add_domain(store, "other.org", ACTING)
    for address in ("a@example.org", "b@other.org"):
        await people.add_account(store, address, ACTING, password=GOOD)
    await people.add_alias(store, "c@other.org", ["a@example.org"], ACTING)
    assert [a.address for a in await people.accounts(store, "other.org")] == ["b@other.org"]
    assert [a.address for a in await people.aliases(store, "OTHER.org")] == ["c@other.org"]
    assert len(await people.accounts(store)) == 2
    for work in (people.accounts(store, "third.org"), people.aliases(store, "third.org")):
        with pytest.raises(AdminError, match=r"third\.org is not served here"):
            await work


async def test_aliases(store: Store) -> None:
    await people.add_account(store, "a@example.org", ACTING, password=GOOD)
    made = await people.add_alias(store, "Info@example.org", ["a@example.org", "A@example.org"], ACTING)
    assert (made.address, made.targets) == ("info@example.org", ("a@example.org",))
    for address, targets, text in [
        ("info@example.org", ["a@example.org"], "exists already"),
        ("a@example.org", ["a@example.org"], "exists already"),
        (
            "x@example.org",
            ["nobody@example.org"],
            "an alias points to accounts of this server, and nobody@example.org is none",
        ),
        ("x@example.org", ["bad"], '"bad" is not a mail address'),
        ("x@other.org", ["a@example.org"], "other.org is not served here"),
    ]:
        with pytest.raises(AdminError) as caught:
            await people.add_alias(store, address, targets, ACTING)
        assert text in str(caught.value)
    await people.remove_alias(store, "info@example.org", ACTING)
    with pytest.raises(AdminError, match=r"there is no alias info@example.org \(poterne alias list\)"):
        await people.remove_alias(store, "info@example.org", ACTING)


# -- what leaves again, and who may write --------------------------------------------------------------------------------


async def test_an_alias_leads_here_and_elsewhere(store: Store) -> None:
    await people.add_account(store, "anne@example.org", ACTING, password=GOOD)
    made = await people.add_alias(
        store, "team@example.org", ["anne@example.org", "Bob@Elsewhere.test"], ACTING, posting=Posting.MEMBERS
    )
    assert (made.targets, made.forwards) == (("anne@example.org",), ("bob@elsewhere.test",))
    assert [(a.targets, a.forwards, a.posting) for a in await people.aliases(store)] == [
        (made.targets, made.forwards, Posting.MEMBERS)
    ]
    (event,) = await store.events(kind="alias.added")
    assert event.detail["forwards"] == "bob@elsewhere.test"
    only = await people.add_alias(store, "out@example.org", ["bob@elsewhere.test"], ACTING)
    assert only.targets == ()


async def test_who_may_write_is_kept(store: Store) -> None:
    await people.add_account(store, "anne@example.org", ACTING, password=GOOD)
    await people.add_alias(
        store, "all@example.org", ["anne@example.org"], ACTING, posting=Posting.LISTED, posters=["Boss@Elsewhere.test"]
    )
    route = await store.route("all", "example.org")
    assert (route.posting, route.posters) == (Posting.LISTED, ("boss@elsewhere.test",))


async def test_a_catch_all_takes_what_nobody_has(store: Store) -> None:
    anne = (await people.add_account(store, "anne@example.org", ACTING, password=GOOD)).account
    await people.add_alias(store, "*@example.org", ["anne@example.org"], ACTING)
    assert (await store.route("anything", "example.org")).accounts == (anne.id,)


@pytest.mark.parametrize(
    ("address", "targets", "options", "text"),
    [
        ("x@example.org", ["ghost@example.org"], {}, "points to accounts of this server"),
        ("x@example.org", ["a%b@elsewhere.test"], {}, "can't be forwarded"),
        ("x@example.org", ["a@[192.0.2.1]"], {}, "can't be forwarded"),
        ("a*@example.org", ["b@elsewhere.test"], {}, "only alone"),
        ("*@elsewhere.test", ["b@elsewhere.test"], {}, "is not served here"),
        ("x@example.org", ["b@elsewhere.test"], {"posting": Posting.LISTED}, "nobody could write to it"),
        ("x@example.org", ["b@elsewhere.test"], {"posters": ["c@d.test"]}, "posters are for"),
        ("x@example.org", [f"u{n}@elsewhere.test" for n in range(1001)], {}, "too many"),
    ],
)
async def test_aliases_that_cannot_be(
    store: Store, address: str, targets: list[str], options: dict[str, Any], text: str
) -> None:
    with pytest.raises(AdminError, match=text):
        await people.add_alias(store, address, targets, ACTING, **options)
    assert await people.aliases(store) == []


async def test_an_account_forwards_and_stops(store: Store) -> None:
    await people.add_account(store, "anne@example.org", ACTING, password=GOOD)
    made = await people.set_forwards(store, "anne@example.org", ["a@elsewhere.test"], ACTING, keeps=False)
    kept = await store.account("anne@example.org")
    assert (made.forwards, made.keeps) == (kept.forwards, kept.keeps) == (("a@elsewhere.test",), False)
    await people.set_forwards(store, "anne@example.org", [], ACTING, keeps=False)
    off = await store.account("anne@example.org")
    assert (off.forwards, off.keeps) == ((), True)
    assert [e.detail["keeps"] for e in await store.events(kind="account.forwards")] == [True, False]
    with pytest.raises(AdminError, match="an alias leads to several accounts"):
        await people.set_forwards(store, "anne@example.org", ["bob@example.org"], ACTING)


async def test_limits_of_ones_own(store: Store) -> None:
    await people.add_account(store, "news@example.org", ACTING, password=GOOD)
    await people.set_limits(store, "news@example.org", people.bulk_limits(5000), ACTING)
    assert (await store.account("news@example.org")).limits == SendingLimits(5000, 5000, 0, 0)
    await people.set_limits(store, "news@example.org", None, ACTING)
    assert (await store.account("news@example.org")).limits is None
    with pytest.raises(AdminError, match="has a cap"):
        people.bulk_limits(0)
    with pytest.raises(AdminError, match="0 is no limit"):
        await people.set_limits(store, "news@example.org", SendingLimits(-1, 0, 0, 0), ACTING)
