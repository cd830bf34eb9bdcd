"""Signing in over the wire: what is announced when, and what a guesser learns."""

import base64
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from poterne.config.imap import Imap
from poterne.config.settings import SignIn
from tests.support.imap_world import ADDRESS, PASSWORD, Wire, World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path) as world:
        yield world


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path, implicit_tls=False) as world:
        yield world


def token(*parts: str) -> bytes:
    return base64.b64encode("\0".join(parts).encode())


def test_nothing_of_a_password_before_tls(plain: World) -> None:
    with plain.client(login=False) as wire:
        assert b"LOGINDISABLED" in wire.greeting
        assert b"STARTTLS" in wire.greeting
        assert b"AUTH=" not in wire.greeting
        assert b"[PRIVACYREQUIRED]" in wire.no(f'LOGIN "{ADDRESS}" "{PASSWORD}"')
        assert b"[PRIVACYREQUIRED]" in wire.no(b"AUTHENTICATE PLAIN " + token("", ADDRESS, PASSWORD))


def test_starttls_then_login(plain: World) -> None:
    with plain.client(login=False) as wire:
        wire.ok("STARTTLS")
        wire.start_tls(plain.issued.ca)
        capabilities = wire.ok("CAPABILITY")[0]
        assert b"AUTH=PLAIN" in capabilities
        assert b"LOGINDISABLED" not in capabilities
        assert b"STARTTLS" not in capabilities
        wire.ok(f'LOGIN "{ADDRESS}" "{PASSWORD}"')


def test_plaintext_behind_starttls_ends_the_connection(plain: World) -> None:
    with plain.client(login=False) as wire:
        wire.send(b"a STARTTLS\r\nb CAPABILITY\r\n")
        assert wire.response().startswith(b"* BYE")
        with pytest.raises(EOFError):
            wire.response()


@pytest.mark.parametrize(
    "steps",
    [
        [b"AUTHENTICATE PLAIN " + token("", ADDRESS, PASSWORD)],
        [b"AUTHENTICATE PLAIN " + token(ADDRESS, ADDRESS, PASSWORD)],
        [b"authenticate plain", token("", ADDRESS, PASSWORD)],
        [b"AUTHENTICATE LOGIN", token(ADDRESS), token(PASSWORD)],
    ],
)
def test_authenticate(world: World, steps: list[bytes]) -> None:
    with world.client(login=False) as wire:
        wire.send(b"a " + steps[0] + b"\r\n")
        for step in steps[1:]:
            assert wire.response().startswith(b"+ ")
            wire.send(step + b"\r\n")
        answer = wire.response()
        assert answer.startswith(b"a OK [CAPABILITY IMAP4rev1"), answer
        wire.ok("SELECT INBOX")


def test_one_signs_in_as_oneself_only(world: World) -> None:
    with world.client(login=False) as wire:
        answer = wire.no(b"AUTHENTICATE PLAIN " + token("eve@example.org", ADDRESS, PASSWORD))
        assert b"[AUTHORIZATIONFAILED]" in answer
        wire.bad("SELECT INBOX")


def test_cancelled_and_malformed_exchanges(world: World) -> None:
    with world.client(login=False) as wire:
        wire.send(b"a AUTHENTICATE PLAIN\r\n")
        assert wire.response() == b"+ "
        wire.send(b"*\r\n")
        assert wire.response().startswith(b"a BAD")
        wire.bad(b"AUTHENTICATE PLAIN " + base64.b64encode(b"no nul"))
        wire.ok(b"AUTHENTICATE PLAIN " + token("", ADDRESS, PASSWORD))


def test_unknown_mechanism(world: World) -> None:
    with world.client(login=False) as wire:
        wire.no("AUTHENTICATE CRAM-MD5")


@pytest.mark.parametrize(("user", "password"), [(ADDRESS, "wrong"), ("nobody@example.org", PASSWORD), ("", "")])
def test_wrong_password_and_unknown_user_answer_the_same(world: World, user: str, password: str) -> None:
    with world.client(login=False) as wire:
        answer = wire.no(f'LOGIN "{user}" "{password}"')
        assert answer == b"NO [AUTHENTICATIONFAILED] User name or password is wrong"


def test_address_in_any_case(world: World) -> None:
    with world.client(login=False) as wire:
        wire.ok(f'LOGIN "{ADDRESS.upper()}" "{PASSWORD}"')


def test_failures_are_slowed_but_nobody_is_locked_out(tmp_path: Path) -> None:
    with World(tmp_path, sign_in=SignIn(free_failures=2, max_delay_s=1)) as world:
        for guess in ("a", "b"):
            with world.client(login=False) as wire:
                wire.no(f'LOGIN "{ADDRESS}" "{guess}"')
        with world.client(login=False) as wire:
            began = time.monotonic()
            wire.ok(f'LOGIN "{ADDRESS}" "{PASSWORD}"')
            assert time.monotonic() - began > 0.9


def test_the_same_wrong_password_counts_once(tmp_path: Path) -> None:
    with World(tmp_path, sign_in=SignIn(free_failures=2, max_delay_s=20)) as world:
        for _ in range(6):
            with world.client(login=False) as wire:
                wire.no(f'LOGIN "{ADDRESS}" "the old one"')
        began = time.monotonic()
        with world.client():
            pass
        assert time.monotonic() - began < 5


def test_too_many_failures_end_the_connection(world: World) -> None:
    with world.client(login=False) as wire:
        for _ in range(4):
            wire.no(f'LOGIN "{ADDRESS}" "x"')
        wire.no(f'LOGIN "{ADDRESS}" "x"')
        assert wire.response().startswith(b"* BYE")


def test_strangers_may_err_three_times(world: World) -> None:
    with world.client(login=False) as wire:
        wire.bad("GET / HTTP/1.1")
        wire.bad("SELECT INBOX")
        wire.bad("HELO there")
        assert wire.response().startswith(b"* BYE")


def test_bad_commands_are_counted_after_login(tmp_path: Path) -> None:
    with World(tmp_path, settings=Imap(max_bad_commands=5)) as world, world.client() as wire:
        for _ in range(5):
            wire.bad("FROBNICATE")
        assert wire.response().startswith(b"* BYE")


def test_capability_logout_id(world: World) -> None:
    with world.client() as wire:
        wire.ok("CAPABILITY")
        assert wire.ok('ID ("name" "test" "version" "1")') == [b'* ID ("name" "Poterne")']
        assert wire.ok("LOGOUT")[0].startswith(b"* BYE")
        with pytest.raises(EOFError):
            wire.response()


def test_only_signed_in_clients_see_mailboxes(world: World) -> None:
    with world.client(login=False) as wire:
        wire.bad('LIST "" "*"')
    with Wire(world.port, world.issued.ca) as wire:
        wire.bad("STATUS INBOX (MESSAGES)")


def test_account_switched_off_signs_in_no_more(world: World) -> None:
    from poterne.values.event import Event
    from poterne.values.ids import TraceId

    with world.client():
        pass

    async def disable() -> None:
        account = await world.store.account(ADDRESS)
        await world.store.set_account(account.id, Event(0, "test", TraceId("t")), disabled=True)

    world.call(disable())
    with world.client(login=False) as wire:
        wire.no(f'LOGIN "{ADDRESS}" "{PASSWORD}"')
