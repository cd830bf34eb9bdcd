"""DKIM with OpenDKIM and dkimpy: they verify what we sign, as it arrived; we verify what they sign."""

import base64
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from poterne.admin import dkim
from poterne.admin.people import Acting
from poterne.mailauth.dkim.keys import load
from poterne.mailauth.dkim.outcome import Reason, Result
from poterne.mailauth.dkim.record import KeyType
from poterne.mailauth.dkim.sign import Signer
from poterne.message.header import index
from poterne.values.dkim import DkimKey, KeyState
from poterne.values.ids import TraceId
from tests.support.peer_dkim import OPENDKIM, Peers, dkimpy_there
from tests.support.queue_world import Post, here, post, settings
from tests.support.signatures import outcomes
from tests.support.sink import EXTENSIONS, Sink

SIGNERS_THERE = Path(OPENDKIM).exists() and dkimpy_there()

pytestmark = [
    pytest.mark.peers,
    pytest.mark.skipif(not SIGNERS_THERE, reason="opendkim or dkimpy is missing (see .ci/peers)"),
]

DOMAIN = "example.org"
CORPUS = sorted(Path("tests/corpus").glob("*.eml"))
HEAD = (
    b"From: Alice <alice@example.org>\r\nTo: bob@example.net\r\nSubject:  spaces \t and\r\n\t folds \r\nDate: now\r\n"
)
ODD = {
    "plain": HEAD + b"\r\nhello\r\n",
    "empty body": HEAD + b"\r\n",
    "empty lines": HEAD + b"\r\n\r\n\r\n\r\n",
    "spaces": HEAD + b"\r\n two  spaces \t\r\n \r\n\t\r\nend \t \r\n\r\n \r\n\r\n",
    "no last line end": HEAD + b"\r\nhello",
    "dots": HEAD + b"\r\n.\r\n..\r\n. \r\n",
    "octets": HEAD + b"\r\n" + bytes(range(1, 10)) + bytes(range(0x0E, 0x100)) + b"\r\n",
    "several": HEAD
    + b"Received: a\r\nReceived: b\r\nComments: one\r\nComments: two\r\nReply-To: x@example.org\r\n\r\nx\r\n",
    "names": HEAD.replace(b"From", b"FROM").replace(b"Subject", b"suBJect") + b"\r\nx\r\n",
    "list": HEAD
    + b"List-Id: <x.example.org>\r\nList-Unsubscribe: <https://example.org/>\r\nSender: y@example.org\r\n\r\nx\r\n",
    "large": HEAD + b"\r\n" + b"many lines of text, with  spaces \r\n" * 20_000,
}


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Post]:
    async with post(tmp_path) as made:
        made.clock.now = time.time()
        yield made


@pytest.fixture
async def keys(office: Post) -> list[DkimKey]:
    acting = Acting("test", int(time.time()), TraceId("test"))
    kinds = (KeyType.RSA, KeyType.ED25519)
    return await dkim.create(office.store, DOMAIN, acting, kinds, state=KeyState.ACTIVE)


@pytest.fixture
def peers(keys: list[DkimKey], tmp_path: Path) -> Peers:
    folder = tmp_path / "scratch"
    folder.mkdir()
    return Peers(folder, {one.name: one.value for one in dkim.records(keys)})


def signed(message: bytes, keys: list[DkimKey]) -> bytes:
    header = index(message)
    signer = Signer([load(key.private, key.domain, key.selector) for key in keys], header, int(time.time()))
    signer.feed(message[header.end :])
    return signer.finish() + message


def messages() -> list[bytes]:
    return [*ODD.values(), *(path.read_bytes() for path in CORPUS)]


def whole_lines() -> list[bytes]:
    """OpenDKIM's test mode reads lines; over SMTP the last one ends always."""
    return [message if message.endswith(b"\r\n") else message + b"\r\n" for message in messages()]


async def test_opendkim_verifies_what_we_sign(keys: list[DkimKey], peers: Peers) -> None:
    found = peers.opendkim_says([signed(message, keys) for message in whole_lines()])
    for message, said in zip(whole_lines(), found, strict=True):
        assert said == {key.selector: "pass" for key in keys}, message[:300]


async def test_opendkim_sees_what_was_changed(keys: list[DkimKey], peers: Peers) -> None:
    good = signed(ODD["several"], keys)
    for old, new in ((b"alice@", b"alicf@"), (b"\r\nx\r\n", b"\r\ny\r\n"), (b"\r\nTo:", b"\r\nFrom: x@y.test\r\nTo:")):
        (said,) = peers.opendkim_says([good.replace(old, new)])
        assert set(said.values()) == {"fail"}


async def test_dkimpy_verifies_what_we_sign(keys: list[DkimKey], peers: Peers) -> None:
    found = peers.dkimpy_says([signed(message, keys) for message in messages()])
    for message, said in zip(messages(), found, strict=True):
        assert said == [True, True], message[:300]


@pytest.mark.parametrize("forms", ["relaxed/relaxed", "relaxed/simple", "simple/relaxed", "simple/simple"])
@pytest.mark.parametrize("who", ["opendkim", "dkimpy"])
async def test_we_verify_what_they_sign(
    keys: list[DkimKey], peers: Peers, who: str, forms: str, tmp_path: Path
) -> None:
    signs = peers.opendkim_signs if who == "opendkim" else peers.dkimpy_signs
    for key in keys:
        if who == "opendkim" and key.algorithm.startswith("ed25519") and forms.startswith("simple"):
            continue  # OpenDKIM 2.11 itself does not verify what it signs so
        path = tmp_path / key.selector
        path.write_bytes(key.private.reveal())
        if who == "dkimpy" and key.algorithm.startswith("ed25519"):
            raw = load(key.private, DOMAIN, key.selector).private.private_bytes_raw()  # type: ignore[union-attr]
            path.write_bytes(base64.b64encode(raw))
        for name in ("plain", "empty body", "spaces", "several"):
            message = ODD[name]
            if who == "opendkim":  # of white space behind a colon its test mode reads one space
                message = message.replace(b":  ", b": ")
            made = signs(message, path, key.selector, DOMAIN, key.algorithm, forms)
            (said,) = outcomes(made, keys, int(time.time()))
            assert (said.result, said.domain, said.algorithm) == (Result.PASS, DOMAIN, key.algorithm), (name, made)
            (broken,) = outcomes(made.replace(b"alice", b"malice"), keys, int(time.time()))
            assert broken.reason is Reason.SIGNATURE


@pytest.mark.parametrize("old", [False, True], ids=["8bit", "7bit"])
async def test_what_arrived_verifies_there(office: Post, keys: list[DkimKey], peers: Peers, old: bool) -> None:
    extensions = tuple(word for word in EXTENSIONS if not old or word not in {"8BITMIME", "SMTPUTF8"})
    letter = (
        HEAD
        + b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    )
    with Sink(extensions=extensions) as sink:
        office.start(settings({"all": here("*", port=sink.port)}))
        await office.queue("a@far.test", letter=letter + "Œufs à la coque  \r\n.\r\nfin".encode())
        assert await office.rest() == []
        (taken,) = sink.taken
    assert taken.text.isascii() is old
    (said,) = peers.opendkim_says([taken.text])
    assert said == {key.selector: "pass" for key in keys}
    assert peers.dkimpy_says([taken.text]) == [[True, True]]
