"""A server that is listed is not checked. What only a proof opens stays closed to it all the same."""

import smtplib
from collections.abc import Iterator
from typing import Any

import pytest

from poterne.admin import people
from poterne.store.interface import Store
from poterne.values.directory import Posting
from poterne.values.ids import TraceId
from tests.support.checked import letter, served, zones
from tests.support.edge import INNER, Elsewhere, Node, mx, relay
from tests.support.server import ADDRESS, DOMAIN

ACTING = people.Acting("test", 1_790_000_000, TraceId("test"))
ANN = f"ann@{DOMAIN}"


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    async def lists(store: Store) -> None:
        await people.add_alias(store, f"board@{DOMAIN}", [ANN], ACTING, posting=Posting.MEMBERS)
        await people.add_alias(store, f"staff@{DOMAIN}", [ANN], ACTING, posting=Posting.LOCAL)

    folder = tmp_path_factory.mktemp("trusted")
    with served(zones()) as (_, dns):
        chosen: dict[str, dict[str, Any]] = {"dns": {"servers": [f"127.0.0.1:{dns}"]}, "inbound": {"verify": True}}
        node = Node(
            folder, f"mail.{DOMAIN}", "all-in-one", {"mx": mx(proxies=[ADDRESS])}, accounts=[ANN], domains=[DOMAIN],
            more=relay("printers", DOMAIN), chosen=chosen,
        )  # fmt: skip
        node.with_store(lists)
        node.start()
        with Elsewhere(node.ports["mx"], INNER) as way:
            yield way.port
        node.stop()


def test_a_listed_host_is_no_member_of_a_list(port: int) -> None:
    """Printers and shops relay for whoever can reach them."""
    for name in ("board", "staff"):
        with smtplib.SMTP(ADDRESS, port, timeout=20) as client:
            client.ehlo()
            client.docmd(f"MAIL FROM:<{ANN}>")
            code, text = client.docmd(f"RCPT TO:<{name}@{DOMAIN}>")
            if code < 400:
                code, text = client.data(letter(ANN, f"to-{name}"))
            assert (code, text[:5]) == (550, b"5.7.2")


def test_it_brings_mail_to_everybody_else(port: int) -> None:
    with smtplib.SMTP(ADDRESS, port, timeout=20) as client:
        assert client.sendmail(ANN, [ANN], letter(ANN, "scan")) == {}
