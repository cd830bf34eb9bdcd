"""A domain with every kind of TLS on its mail server, in DNS and on the web, and a queue that sends to it."""

import hashlib
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import dns.name
import dns.rcode
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from poterne.config.outbound_tls import OutboundTls
from poterne.config.settings import Settings
from poterne.lab.dns import Zones
from poterne.net.dns.resolver import StubResolver
from poterne.queue.security import Security
from poterne.values.ids import TraceId
from poterne.values.queue import NewQueued, NewRecipient
from tests.support.name_server import stub, zones_served
from tests.support.outbound import Authority
from tests.support.queue_world import LETTER, Post, post, settings
from tests.support.stores import blob
from tests.support.web import Web, page, web

DAY_S = 86_400
MX = "mx.d.test"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@dataclass
class Server:
    """A mail server's TLS, and what TLSA records may say of it."""

    context: ssl.SSLContext
    leaf: bytes
    authority: bytes

    def tlsa(self, usage: int, selector: int, matching: int) -> str:
        der = self.authority if usage == 2 else self.leaf
        if selector:
            key = x509.load_der_x509_certificate(der).public_key()
            der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        data = der if not matching else (hashlib.sha256 if matching == 1 else hashlib.sha512)(der).digest()
        return f"{usage} {selector} {matching} {data.hex()}"


def served(authority: Authority, *names: str, days: int = 2) -> Server:
    """With the authority's certificate in the chain."""
    authority.context(*names, days=days)
    path = authority.file.parent / f"{names[0]}{days}.pem"
    whole = path.with_suffix(".whole")
    whole.write_bytes(path.read_bytes() + authority.file.read_bytes())
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(whole)
    ders = [
        x509.load_pem_x509_certificates(each.read_bytes())[0].public_bytes(Encoding.DER)
        for each in (path, authority.file)
    ]
    return Server(context, *ders)


@dataclass
class World:
    post: Post
    zones: Zones
    site: Web
    authority: Authority
    resolver: StubResolver

    def zone(self, port: int, *lines: str, mx: str = MX) -> None:
        self.zones.put(
            "d.test",
            "\n".join(
                [
                    "@ 60 IN SOA ns.d.test. root.d.test. 1 60 60 60 60",
                    "@ 60 IN NS ns.d.test.",
                    f"@ 60 IN MX 10 {mx}.",
                    "mx 60 IN A 127.0.0.1",
                    "mx2 60 IN A 127.0.0.1",
                    "mta-sts 60 IN A 127.0.0.1",
                    '_smtp._tls 60 IN TXT "v=TLSRPTv1; rua=mailto:tls@d.test"',
                    *(line.replace("PORT", str(port)) for line in lines),
                ]
            ),
        )

    def settings(self, port: int, **tls: object) -> Settings:
        outbound = OutboundTls(ca=str(self.authority.file), policy_port=self.site.port)
        return replace(settings(mx_port=port), outbound_tls=replace(outbound, **tls))  # type: ignore[arg-type]

    def policy(self, mode: str, *mx: str, max_age: int = DAY_S) -> None:
        lines = ["version: STSv1", f"mode: {mode}", *(f"mx: {one}" for one in mx or (MX,)), f"max_age: {max_age}"]
        self.site.answer = lambda _: page("".join(f"{line}\r\n" for line in lines).encode())

    async def send(
        self,
        port: int,
        *,
        requiretls: bool = False,
        reverse_path: str = "alice@example.org",
        tls_optional: bool = False,
        **tls: object,
    ) -> str:
        """ "sent", "sent verified", "deferred …" or "failed …"."""
        runner = self.post.start(self.settings(port, **tls), self.resolver)
        kept = await blob(self.post.store, LETTER)
        recipients = (NewRecipient("b@d.test", "d.test"),)
        new = NewQueued(
            self.post.account(),
            TraceId("t"),
            reverse_path,
            kept,
            recipients,
            int(self.post.clock.now),
            requiretls=requiretls,
            tls_optional=tls_optional,
        )
        before = {
            kind: len(await self.post.events(kind)) for kind in ("message.sent", "message.deferred", "message.failed")
        }
        await self.post.store.deliver([], [new], [])
        self.post.wake()
        await self.post.rest()
        security = runner._security
        assert security is not None
        await security.tally.flush()
        await self.post.stop()
        for kind, count in before.items():
            events = await self.post.events(kind)
            if len(events) > count:
                event = events[0]
                if kind == "message.sent":
                    how = {"tls": event.detail.get("tls", "clear"), "verified": event.detail.get("tls_verified", False)}
                    return "sent " + (
                        "clear" if how["tls"] == "clear" else "verified" if how["verified"] else "encrypted"
                    )
                return f"{kind.removeprefix('message.')} {event.reason}"
        raise AssertionError("nothing happened")

    async def counted(self) -> list[str]:
        """`kind succeeded/failed result…` of each policy."""
        found = []
        for day, domain in await self.post.store.tls_to_report(1 << 40):
            for count in await self.post.store.tls_counts(day, domain):
                results = " ".join(sorted(failure.result.value for failure, _ in count.failures))
                found.append(f"{count.policy.kind.value} {count.succeeded}/{count.failed} {results}".strip())
        return sorted(found)


@pytest.fixture
async def world(authority: Authority, tmp_path: Path) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        zones = Zones({})
        site = await stack.enter_async_context(web(authority.context("mta-sts.d.test")))
        port = await stack.enter_async_context(zones_served(zones))
        resolver = stub(port)
        stack.callback(resolver.close)
        yield World(await stack.enter_async_context(post(tmp_path)), zones, site, authority, resolver)


NONE, GOOD, WRONG, EXPIRED, STRANGER = "none", "good", "wrong name", "expired", "unknown authority"


def server_of(kind: str, authority: Authority, tmp_path: Path) -> Server | None:
    match kind:
        case "none":
            return None
        case "wrong name":
            return served(authority, "other.test")
        case "expired":
            return served(authority, MX, days=-1)
        case "unknown authority":
            folder = tmp_path / "stranger"
            folder.mkdir()
            return served(Authority(folder), MX)
    return served(authority, MX)


def context_of(server: Server | None) -> ssl.SSLContext | None:
    return None if server is None else server.context


def secure(world: World) -> None:
    world.zones._secure.add(dns.name.from_text("d.test"))


def security(world: World, port: int) -> Security:
    post = world.post
    return Security(
        post.store, world.resolver, world.settings(port), post.folder, clock=post.clock, log=post.log
    )  # fmt: skip
