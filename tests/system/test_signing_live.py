"""Signatures of a whole server: its keys come into use when DNS has them, and what other servers get verifies."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from poterne.admin import dkim, people
from poterne.config.dkim import Dkim
from poterne.config.render import Value
from poterne.values.dkim import DkimKey
from poterne.values.ids import TraceId
from tests.support.outside import Client, Outside, submit
from tests.support.server import ADDRESS, DOMAIN, Instance, wait_for
from tests.support.signatures import passed

ACTING = people.Acting("test", int(time.time()), TraceId("test"))
FAR = "carol@far.test"
BOTH = [(DOMAIN, "rsa-sha256"), (DOMAIN, "ed25519-sha256")]
SOA = "$TTL 60\n@ SOA ns hostmaster 1 60 60 60 60\n@ NS ns\n@ MX 10 mx\nns A 127.0.0.1\nmx A 127.0.0.1\n"


@dataclass
class Place:
    server: Instance
    outside: Outside

    @property
    def keys(self) -> list[DkimKey]:
        found: list[DkimKey] = self.server.with_store(lambda store: dkim.keys_of(store, DOMAIN))
        return found

    def signed(self, word: str) -> bytes:
        """What left with that word in it, well signed."""
        (taken,) = self.outside.wait_taken(word)
        assert passed(taken.text, self.keys, int(time.time())) == BOTH
        return taken.text


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with Outside("far.test", others={DOMAIN: ADDRESS}) as outside, tempfile.TemporaryDirectory() as folder:
        chosen: dict[str, dict[str, Value]] = {**outside.settings, "sendmail": {"socket": "submit.sock"}}
        server = Instance(Path(folder) / "i", chosen=chosen)
        made = Place(server, outside)
        server.with_store(lambda store: dkim.for_new_domain(store, DOMAIN, ACTING, Dkim()))
        lines = [
            f"{one.name}. TXT " + " ".join(f'"{text}"' for text in one.strings) + "\n"
            for one in dkim.records(made.keys)
        ]
        outside.zones.put(DOMAIN, SOA + "".join(lines))
        for name, targets in (("team", [f"bob@{DOMAIN}", FAR]), ("outside", [FAR])):
            server.poterne("alias", "add", f"{name}@{DOMAIN}", *targets)
        try:
            server.start()
            yield made
        finally:
            assert server.stop() == 0
        assert not server.events("dkim.bug")
        assert not server.events("queue.bug")


@pytest.fixture(autouse=True)
def _signs(place: Place) -> None:
    place.server.wait_event("dkim.active", 2)


def test_keys_sign_as_soon_as_dns_has_them(place: Place) -> None:
    assert {(key.state.value, key.seen_at > 0) for key in place.keys} == {("active", True)}
    assert [said["selector"] for said in place.server.events("dkim.published")]


@pytest.mark.parametrize("port", ["submission", "submissions"])
def test_who_submits(place: Place, port: str) -> None:
    assert submit(place.server, "alice", FAR, f"sub-{port}", port=port).startswith("250")
    text = place.signed(f"sub-{port}")
    assert text.startswith(b"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;")


def test_a_script(place: Place) -> None:
    server = place.server
    server.poterne("alias", "add", f"shop@{DOMAIN}", f"bob@{DOMAIN}")
    server.poterne(
        "sender", "add", "shop", "--owner", f"bob@{DOMAIN}", "--from", f"shop@{DOMAIN}", "--to", "@far.test",
        "--uid", str(os.getuid()), "--approve",
    )  # fmt: skip
    subprocess.run(
        [sys.executable, "-m", "poterne.sendmail", "--socket", str(server.folder / "submit.sock"), "-t", "-i"],
        input=f"From: shop@{DOMAIN}\nTo: {FAR}\nSubject: by-script\n\nYour order\n",
        text=True,
        check=True,
        timeout=30,
    )
    assert b"\r\nAuto-Submitted: auto-generated\r\n" in place.signed("by-script")


@pytest.mark.parametrize("name", ["team", "outside"])
def test_a_list_of_ours(place: Place, name: str) -> None:
    assert submit(place.server, "alice", f"{name}@{DOMAIN}", f"list-{name}").startswith("250")
    text = place.signed(f"list-{name}")
    assert f"\r\nDelivered-To: {name}@{DOMAIN}\r\n".encode() in text


@pytest.mark.parametrize("author", ["carol@far.test", f"alice@{DOMAIN}"], ids=["own", "spoof"])
@pytest.mark.parametrize("sender", ["carol@far.test", f"alice@{DOMAIN}", ""])
def test_what_strangers_write_is_not_signed(place: Place, author: str, sender: str) -> None:
    """A spoof may as well be refused."""
    word = f"stranger-{abs(hash((author, sender)))}"
    trace = {"Received": f"from a by mail.{DOMAIN} with ESMTPSA id x; Sun, 22 Nov 2026 21:00:00 +0000"}
    with Client(place.server) as client:
        reply = client.send(f"outside@{DOMAIN}", word, sender=sender, author=author, fields=trace)
    if reply.startswith("250"):
        wait_for(lambda: place.outside.taken(word) or place.server.with_store(lambda store: store.quarantined()))
        for taken in place.outside.taken(word):
            assert b"DKIM-Signature" not in taken.text
    else:
        assert author != "carol@far.test", reply
        assert reply[:1] in {"4", "5"}


def test_the_same_from_the_command_line(place: Place) -> None:
    said = place.server.poterne("dkim", "list", DOMAIN).stdout
    assert said.count(" active ") == 2
    assert "Publish" not in said
    made = place.server.poterne("dkim", "rotate", DOMAIN).stdout
    assert made.count(f'._domainkey.{DOMAIN}. TXT "v=DKIM1; k=') == 2
    refused = place.server.poterne("dkim", "activate", DOMAIN, place.keys[-1].selector, status=1)
    assert "it is not in DNS yet" in refused.stderr
