"""Spoofers against a server that verifies: forged mail over real SMTP from addresses of its own, and what became of each message.

Two servers in the same DNS. The first is as it is shipped, but for the names that its administrator trusts. The second, *mild*,
puts into Junk what the first refuses, so that what our Authentication-Results say of a forgery can be read there too.
"""

import asyncio
import imaplib
import itertools
import json
import re
import threading
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from pathlib import Path
from typing import Any, Final, TypeVar, cast

from poterne.admin import people
from poterne.admin.instance import DATA
from poterne.app.stores import open_instance_store
from poterne.config.load import load
from poterne.lab.dns import NameServer, Zones
from poterne.store.interface import Store
from poterne.values.event import Event
from poterne.values.ids import TraceId
from tests.support.attack_client import Wire
from tests.support.name_server import free_dns_port
from tests.support.server import DOMAIN, PASSWORD, Instance, wait_for
from tests.support.spoofers_zones import FORGER, HONEST, SmallRsa, attacker, zones
from tests.unit.mailauth.dkim.signed import Private, ed25519, signature_field

T = TypeVar("T")
ALICE: Final = f"alice@{DOMAIN}"
BOB: Final = f"bob@{DOMAIN}"
BANK: Final = "admin@bank.test"
EVIL: Final = "x@evil.test"
OURS: Final = f"mail.{DOMAIN}"
"""Who our results say they are of."""
PROTECTED: Final = "Marie Dupont"
ACTING: Final = people.Acting("test", 1_780_000_000, TraceId("test"))
TRUST: Final = {
    "arc_sealers": ["sealer.test"],
    "forwarders": ["forward.test"],
    "lists": ["named.lists2.test"],
    "protected_names": [PROTECTED],
}
MILD: Final = dict.fromkeys(("reject", "quarantine", "lookalikes", "proven_lookalikes"), "junk")
_serial = itertools.count(1)
_VERDICT: Final = re.compile(r"(?<![.a-z])(spf|dkim|dmarc|arc)=([a-z]+)")


@dataclass(frozen=True)
class Seen:
    """What became of a message. Nothing was recorded: `event` is None; nobody has it: `folder` is "" and `message` too."""

    reply: str
    folder: str
    """"INBOX", "Junk", "quarantine"."""
    reason: str
    """The stable word of its refusal or verdict."""
    event: Event | None
    results: str = ""
    """Our Authentication-Results in one line; of what is refused, those of the mild server."""
    message: EmailMessage | None = None
    raw: bytes = b""

    def said(self, method: str) -> list[str]:
        """The words of our results for that method."""
        return [word for name, word in _VERDICT.findall(self.results) if name == method]

    @property
    def detail(self) -> Mapping[str, object]:
        return {} if self.event is None else self.event.detail


class World:
    """DNS, both servers, and eyes on all that they keep."""

    def __init__(self, folder: Path) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        port = free_dns_port()
        self.zones = Zones(zones())
        self._names = NameServer(self.zones, "127.0.0.1", port)
        self.wait(self._names.start())
        self.server = Watched(self, folder / "strict", port, TRUST)
        self.mild = Watched(self, folder / "mild", port, {**TRUST, **MILD})
        try:
            for one in (self.server, self.mild):
                one.ready()
            self.honest()
            self.honest_by_one_proof()
        except BaseException:  # nothing is left running
            for one in (self.server, self.mild):
                one.instance.stop()
            raise

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def close(self) -> None:
        try:
            self.honest_by_one_proof()
        finally:
            bugs = [*self.server.close(), *self.mild.close()]
        self.wait(_closed(self._names))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()
        assert not bugs, bugs[0]

    def judged(
        self,
        message: bytes,
        sender: str = EVIL,
        *,
        peer: str = FORGER,
        helo: str = "mail.evil.test",
        to: Sequence[str] = (ALICE,),
        options: str = "",
    ) -> Seen:
        """What the first server does with it, with the results of the second when the first has none to show."""
        seen = self.server.judged(message, sender, peer=peer, helo=helo, to=to, options=options)
        if seen.event is None or seen.event.kind != "message.refused":
            return seen
        return replace(
            seen, results=self.mild.judged(message, sender, peer=peer, helo=helo, to=to, options=options).results
        )

    def honest(self) -> None:
        """The control of every test: what must pass, passes, and a plain forgery does not."""
        seen = self.server.judged(signed(letter(BANK)), BANK, peer=HONEST, helo="mx.bank.test")
        assert (seen.folder, seen.reason) == ("INBOX", "proven"), seen
        assert (seen.said("spf")[0], seen.said("dkim"), seen.said("dmarc")) == ("pass", ["pass"], ["pass"]), seen
        assert self.server.judged(letter(BANK), EVIL).reason == "dmarc-reject"

    def honest_by_one_proof(self) -> None:
        """Either SPF or DKIM is enough, on both servers."""
        for server in (self.server, self.mild):
            signature = server.judged(signed(letter(BANK)), "", peer=FORGER)
            assert (signature.folder, signature.said("dmarc")) == ("INBOX", ["pass"]), signature
            by_server = server.judged(letter(BANK), BANK, peer=HONEST)
            assert (by_server.folder, by_server.said("dmarc")) == ("INBOX", ["pass"]), by_server


class Watched:
    """A server that runs, its store, one person's mailboxes, and its log."""

    def __init__(self, world: World, folder: Path, dns_port: int, inbound: Mapping[str, object]) -> None:
        self._world = world
        chosen: dict[str, dict[str, object]] = {
            "server": {"workers": 1, "drain_s": 1},
            "dns": {"servers": [f"127.0.0.1:{dns_port}"], "timeout_s": 1, "deadline_s": 1},
            "smtp": {"greeting_delay_s": 0},
            "inbound": {"verify": True, "max_dns_s": 2, **inbound},
        }
        self.instance = Instance(folder, chosen=chosen)  # type: ignore[arg-type]
        self.instance.rewrite("[listener.mx]\n", "[listener.mx]\nmax_per_minute = 0\n")  # many cases, few addresses
        self.instance.with_store(_trusting)
        self.instance.spawn()
        self._read = 0
        self._last = ""
        self._imap: imaplib.IMAP4_SSL | None = None

    def ready(self) -> None:
        self.instance.wait_event("server.ready")
        self.store: Store = self._world.wait(self._open())

    async def _open(self) -> Store:
        return open_instance_store(self.instance.folder / DATA, load(self.instance.settings))

    def close(self) -> list[dict[str, Any]]:
        """What it logged of its own faults."""
        if self._imap is not None:
            self._imap.shutdown()
        self._world.wait(self.store.close())
        status = self.instance.stop()
        lines = self.instance.lines()
        bugs = [line for line in lines if line["event"].rpartition(".")[2] == "bug" or "exception" in line]
        return bugs or ([] if status == 0 else [{"status": status}])

    def judged(
        self,
        message: bytes,
        sender: str,
        *,
        peer: str = FORGER,
        helo: str = "mail.evil.test",
        to: Sequence[str] = (ALICE,),
        options: str = "",
    ) -> Seen:
        """Send it, and look where it is."""
        self._logged()
        reply = self.send(message, sender, peer=peer, helo=helo, to=to, options=options)
        if reply.startswith("250"):
            return self._kept(reply, to[0])
        lines = wait_for(self._logged, 5, f"nothing was logged of {reply}")
        refused = [line for line in lines if line["event"] == "smtp.refused"]
        assert len(refused) == 1, lines
        event = self._newest("message.refused", "message.deferred")
        if event is not None and event.trace_id == self._last:
            event = None
        if event is not None:
            self._last = event.trace_id
        return Seen(reply, "", refused[0]["reason"], event)

    def send(
        self,
        message: bytes,
        sender: str,
        *,
        peer: str = FORGER,
        helo: str = "mail.evil.test",
        to: Sequence[str] = (ALICE,),
        options: str = "",
    ) -> str:
        """The answer to the message, or to the command before it that was refused."""
        wire = Wire(self.instance.ports["mx"], source=peer, timeout_s=8)
        try:
            greeting = wire.reply()
            assert greeting.startswith(b"220"), greeting
            commands = [f"EHLO {helo}", f"MAIL FROM:<{sender}>{options}", *(f"RCPT TO:<{one}>" for one in to), "DATA"]
            for command in commands:
                answer = wire.say(command.encode())
                if answer[:1] not in b"23":
                    return answer.decode().strip()
            wire.send(re.sub(rb"(?m)^\.", b"..", message) + b".\r\n")
            return wire.reply().decode().strip()
        finally:
            wire.close()

    def _logged(self) -> list[dict[str, Any]]:
        """New whole lines of the log that tell of a refusal."""
        with self.instance.log.open("rb") as file:
            file.seek(self._read)
            data = file.read()
        data = data[: data.rfind(b"\n") + 1]
        self._read += len(data)
        return [json.loads(line) for line in data.splitlines() if b"refused" in line]

    def _newest(self, *kinds: str) -> Event | None:
        found = [event for kind in kinds for event in self._world.wait(self.store.events(kind=kind, limit=1))]
        return max(found, key=lambda event: (event.at, event.trace_id != self._last), default=None)

    def _kept(self, reply: str, to: str) -> Seen:
        trace = reply.rpartition(" ")[2]
        events = self._world.wait(self.store.events(kind="message.accepted", limit=3))
        (event,) = [event for event in events if event.trace_id == trace]
        folder, raw, word = self._place(trace, to)
        message = BytesParser(policy=default).parsebytes(raw)
        results = _ours(raw)
        assert word in {"", event.detail["why"]} or folder == "quarantine", (word, event)
        assert ("X-Poterne-Reason" in message) == (event.detail["verdict"] != "accept"), raw[:2000]
        return Seen(reply, folder, word or str(event.detail["why"]), event, results, message, raw)

    def _place(self, trace: str, to: str) -> tuple[str, bytes, str]:
        for kept in self._world.wait(self.store.quarantined()):
            if kept.trace_id == trace and kept.account == to:
                return "quarantine", self.store.blobs.read(kept.content.blob), kept.reason
        received = re.compile(rb"[ \t]id %b[ ;]" % trace.encode())
        for folder in ("INBOX", "Junk"):
            for raw in self.latest(folder, to):
                if received.search(raw[:6000]):
                    return folder, raw, ""
        raise AssertionError(f"{trace} is nowhere")

    def latest(self, folder: str, of: str = ALICE) -> list[bytes]:
        """The last messages there, as a reader gets them, the newest first: a notice of ours may come between."""
        name = of.partition("@")[0]
        if name == "alice":
            client = self._imap = self._imap or self.instance.imap()
        else:
            client = self.instance.imap(name, PASSWORD)
        count = int(client.select(folder, readonly=True)[1][0] or b"0")
        found: list[Any] = []
        if count:
            found = client.fetch(f"{max(1, count - 2)}:{count}", "(BODY.PEEK[])")[1]
        if name != "alice":
            client.logout()
        return [part[1] for part in reversed(found) if isinstance(part, tuple)]


async def _trusting(store: Store) -> None:
    """Bob has mail of his at relay.test forwarded; an address of ours sends everything on, another is a list's."""
    await people.set_forwarders(store, BOB, ["relay.test"], ACTING)
    await people.add_alias(store, f"forward@{DOMAIN}", ["far@quiet.test"], ACTING)
    await people.add_alias(store, f"team@{DOMAIN}", [ALICE, BOB], ACTING)


async def _closed(server: NameServer) -> None:
    server.close()
    await asyncio.sleep(0.05)  # its sockets go with the next turns of the loop


def _ours(raw: bytes) -> str:
    """Our results in one line: the only field that says it is ours, right behind Return-Path, with one word for DMARC."""
    header = re.sub(rb"\r\n[ \t]+", b" ", raw.partition(b"\r\n\r\n")[0]).decode("ascii", "replace").split("\r\n")
    assert header[0].startswith("Return-Path: "), header
    said = [line for line in header if line.lower().startswith("authentication-results")]
    mine = [line for line in said if OURS in line.lower()]
    assert mine == [header[1]], said
    assert [len(re.findall(rf"(?<![.a-z]){method}=", header[1])) for method in ("dmarc", "arc")] == [1, 1], header[1]
    assert header[1].isascii()
    return header[1].partition(": ")[2]


# -- messages ----------------------------------------------------------------------------------------------------------


def fields(author: str, subject: str = "", *more: str, to: str = ALICE) -> list[bytes]:
    """Those of a message, with their CRLF, each of them once."""
    token = subject or f"spoof-{next(_serial)}"
    lines = (
        *more,
        f"From: {author}",
        f"To: {to}",
        f"Subject: {token}",
        "Date: Sun, 22 Nov 2026 21:00:00 +0000",
        f"Message-ID: <{token.replace(' ', '-')}@test>",
    )
    return [line.encode() + b"\r\n" for line in lines]


def letter(author: str, subject: str = "", *more: str, body: bytes = b"Some text.\r\n") -> bytes:
    return b"".join(fields(author, subject, *more)) + b"\r\n" + body


def signed(
    message: bytes,
    domain: str = "bank.test",
    tags: Mapping[str, str | None] | None = None,
    *,
    key: Private | SmallRsa | None = None,
    **more: str | None,
) -> bytes:
    """With a signature of that domain on top: the bank's and ours by the honest key, evil.test's by the attacker's."""
    head, _, body = message.partition(b"\r\n\r\n")
    lines = re.findall(rb"[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*", head + b"\r\n")
    if key is None:
        key = attacker() if domain.endswith("evil.test") else ed25519()
    said: dict[str, str | None] = {"d": domain, "h": "from:to:subject:date:message-id", **(tags or {}), **more}
    return signature_field(cast("Private", key), lines, body, said) + message


# -- what is expected --------------------------------------------------------------------------------------------------


def refused(seen: Seen, why: str, *, shown: bool = True, **words: str) -> None:
    """In the dialogue, with that reason, in the answer's code, the event and our results. `shown`: the mild server has it."""
    assert seen.reply.startswith("550 5.7."), seen
    assert "http" not in seen.reply, seen
    assert (seen.folder, seen.reason) == ("", why), seen
    assert seen.event is not None, seen
    assert (seen.event.kind, seen.event.reason) == ("message.refused", why), seen
    assert bool(seen.results) == shown, seen
    said(seen, **words)


def malformed(seen: Seen, why: str = "") -> None:
    """Refused for its form, before anybody asks who it is from; the log has the reason."""
    assert seen.reply[:3] in {"500", "501", "550", "553", "554"}, seen
    assert seen.folder == "", seen
    assert not why or seen.reason == why, seen


def deferred(seen: Seen, **words: str) -> None:
    assert seen.reply.startswith("451 4."), seen
    assert seen.folder == "", seen
    assert seen.event is not None, seen
    assert (seen.event.kind, seen.event.reason) == ("message.deferred", "dns"), seen
    said(seen, **words)


def kept(seen: Seen, folder: str, why: str, **words: str) -> None:
    """Taken, and where."""
    assert seen.reply.startswith("250"), seen
    assert (seen.folder, seen.reason) == (folder, why), seen
    said(seen, **words)


def said(seen: Seen, **words: str) -> None:
    """These words, in the event and in our results when there are any."""
    for method, word in words.items():
        in_event = str(seen.detail.get(method, "none"))
        assert word in [part.rpartition("=")[2] for part in in_event.split(",")], (method, seen)
        if seen.results:
            found = seen.said(method)
            assert (word in found) if method == "dkim" else found[0] == word, (method, seen)
