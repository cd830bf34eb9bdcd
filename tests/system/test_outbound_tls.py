"""Encryption on the way out: what is demanded is what happens, or nothing does."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from poterne.queue.outcome import Delivered, Login, Permanent, Stage, TlsDemand, Transient
from poterne.values.secret import Secret
from tests.support.outbound import LETTER, QUICK, Authority, Sender, hop, only
from tests.support.sink import EXTENSIONS, Drop, Hang, Rule, Sink

ALL = tuple(TlsDemand)


@pytest.fixture
async def sender(tmp_path: Path) -> AsyncIterator[Sender]:
    async with Sender(tmp_path / "blobs") as sender:
        yield sender


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.mark.parametrize("demand", ALL)
async def test_starttls_is_not_offered(sender: Sender, demand: TlsDemand) -> None:
    with Sink() as sink:
        result = await sender.send(hop(sink.port, tls=demand))
        if demand is TlsDemand.OPPORTUNISTIC:
            assert isinstance(only(result), Delivered)
            assert (result.tls.version, result.tls.problem) == ("", "not-offered")
            return
        assert isinstance(only(result), Transient)
        assert result.try_next
        assert sink.taken == []
        assert not any(line.startswith("MAIL") for line in sink.lines)


@pytest.mark.parametrize("demand", [TlsDemand.OPPORTUNISTIC, TlsDemand.REQUIRED, TlsDemand.VERIFIED])
@pytest.mark.parametrize(
    ("rule", "word", "stage"),
    [
        (b"454 4.7.0 not now\r\n", "refused", Stage.STARTTLS),
        (b"500 5.5.1 what?\r\n", "refused", Stage.STARTTLS),
        (Drop(b"220 2.0.0 go\r\n"), "closed", Stage.TLS),
        (Hang(b"220 2.0.0 go\r\n"), "timeout", Stage.TLS),
    ],
)
async def test_starttls_fails(
    sender: Sender, authority: Authority, demand: TlsDemand, rule: Rule, word: str, stage: Stage
) -> None:
    with Sink({"STARTTLS": rule}, certificate=authority.context("sink.test")) as sink:
        result = await sender.send(hop(sink.port, tls=demand, ca_file=authority.file))
        assert result.tls.problem == word
        assert result.tls.version == ""
        if demand is TlsDemand.OPPORTUNISTIC:
            assert isinstance(only(result), Delivered)
            assert not sink.taken[0].tls
            assert result.failed_at is None
        else:
            assert isinstance(only(result), Transient)
            assert result.failed_at is stage
            assert sink.taken == []


@pytest.mark.parametrize("demand", [TlsDemand.OPPORTUNISTIC, TlsDemand.REQUIRED, TlsDemand.VERIFIED])
@pytest.mark.parametrize(
    "injected",
    [b"220 2.0.0 go\r\n250 2.0.0 hidden\r\n", b"220 2.0.0 go\r\n2", b"220 2.0.0 go\r\n\x16\x03\x01"],
)
async def test_words_before_the_handshake_end_everything(
    sender: Sender, authority: Authority, demand: TlsDemand, injected: bytes
) -> None:
    with Sink({"STARTTLS": injected}, certificate=authority.context("sink.test")) as sink:
        result = await sender.send(hop(sink.port, tls=demand, ca_file=authority.file))
        assert only(result) == Transient(
            "451 4.7.5 Somebody put words into the connection before it was encrypted", 451, "4.7.5", local=True
        )
        assert result.tls.problem == "injection"
        assert result.failed_at is Stage.STARTTLS
        assert sink.taken == []
        assert sink.connections == 1  # no second try in cleartext


async def test_what_was_said_in_cleartext_is_forgotten(sender: Sender, authority: Authority) -> None:
    """Extensions of before the handshake do not count: here SIZE 1 would have refused the message."""
    inside = b"250-sink.test\r\n250 PIPELINING\r\n"
    outside = b"250-sink.test\r\n250-STARTTLS\r\n250-DSN\r\n250 SIZE 1\r\n"
    with Sink({"EHLO": [outside, inside]}, certificate=authority.context("sink.test")) as sink:
        result = await sender.send(hop(sink.port))
        assert isinstance(only(result), Delivered)
        assert not result.dsn


BAD_CERTIFICATES: dict[str, tuple[tuple[str, ...], int, str]] = {
    "wrong name": (("other.test",), 2, "certificate"),
    "expired": (("sink.test",), -1, "certificate"),
    "a wildcard too high": (("*.test",), 2, "certificate"),
}


@pytest.mark.parametrize("implicit", [False, True])
@pytest.mark.parametrize("what", [*BAD_CERTIFICATES, "unknown authority"])
async def test_a_certificate_that_is_not_good(
    sender: Sender, authority: Authority, tmp_path: Path, what: str, implicit: bool
) -> None:
    names, days, word = BAD_CERTIFICATES.get(what, (("sink.test",), 2, "certificate"))
    signer = authority if what in BAD_CERTIFICATES else Authority(tmp_path)
    context = signer.context(*names, days=days)
    with Sink(certificate=context, implicit_tls=implicit) as sink:
        terms: dict[str, Any] = {"ca_file": authority.file, "implicit_tls": implicit, "tls": TlsDemand.VERIFIED}
        result = await sender.send(hop(sink.port, **terms))
        outcome = only(result)
        if what == "a wildcard too high" and isinstance(outcome, Delivered):
            pytest.fail("*.test must not stand for sink.test")
        assert isinstance(outcome, Transient)
        assert (result.tls.problem, result.failed_at, result.try_next) == (word, Stage.TLS, True)
        assert sink.taken == []
        for demand in (TlsDemand.REQUIRED, TlsDemand.OPPORTUNISTIC):
            result = await sender.send(hop(sink.port, **{**terms, "tls": demand}))
            assert isinstance(only(result), Delivered)
            assert result.tls.version == "TLSv1.3"
            assert not result.tls.verified
        assert [taken.tls for taken in sink.taken] == [True, True]


@pytest.mark.parametrize(
    ("certificate", "names", "good"),
    [
        (("a.test", "sink.test"), ("x.test", "sink.test"), True),
        (("*.mail.test",), ("x.test", "MX1.mail.test."), True),
        (("*.mail.test",), ("x.test", "a.b.mail.test"), False),
        (("*.test",), ("x.test", "sink.test"), False),
        (("other.test",), ("x.test", "sink.test"), False),
        (("sink.test",), ("x.test", "sink.test.evil.test"), False),
    ],
)
async def test_one_of_several_names(
    sender: Sender, authority: Authority, certificate: tuple[str, ...], names: tuple[str, ...], good: bool
) -> None:
    with Sink(certificate=authority.context(*certificate)) as sink:
        terms = {"tls": TlsDemand.VERIFIED, "ca_file": authority.file, "names": names}
        result = await sender.send(hop(sink.port, **terms))
        assert isinstance(only(result), Delivered) is good
        assert result.tls.problem == ("" if good else "name")
        assert result.tls.verified is good


async def test_a_name_of_its_own_instead_of_the_host(sender: Sender, authority: Authority) -> None:
    with Sink(certificate=authority.context("internal.test")) as sink:
        terms = {"tls": TlsDemand.VERIFIED, "ca_file": authority.file}
        assert isinstance(only(await sender.send(hop(sink.port, **terms))), Transient)
        result = await sender.send(hop(sink.port, names=("internal.test",), **terms))
        assert isinstance(only(result), Delivered)
        assert result.tls.verified


async def test_the_authorities_cannot_be_read(sender: Sender, tmp_path: Path) -> None:
    with Sink() as sink:
        result = await sender.send(hop(sink.port, tls=TlsDemand.VERIFIED, ca_file=tmp_path / "none.pem"))
        assert only(result).enhanced == "4.3.5"
        assert str(tmp_path) not in only(result).reply
        assert str(tmp_path) in result.tls.detail
        assert sink.connections == 0


async def test_sessions_are_resumed_and_never_across_demands(sender: Sender, authority: Authority) -> None:
    """From the third connection on: a server that is met once costs no more for it."""
    with Sink({".": [b"250 ok\r\n"]}, certificate=authority.context("sink.test")) as sink:
        verified = {"tls": TlsDemand.VERIFIED, "ca_file": authority.file}
        steps: list[tuple[dict[str, Any], int]] = [
            ({}, 0),
            ({}, 0),
            ({}, 1),
            (verified, 1),
            (verified, 1),
            (verified, 2),
        ]
        for terms, resumed in steps:
            result = await sender.send(hop(sink.port, **terms))
            assert isinstance(only(result), Delivered)
            assert result.tls.verified is (terms is verified)
            assert len(result.tls.certificate) == 64
            await sender.connections.close()
            await asyncio.sleep(0)
            assert sink.resumed == resumed


async def test_requiretls(sender: Sender, authority: Authority) -> None:
    asked = await sender.message(requiretls=True)
    context = authority.context("sink.test")
    terms = {"ca_file": authority.file}
    with Sink(certificate=context, extensions=(*EXTENSIONS, "REQUIRETLS")) as sink:
        assert isinstance(only(await sender.send(hop(sink.port, **terms), asked)), Delivered)
        assert sink.taken[0].mail == f"MAIL FROM:<a@example.org> SIZE={len(LETTER)} REQUIRETLS"
        # The same server under another name: opportunistic delivery would do, REQUIRETLS does not.
        result = await sender.send(hop(sink.port, name="other.test", **terms), asked)
        assert isinstance(only(result), Permanent)
        assert only(result).enhanced == "5.7.30"
        assert result.try_next
        assert len(sink.taken) == 1
    for sink in (Sink(certificate=context), Sink(extensions=(*EXTENSIONS, "REQUIRETLS"))):
        with sink:
            result = await sender.send(hop(sink.port, **terms), asked)
            assert isinstance(only(result), Permanent)
            assert only(result).enhanced == "5.7.30"
            assert sink.taken == []


async def test_passwords_inside_tls_only(sender: Sender, authority: Authority) -> None:
    login = Login("shop", Secret("open sesame"))
    inside = ("PIPELINING", "AUTH PLAIN LOGIN")
    with Sink(certificate=authority.context("sink.test"), extensions=inside) as sink:
        assert isinstance(only(await sender.send(hop(sink.port, login=login))), Delivered)
        assert "AUTH PLAIN AHNob3AAb3BlbiBzZXNhbWU=" in sink.lines
        other = hop(sink.port, login=Login("shop", Secret("another")))
        assert not (await sender.send(other)).reused  # what one password opened is not for another
    with Sink(extensions=inside) as sink:
        result = await sender.send(hop(sink.port, login=login))
        assert isinstance(only(result), Transient)
        assert result.failed_at is Stage.AUTH
        assert not any(line.startswith("AUTH") for line in sink.lines)
    with Sink({"AUTH": b"535 5.7.8 no\r\n"}, certificate=authority.context("sink.test"), extensions=inside) as sink:
        result = await sender.send(hop(sink.port, login=login))
        assert only(result) == Transient("535 5.7.8 no", 535, "4.7.8")  # ours to repair; the mail waits
        assert result.failed_at is Stage.AUTH


async def test_tls_from_the_first_byte(sender: Sender, authority: Authority) -> None:
    with Sink(certificate=authority.context("sink.test"), implicit_tls=True) as sink:
        terms = {"implicit_tls": True, "tls": TlsDemand.VERIFIED, "ca_file": authority.file}
        result = await sender.send(hop(sink.port, **terms))
        assert isinstance(only(result), Delivered)
        assert result.tls.verified
    with Sink() as sink:  # no TLS there
        result = await sender.send(hop(sink.port, **{**terms, "timeouts": QUICK}))
        assert isinstance(only(result), Transient)
        assert (result.failed_at, result.tls.problem) == (Stage.TLS, "handshake")
