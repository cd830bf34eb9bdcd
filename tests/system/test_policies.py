"""MTA-STS policies over HTTPS, from a real server: what it says, what it refuses, the certificate by name."""

import asyncio
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from poterne.config.load import load
from poterne.lab.dns import Zones
from poterne.mailauth.mtasts.policy import Mode, Policy, parse
from poterne.mailauth.mtasts.text import rendered
from poterne.net.https import FetchTerms, get
from poterne.net.tls import ClientContexts
from poterne.values.dns import Found
from tests.support.name_server import stub, zones_served
from tests.support.outbound import Authority
from tests.support.published import zone_text
from tests.support.server import ADDRESS, DOMAIN, Instance, free_port

HOST = f"mta-sts.{DOMAIN}"
PATH = "/.well-known/mta-sts.txt"
POLICY = Policy(Mode.ENFORCE, 86_400, (f"mail.{DOMAIN}",))


class Served:
    def __init__(self, instance: Instance, port: int, authority: Authority) -> None:
        self.instance, self.port, self.authority = instance, port, authority

    def ask(self, request: str, sni: str = HOST, alpn: tuple[str, ...] = ()) -> tuple[bytes, str | None]:
        """All that comes back."""
        context = ssl.create_default_context(cafile=str(self.authority.file))
        if alpn:
            context.set_alpn_protocols(list(alpn))
        raw = socket.create_connection((ADDRESS, self.port), timeout=10)
        with raw, context.wrap_socket(raw, server_hostname=sni) as link:
            link.sendall(request.encode())
            out = b""
            while got := link.recv(65_536):
                out += got
            return out, link.selected_alpn_protocol()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("policies")
    authority = Authority(folder)
    authority.context(f"mail.{DOMAIN}")
    authority.context(HOST)
    port = free_port()
    instance = Instance(folder / "instance")
    with instance.settings.open("a") as more:
        more.write(
            f'\n[listener.policies]\nservice = "https"\naddresses = ["{ADDRESS}"]\nport = {port}\ntls = "implicit"\n'
        )
        for name in (f"mail.{DOMAIN}", HOST):
            file = folder / f"{name}2.pem"
            more.write(f'[certificate."{name}"]\nchain = "{file}"\nkey = "{file}"\n')
        more.write(f'[zone."{DOMAIN}"]\nmta_sts = "enforce"\nmta_sts_max_age_s = 86_400\n')
    instance.start()
    try:
        yield Served(instance, port, authority)
    finally:
        instance.stop()


def request(method: str = "GET", host: str = HOST, path: str = PATH, more: str = "") -> str:
    return f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n{more}\r\n"


def test_the_policy(served: Served) -> None:
    text, spoken = served.ask(request(), alpn=("h2", "http/1.1"))
    head, _, body = text.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\nContent-Type: text/plain\r\n" in head
    assert f"\r\nContent-Length: {len(body)}\r\n".encode() in head
    assert parse(body) == POLICY
    assert spoken == "http/1.1"


def test_head(served: Served) -> None:
    text, _ = served.ask(request("HEAD"))
    assert f"Content-Length: {len(rendered(POLICY))}\r\n".encode() in text
    assert text.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (request(host=f"mta-sts.{DOMAIN}.:443"), 200),
        (request(host="mta-sts.elsewhere.test"), 404),
        (request(host=DOMAIN), 404),
        (request(host=f"mail.{DOMAIN}"), 404),
        (request(path="/"), 404),
        (request(path=PATH + "?x"), 404),
        (request(path="/.well-known/../.well-known/mta-sts.txt"), 404),
        (request("POST", more="Content-Length: 3\r\n") + "abc", 405),
        (request("POST", path="/"), 404),
        (request(more="Content-Length: 9\r\nTransfer-Encoding: chunked\r\n"), 400),
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        ("GET /" + "a" * 9000, 414),
        (request() + request(), 200),
    ],
    ids=lambda one: str(one)[:40] if isinstance(one, int) else "",
)
def test_status(served: Served, text: str, status: int) -> None:
    answer, _ = served.ask(text)
    assert answer.startswith(f"HTTP/1.1 {status} ".encode()), answer[:200]
    assert answer.count(b"HTTP/1.1 ") == 1
    assert (b"Allow: GET, HEAD\r\n" in answer) == (status == 405)


def test_without_tls_there_is_nothing(served: Served) -> None:
    with socket.create_connection((ADDRESS, served.port), timeout=10) as raw:
        raw.sendall(request().encode())
        assert b"STSv1" not in raw.recv(65_536)


def test_another_protocol_is_not_spoken(served: Served) -> None:
    with pytest.raises((ssl.SSLError, OSError)):  # noqa: PT012  (when it ends depends on the version of TLS)
        text, _ = served.ask(request(), alpn=("h2",))
        if not text:
            raise ConnectionError


async def test_our_own_client_takes_it(served: Served) -> None:
    async with zones_served(Zones({"test": zone_text("test", [f"{HOST}. 60 IN A {ADDRESS}"])})) as dns_port:
        resolver = stub(dns_port)
        assert isinstance(await resolver.addresses(HOST), Found)
        terms = FetchTerms(lambda _: True, served.port, Path(served.authority.file))
        text = await asyncio.wait_for(get(HOST, PATH, "text/plain", resolver, ClientContexts(), terms), 10)
        resolver.close()
    assert text == rendered(POLICY)


def test_poterne_check_tells_of_it(served: Served) -> None:
    assert load(served.instance.settings).zone[DOMAIN].mta_sts == "enforce"
    assert "MTA-STS policies" in served.instance.poterne("check", status=0).stdout
