"""A mailbox that is full, over real sockets: refused at RCPT, on every service that takes mail."""

import smtplib
import time
from collections.abc import Iterator

import pytest

from poterne.admin import people, quota
from poterne.store.interface import Store
from poterne.values.ids import TraceId
from poterne.values.secret import Secret
from tests.support.attack_client import Wire
from tests.support.server import ADDRESS, DOMAIN, PASSWORD, Instance, free_port

LETTER = b"From: carol@elsewhere.test\r\nSubject: x\r\n\r\nx\r\n"
BIG = 40_000


def acting() -> people.Acting:
    return people.Acting("test", int(time.time()), TraceId("test"))


async def _people(store: Store) -> None:
    for name in ("full", "nearly"):
        await people.add_account(store, f"{name}@{DOMAIN}", acting(), password=Secret(PASSWORD), quota_messages=1)
    await quota.set_quota(store, f"nearly@{DOMAIN}", acting(), quota_bytes=BIG, quota_messages=0)
    await people.add_alias(store, f"team@{DOMAIN}", [f"full@{DOMAIN}", f"alice@{DOMAIN}"], acting())


def made(tmp_path_factory: pytest.TempPathFactory, over: str) -> Instance:
    chosen = {"server": {"workers": 1, "drain_s": 3}, "quota": {"over": over}}
    instance = Instance(tmp_path_factory.mktemp("quota") / "instance", chosen=chosen)  # type: ignore[arg-type]
    instance.with_store(_people)
    instance.ports["lmtp"] = free_port()
    listener = f'[listener.lmtp]\nservice = "lmtp"\naddresses = ["{ADDRESS}"]\nport = {instance.ports["lmtp"]}\nallow = ["127.0.0.1"]\n'
    instance.settings.write_text(instance.settings.read_text() + "\n" + listener)
    instance.start()
    instance.deliver(to=f"full@{DOMAIN}")
    return instance


@pytest.fixture(scope="module", params=["defer", "refuse"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    over: str = request.param
    instance = made(tmp_path_factory, over)
    yield instance
    assert instance.stop() == 0
    assert instance.events("bug") == []


def expected(server: Instance) -> tuple[int, bytes]:
    return (552, b"5.2.2") if 'over = "refuse"' in server.settings.read_text() else (452, b"4.2.2")


def rcpt(client: smtplib.SMTP, to: str, size: int = 0) -> tuple[int, bytes]:
    client.ehlo_or_helo_if_needed()
    client.rset()
    sender = f"<alice@{DOMAIN}>" if client.esmtp_features.get("auth") else "<carol@elsewhere.test>"
    client.docmd("MAIL", f"FROM:{sender}" + (f" SIZE={size}" if size else ""))
    code, text = client.docmd("RCPT", f"TO:<{to}@{DOMAIN}>")
    return code, text.partition(b" ")[0]


def test_mx(server: Instance) -> None:
    client = server.smtp()
    assert rcpt(client, "full") == rcpt(client, "full+tag") == expected(server)
    assert rcpt(client, "nearly") == (250, b"2.1.5")
    assert rcpt(client, "nearly", BIG - 1000) == (250, b"2.1.5")
    assert rcpt(client, "nearly", BIG + 1) == expected(server)
    assert rcpt(client, "alice", BIG + 1) == (250, b"2.1.5")
    assert rcpt(client, "team") == (250, b"2.1.5")  # the others get it
    client.quit()


def test_one_that_says_no_size_is_refused_at_its_end(server: Instance) -> None:
    client = server.smtp()
    rcpt(client, "nearly")
    code, text = client.data(LETTER + b"y" * 70 + b"\r\n" + (b"z" * 70 + b"\r\n") * 700)
    assert (code, text.partition(b" ")[0]) == expected(server)
    client.quit()


def test_submission(server: Instance) -> None:
    client = server.smtp("submission")
    client.login(f"alice@{DOMAIN}", PASSWORD)
    assert rcpt(client, "full") == expected(server)
    assert rcpt(client, "alice") == (250, b"2.1.5")
    client.quit()


def test_lmtp_answers_for_each(server: Instance) -> None:
    wire = Wire(server.ports["lmtp"])
    wire.line()
    assert wire.say(b"LHLO front.example.test").startswith(b"250")
    assert wire.say(b"MAIL FROM:<carol@elsewhere.test>").startswith(b"250")
    assert wire.say(b"RCPT TO:<alice@%b>" % DOMAIN.encode()).startswith(b"250")
    code, status = expected(server)
    assert wire.say(b"RCPT TO:<full@%b>" % DOMAIN.encode()).startswith(b"%d %b" % (code, status))
    assert wire.say(b"DATA").startswith(b"354")
    wire.send(LETTER + b".\r\n")
    assert wire.reply().startswith(b"250 2.1.5")
    wire.close()


def test_room_again(server: Instance) -> None:
    async def empty(store: Store) -> None:
        await quota.set_quota(store, f"full@{DOMAIN}", acting(), quota_messages=2)

    client = server.smtp()
    assert rcpt(client, "full") == expected(server)
    server.with_store(empty)
    assert rcpt(client, "full") == (250, b"2.1.5")
    client.quit()
