"""POP3 over real sockets: capabilities, languages, international headers, the lock, what is left on the server."""

import poplib
import time
from collections.abc import Iterator
from email.message import EmailMessage

import pytest

from poterne.admin import people, retention
from poterne.queue.content import written
from poterne.store.interface import Delivery, Store
from poterne.values.ids import TraceId
from tests.support.server import ADDRESS, DOMAIN, PASSWORD, Instance, letter

ALICE, BOB = f"alice@{DOMAIN}", f"bob@{DOMAIN}"
HEADER = "From: Zoé <zoe@far.example>\r\nSubject: Été\r\nX-Plain: yes\r\n\r\n".encode()
BODY = "grüße\r\n".encode()


def acting() -> people.Acting:
    return people.Acting("test", int(time.time()), TraceId("test"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    instance = Instance(
        tmp_path_factory.mktemp("pop3") / "instance",
        accounts=("alice", "bob", "carol", "dora"),
        chosen={
            "pop3": {"lock": "exclusive", "login_delay_s": 2},
            "retention": {"fetched_days": 30},
            "server": {"workers": 2, "drain_s": 3},
        },
    ).start()
    yield instance
    assert instance.stop() == 0
    assert instance.events("bug") == []


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """As it comes."""
    instance = Instance(tmp_path_factory.mktemp("pop3") / "instance").start()
    yield instance
    assert instance.stop() == 0


def pop(server: Instance, user: str = "") -> poplib.POP3_SSL:
    client = poplib.POP3_SSL(ADDRESS, server.ports["pop3s"], context=server.context(), timeout=20)
    if user:
        client.user(f"{user}@{DOMAIN}")
        client.pass_(PASSWORD)
    return client


def put(server: Instance, user: str, octets: bytes) -> None:
    async def work(store: Store) -> None:
        account = await store.account(f"{user}@{DOMAIN}")
        content = await written(store.blobs, octets)
        await store.deliver([Delivery(account.id, None, content, 0, int(time.time()), 0)], [], [])

    server.with_store(work)


def say(client: poplib.POP3_SSL, command: str) -> bytes:
    """The status line, or the error."""
    try:
        return client._shortcmd(command)  # type: ignore[attr-defined,no-any-return]
    except poplib.error_proto as error:
        found: bytes = error.args[0]
        return found


def test_capabilities_change_with_who_signs_in(server: Instance) -> None:
    server.with_store(lambda store: retention.set_rule(store, BOB, "fetched", "never", acting()))
    server.with_store(lambda store: retention.set_rule(store, ALICE, "everything", "9", acting()))
    try:
        client = pop(server)
        before = client.capa()
        assert before["EXPIRE"] == ["9", "USER"]
        assert before["LOGIN-DELAY"] == ["2"]
        assert before["UTF8"] == ["USER"]
        assert {"TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", "LANG", "SASL", "USER"} <= set(before)
        assert "IMPLEMENTATION" not in before
        client.quit()
        for name, days in (("alice", "9"), ("bob", "NEVER"), ("dora", "30")):
            client = pop(server, name)
            after = client.capa()
            assert (after["EXPIRE"], after["IMPLEMENTATION"]) == ([days], ["Poterne"])
            client.quit()
    finally:
        server.with_store(lambda store: retention.end_rule(store, ALICE, "everything", acting()))


def test_one_session_at_a_time_in_all_workers(server: Instance) -> None:
    first = pop(server, "carol")
    for _ in range(4):  # whichever worker it is
        second = pop(server)
        assert say(second, f"USER carol@{DOMAIN}").startswith(b"+OK")
        assert say(second, f"PASS {PASSWORD}").startswith(b"-ERR [IN-USE]")
        second.close()
    first.quit()
    client = pop(server)
    say(client, f"USER carol@{DOMAIN}")
    assert say(client, f"PASS {PASSWORD}").startswith((b"-ERR [LOGIN-DELAY]", b"+OK"))
    client.close()
    time.sleep(2.1)
    client = pop(server, "carol")
    client.close()  # without QUIT
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        again = pop(server)
        say(again, f"USER carol@{DOMAIN}")
        said = say(again, f"PASS {PASSWORD}")
        again.close()
        if said.startswith(b"+OK"):
            break
        assert said.startswith((b"-ERR [IN-USE]", b"-ERR [LOGIN-DELAY]")), said
        time.sleep(0.3)
    else:
        raise AssertionError("the mailbox stayed locked")


def test_what_is_left_on_the_server_goes_after_its_days(server: Instance) -> None:
    for subject in ("one", "two", "three"):
        put(server, "dora", f"Subject: {subject}\r\n\r\nx\r\n".encode())
    time.sleep(2.1)
    client = pop(server, "dora")
    client.retr(1)
    client.top(2, 5)  # a look is no fetching
    client.retr(3)
    client.dele(3)
    client.quit()

    async def work(store: Store) -> tuple[list[int], int]:
        from poterne.config.load import load

        settings = load(server.settings).retention
        now = int(time.time())
        soon = [one.found.messages async for one in retention.going(store, settings, now + 29 * 86_400)]
        late = [one.found.messages async for one in retention.going(store, settings, now + 31 * 86_400)]
        return soon, sum(late)

    assert server.with_store(work) == ([], 1)


def test_languages(plain: Instance) -> None:
    client = pop(plain)
    assert client._longcmd("LANG")[1] == [b"en English", "fr Français".encode()]  # type: ignore[attr-defined]
    assert say(client, "LANG fr") == "+OK fr Les réponses sont désormais en français".encode()
    assert say(client, "STAT") == "-ERR Identifiez-vous d’abord".encode()
    assert say(client, "LANG de").startswith(b"-ERR ")
    say(client, f"USER {ALICE}")
    assert say(client, f"PASS {PASSWORD}").startswith(b"+OK")
    assert say(client, "RETR 999") == "-ERR Ce message n’existe pas".encode()
    assert say(client, "LANG *") == b"+OK en Language is now English"  # the account's
    client.quit()


@pytest.mark.parametrize("more", [b"", b"x" * 998 + b"\r\n"], ids=["small", "large"])
def test_international_headers(plain: Instance, more: bytes) -> None:
    body = BODY + more * 400
    put(plain, "bob", HEADER + body)
    client = pop(plain, "bob")
    count, _ = client.stat()
    said, lines, _ = client.retr(count)
    raw = b"\r\n".join(lines) + b"\r\n"
    head, _, rest = raw.partition(b"\r\n\r\n")
    assert head.isascii()
    assert b"X-Plain: yes" in head
    assert b"=?utf-8?b?w4l0w6k=?=" in head
    assert rest == body
    assert said == b"+OK %d octets" % len(raw)
    assert b"\r\n".join(client.top(count, 0)[1]).partition(b"\r\n\r\n")[0].strip() == head.strip()
    client.quit()
    client = pop(plain)
    client.utf8()
    client.user(BOB)
    client.pass_(PASSWORD)
    assert b"\r\n".join(client.retr(count)[1]) + b"\r\n" == HEADER + body
    assert say(client, f"LIST {count}").split()[2] == str(len(HEADER + body)).encode()
    client.quit()


def test_shared_by_default(plain: Instance) -> None:
    first, second = pop(plain, "alice"), pop(plain, "alice")
    capabilities = first.capa()
    assert capabilities["EXPIRE"] == ["NEVER"]
    assert "LOGIN-DELAY" not in capabilities
    first.quit()
    second.quit()


def test_ids_stay_for_ever(plain: Instance) -> None:
    plain.deliver(letter(subject="stay"))
    plain.deliver(letter(subject="go"))
    client = pop(plain, "alice")
    ids = [line.split()[1] for line in client.uidl()[1]]
    assert len(set(ids)) == len(ids) >= 2
    client.dele(len(ids))
    client.quit()
    plain.deliver(letter(subject="new"))
    plain.stop()
    plain.start()
    client = pop(plain, "alice")
    again = [line.split()[1] for line in client.uidl()[1]]
    assert again[:-1] == ids[:-1]
    assert again[-1] not in ids
    client.quit()


def test_a_letter_of_python_s_own(plain: Instance) -> None:
    """What the mail library of a usual client makes of a header that was made ASCII."""
    import email
    import email.policy

    put(plain, "alice", HEADER + BODY)
    client = pop(plain, "alice")
    lines = client.retr(client.stat()[0])[1]
    client.quit()
    message = email.message_from_bytes(b"\r\n".join(lines), policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    assert (message["Subject"], message["From"].addresses[0].display_name) == ("Été", "Zoé")
