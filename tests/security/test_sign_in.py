"""Sign-in: junk, guessing, spying out who exists; A01 to A06."""

import base64
import statistics
import time
from collections.abc import Iterator

import pytest

from poterne.admin.passwords import hash_password
from poterne.values.secret import Secret
from tests.support.attack_client import MIB, Target, fresh_address, plain, target

PAIRS = 30


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """Slows after three failures, as it is by default, but not for longer than two seconds."""
    chosen = {"sign_in": {"free_failures": 3, "max_delay_s": 2, "hashing_threads": 1}}
    with target(tmp_path_factory.mktemp("strict") / "instance", chosen) as found:
        yield found
        found.close_wires()


def b64(octets: bytes) -> bytes:
    return base64.b64encode(octets)


JUNK = {
    "not-base64": b"!!!!",
    "early-equals": b"=AGEAYg==",
    "equals-inside": b"AG=EAYg==",
    "short": b"AGEAYg",
    "space": b"AGEA Yg==",
    "stray-bits": b"AGEAYh==",
    "one-nul": b64(b"a\0b"),
    "three-nuls": b64(b"a\0b\0c\0d"),
    "no-nul": b64(b"abc"),
    "empty-user": b64(b"\0\0x"),
    "empty-password": b64(b"\0a\0"),
    "only-nuls": b64(b"\0\0"),
    "all-nuls": b64(b"\0" * 700),
    "lf-in-user": b64(b"\0a\nb\0c"),
    "crlf-in-password": b64(b"\0a\0b\r\nMAIL FROM:<x>"),
    "not-utf8": b64(b"\0\xff\xfe\0c"),
    "surrogate": b64(b"\0\xed\xa0\x80\0c"),
    "long-user": b64(b"\0" + b"a" * 300 + b"\0c"),
    "long-password": b64(b"\0a\0" + b"c" * 5000),
    "9000": b64(b"\0a\0" + b"c" * 9000),
    "13000": b"A" * 13_000,
    "200000": b"A" * 200_000,
}


@pytest.mark.parametrize("listener", ["submissions", "imaps", "pop3s"])
def test_junk(world: Target, listener: str) -> None:
    """A06, as initial response and as an answer: refused at once (CVE-2025-59028), and others sign in."""
    user = world.account()
    with world.attacked(growth_bytes=6 * MIB) as watch:
        for name, junk in JUNK.items():
            for exchange in ([b"PLAIN " + junk], [b"PLAIN", junk], [b"LOGIN", b64(user.encode()), junk]):
                answer = _exchange(world, listener, exchange)
                assert answer[:1] in {b"5", b"4", b"-", b"x", b"*", b""}, (name, answer)
                assert not answer.startswith(b"x OK"), (name, answer)
    assert not [line for line in watch.log if line["event"] == "auth.ok" and user in str(line)]


def _exchange(world: Target, listener: str, lines: list[bytes]) -> bytes:
    """The answer to the last line; b"" if the connection ended before."""
    wire = world.smtp(listener) if listener == "submissions" else world.open(listener)
    verb = b"x AUTHENTICATE " if listener == "imaps" else b"AUTH "
    answer = b""
    try:
        for number, line in enumerate([verb + lines[0], *lines[1:]]):
            wire.send(line + b"\r\n")
            answer = wire.line()
            assert number == len(lines) - 1 or answer.startswith((b"334", b"+ "))
    except ConnectionError:
        answer = b""
    wire.close()
    return answer


def test_only_as_oneself(world: Target) -> None:
    """PLAIN with somebody else as authzid is refused, also with the right password; `*` cancels; three mechanisms are none."""
    user, other = world.account(), world.account()
    with world.attacked():
        for authzid in (other, "postmaster@peers.test", "root", user + " ", user.upper() + "x"):
            secret = plain(user, world.password, authzid)
            assert world.smtp("submissions").say(b"AUTH PLAIN " + secret).startswith(b"5")
            assert world.open("pop3s").say(b"AUTH PLAIN " + secret).startswith(b"-ERR")
            assert b" NO " in world.open("imaps").imap(b"AUTHENTICATE PLAIN " + secret)
        wire = world.smtp("submissions")
        assert wire.say(b"AUTH PLAIN").startswith(b"334")
        assert wire.say(b"*").startswith(b"501")
        for mechanism in (
            b"CRAM-MD5",
            b"DIGEST-MD5",
            b"NTLM",
            b"ANONYMOUS",
            b"EXTERNAL =",
            b"GSSAPI",
            b"XOAUTH2",
            b"plain\0",
            b"PLAIN PLAIN x",
        ):
            answer = wire.say(b"AUTH " + mechanism)
            assert answer.startswith((b"50", b"421")), mechanism
            if answer.startswith(b"421"):
                break
        assert world.smtp("submissions").say(b"AUTH PLAIN " + plain(user, world.password, user)).startswith(b"235")


@pytest.mark.parametrize(
    "username",
    ["' OR 1=1 --", "%@peers.test", "*", "admin'--", "a)(uid=*", "control@peers.test\u0000", "control", "control@peers.test.",
     "control@PEERS.TEST@peers.test", '"control"@peers.test', "control+x@peers.test", "ｃontrol@peers.test", "control@peers.test@", "@", "",
     "control @peers.test", "control@@peers.test", "../control@peers.test", "x" * 255],
)  # fmt: skip
def test_odd_names_with_the_right_password(world: Target, username: str) -> None:
    """SQL, LDAP, look-alikes, tags: nobody but the account's own name signs in to it."""
    assert (
        not world.smtp("submissions", source=fresh_address())
        .say(b"AUTH PLAIN " + plain(username, world.password))
        .startswith(b"235")
    )


def test_case_and_blanks_are_no_other_name(world: Target) -> None:
    user = world.account()
    for name in (user.upper(), f" {user} "):
        assert world.smtp("submissions").say(b"AUTH PLAIN " + plain(name, world.password)).startswith(b"235")


def attempt(world: Target, listener: str, user: str, password: str) -> tuple[bytes, float]:
    """The answer to a wrong password, and the seconds it took. Every attempt comes from somewhere else."""
    source = fresh_address()
    match listener:
        case "submissions":
            wire = world.smtp(listener, source=source)
            command = b"AUTH PLAIN " + plain(user, password)
        case "pop3s":
            wire = world.open(listener, source=source)
            assert wire.say(b"USER " + user.encode()).startswith(b"+OK")
            command = b"PASS " + password.encode()
        case _:
            wire = world.open(listener, source=source)
            command = b'a LOGIN "%b" "%b"' % (user.encode(), password.encode())
    began = time.perf_counter()
    wire.send(command + b"\r\n")
    answer = wire.line()
    took = time.perf_counter() - began
    if listener == "submissions":
        assert wire.say(b"NOOP").startswith(b"250"), "whoever it was, the connection goes on"
    wire.close()
    return answer, took


@pytest.fixture(scope="module")
def disabled(running: Target) -> str:
    user = running.account()
    store = running.store
    account = store.call(store._store.account(user))
    store.call(store._store.set_account(account.id, store._acting.event("account.disabled"), disabled=True))
    return user


@pytest.mark.parametrize("listener", ["submissions", "imaps", "pop3s"])
def test_answers_do_not_tell_who_exists(world: Target, disabled: str, listener: str) -> None:
    """A02: known, unknown, alias, disabled, foreign domain, disabled with the right password: octet by octet the same."""
    user = world.account()
    alias = f"alias-{listener}@peers.test"
    world.store.add_alias(alias, user)
    answers = {
        attempt(world, listener, name, "wrong password")[0]
        for name in (
            user,
            "nobody@peers.test",
            alias,
            disabled,
            "a@elsewhere.example",
            "nobody",
            f"postmaster@{world.domain}",
        )
    }
    answers.add(attempt(world, listener, disabled, world.password)[0])
    answers.add(attempt(world, listener, alias, world.password)[0])
    assert len(answers) == 1, answers


def test_times_do_not_tell_who_exists(world: Target, disabled: str) -> None:
    """A03: interleaved attempts; medians may not differ by more than the larger of 5 ms and three times their spread."""
    user = world.account()
    times: dict[str, list[float]] = {"known": [], "unknown": [], "disabled": []}
    for number in range(PAIRS):
        for who, name in (("known", user), ("unknown", f"nobody{number}@peers.test"), ("disabled", disabled)):
            times[who].append(attempt(world, "submissions", name, f"wrong {number} {who}")[1])
    medians = {who: statistics.median(found) for who, found in times.items()}
    spread = max(statistics.median(abs(each - medians[who]) for each in found) for who, found in times.items())
    assert max(medians.values()) - min(medians.values()) < max(0.005, 3 * spread), medians
    assert min(medians.values()) > 0.004, "a password is really looked at in each case"


def test_guessing_is_slowed_and_nobody_is_locked_out(strict: Target) -> None:
    """A04: the fourth guess waits, on all protocols together; meanwhile the owner gets in from elsewhere, quickly enough."""
    user, guesser = strict.account(), fresh_address()
    with strict.attacked():
        quick = [_guess(strict, "submissions", user, f"guess {n}", guesser)[1] for n in range(3)]
        slow = [
            _guess(strict, listener, user, f"guess on {listener}", guesser)[1] for listener in ("submissions", "imaps")
        ]
        assert max(quick) < min(slow)
        assert min(slow) > 0.9
        began = time.perf_counter()
        strict.imap(user, source=fresh_address())
        assert time.perf_counter() - began < 6, "the owner, from a new address"


def _guess(world: Target, listener: str, user: str, password: str, source: str) -> tuple[bytes, float]:
    wire = world.smtp(listener, source=source) if listener == "submissions" else world.open(listener, source=source)
    command = b"AUTH PLAIN " if listener == "submissions" else b"a AUTHENTICATE PLAIN "
    began = time.perf_counter()
    wire.send(command + plain(user, password) + b"\r\n")
    answer = wire.line()
    assert answer.startswith((b"535", b"a NO")), answer
    wire.close()
    return answer, time.perf_counter() - began


def test_an_old_phone_locks_nobody_out(strict: Target) -> None:
    """The same wrong password counts once: twenty tries later the right one is let in at once, from that very address."""
    user, home = strict.account(), fresh_address()
    for _ in range(20):
        _guess(strict, "imaps", user, "the password of last year", home)
    began = time.perf_counter()
    strict.imap(user, source=home)
    assert time.perf_counter() - began < 0.9


def test_tries_in_one_connection_are_bounded(world: Target) -> None:
    user = world.account()
    for listener, command in (
        ("submissions", b"AUTH PLAIN "),
        ("imaps", b"a AUTHENTICATE PLAIN "),
        ("pop3s", b"AUTH PLAIN "),
    ):
        wire = (
            world.smtp(listener, source=fresh_address())
            if listener == "submissions"
            else world.open(listener, source=fresh_address())
        )
        for _ in range(30):
            try:
                wire.send(command + plain(user, "always the same") + b"\r\n")
            except ConnectionError:
                break
        answer = wire.rest()
        assert answer.count(b"\r\n") <= 20, listener


def test_many_guesses_at_once_are_bounded(strict: Target) -> None:
    """A burst from many addresses: Argon2id memory and the queue are bounded, and whoever is signed in notices nothing."""
    user = strict.account()
    strict.imap(user)  # proven: now it is remembered
    with strict.attacked(growth_bytes=64 * MIB):
        wires = []
        for number in range(80):
            wire = strict.open("imaps", source=fresh_address())
            wire.send(b"a AUTHENTICATE PLAIN " + plain(f"somebody{number}@peers.test", "x") + b"\r\n")
            wires.append(wire)
        began = time.perf_counter()
        strict.imap(user)
        assert time.perf_counter() - began < 2
        answers = {wire.line().split(b"]")[0] for wire in wires}
        assert answers <= {b"a NO [AUTHENTICATIONFAILED", b"a NO [UNAVAILABLE"}


def test_no_password_and_no_verifier_is_written_anywhere(world: Target) -> None:
    """Nothing that was given as a password, by whichever command, right or wrong, whole or cut off, shows in log or data."""
    user = world.account()
    secrets = [f"Sekret-{number}-xyzzy" for number in range(6)]
    log_at = world.log_size()
    attempt(world, "submissions", user, secrets[0])
    attempt(world, "imaps", user, secrets[1])
    attempt(world, "pop3s", user, secrets[2])
    wire = world.open("imaps")
    wire.imap(b'LOGIN "a" "%b' % secrets[3].encode())
    wire.imap(secrets[3].encode() + b" NOOP")
    wire.close()
    wire = world.smtp("submissions")
    wire.say(b"AUTH PLAIN !" + plain(user, secrets[4]))
    wire.say(secrets[4].encode())
    wire.close()
    wire = world.open("pop3s")
    wire.say(b"PASS " + secrets[5].encode())
    wire.close()
    world.control()
    with world.server.log.open("rb") as file:
        file.seek(log_at)
        log = file.read()
    assert b"auth.failed" in log
    assert b"argon2" not in log
    assert world.password.encode() not in log
    files = [path.read_bytes() for path in world.server.log.parent.rglob("*") if path.is_file()]
    for secret in secrets:
        found = (secret.encode(), b64(secret.encode())[:12], plain(user, secret))
        for form in found:
            assert not any(form in content for content in files), form


@pytest.mark.parametrize("listener", ["submission", "submissions"])
def test_an_open_session_sends_nothing_more_once_the_password_is_changed_or_the_account_disabled(
    world: Target, listener: str
) -> None:
    """A08: what a thief has open ends with the next message; who has the new password goes on."""
    user = world.account()
    store = world.store
    account = store.call(store._store.account(user))
    with world.attacked():
        thief = world.smtp(listener, user=user)
        mail = b"MAIL FROM:<%b>" % user.encode()
        assert thief.say(mail).startswith(b"250")
        assert thief.say(b"RSET").startswith(b"250")
        event = store._acting.event("account.password", address=user)
        store.call(store._store.set_password(account.id, hash_password(Secret("another one, and long")), event))
        assert thief.say(mail).startswith(b"530 5.7.0 The password of this account was changed")
        store.call(store._store.set_password(account.id, store._verifier, event))
        other = world.smtp(listener, user=user)
        assert other.say(mail).startswith(b"250")
        assert other.say(b"RSET").startswith(b"250")
        store.call(store._store.set_account(account.id, store._acting.event("account.disabled"), disabled=True))
        assert other.say(mail).startswith(b"530 5.7.0 This account may not send")
