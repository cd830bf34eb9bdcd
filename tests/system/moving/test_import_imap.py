"""`poterne import imap` from a real server (ours), on sockets and TLS, into an instance that runs."""

import hashlib
import json
import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from poterne.store.interface import Store
from poterne.values.mailbox import Flag, FlagChange, SpecialUse, UidRange
from tests.support.moved import Message, fill, messages_of
from tests.support.server import DOMAIN, PASSWORD, Instance

ODD = (
    b"Subject: plain\r\n\r\ntext\r\n",
    b"no header at all",
    b"Subject: 8-bit \xe9\r\n\r\n\xff\xfe\r\n",
    b"Subject: nul\r\n\r\na\0b\r\n",
    b"Subject: bare\r\n\r\none\ntwo\rthree\r\n\n",
    b"\r\n",
    b"Subject: {5}\r\n\r\n* 1 FETCH (UID 3 BODY[] {9}\r\np2 OK done\r\n",
    b"Subject: large\r\n\r\n" + b"0123456789abcdef\r\n" * 60_000,
)


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    made = Instance(tmp_path_factory.mktemp("moving") / "instance", accounts=("bob", *(f"a{n}" for n in range(12))))
    made.with_store(_bob)
    made.start()
    yield made
    made.stop()


async def _bob(store: Store) -> None:
    at = 1_700_000_000
    inbox = [
        Message(body, ("\\Seen", "$Label1") if n % 2 else ("\\Flagged",), at + n, 60 * (n % 3))
        for n, body in enumerate(ODD)
    ]
    await fill(store, f"bob@{DOMAIN}", "INBOX", inbox)
    sent = [Message(b"Subject: s%d\r\n\r\nx\r\n" % n, ("\\Seen", "\\Answered"), at + n, -300) for n in range(250)]
    await fill(store, f"bob@{DOMAIN}", "Sent", sent)
    await fill(store, f"bob@{DOMAIN}", "Projets/Été & co", [Message(b"Subject: p\r\n\r\n\r\n", ("\\Draft",), at, 0)])
    await fill(store, f"bob@{DOMAIN}", "Junk", [Message(b"Subject: junk\r\n\r\n", ("\\Deleted",), at, 0)])


def arguments(instance: Instance, to: str, *more: str) -> list[str]:
    ca = instance.folder / "data" / "tls" / "ca.pem"
    place = f"127.0.0.1:{instance.ports['imaps']}"
    return ["import", "imap", f"{to}@{DOMAIN}", "--from", place, "--user", f"bob@{DOMAIN}", "--ca", str(ca), *more]


@pytest.fixture(autouse=True)
def _password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POTERNE_IMPORT_PASSWORD", PASSWORD)


def moved(instance: Instance, who: str) -> dict[str, list[Message]]:
    found: dict[str, list[Message]] = instance.with_store(lambda store: messages_of(store, f"{who}@{DOMAIN}"))
    return {name: messages for name, messages in found.items() if messages}


def done(output: str) -> dict[str, int]:
    last: dict[str, int] = json.loads(output.splitlines()[-1])
    assert "failed" in last, "the last line is the summary"
    return last


def test_everything_comes_as_it_is(instance: Instance) -> None:
    run = instance.poterne(*arguments(instance, "a0", "--json"))
    assert done(run.stdout)["messages"] == len(ODD) + 252
    assert moved(instance, "a0") == moved(instance, "bob")
    again = done(instance.poterne(*arguments(instance, "a0", "--json")).stdout)
    assert (again["messages"], again["known"]) == (0, len(ODD) + 252)
    events = instance.with_store(lambda store: store.events(kind="account.imported"))
    assert [event.detail["messages"] for event in events] == [0, len(ODD) + 252]


def test_special_folders_by_language(instance: Instance) -> None:
    instance.poterne("account", "language", f"a1@{DOMAIN}", "fr", "--rename-folders")
    instance.poterne(*arguments(instance, "a1"))
    assert {name: len(found) for name, found in moved(instance, "a1").items()} == {
        "INBOX": len(ODD),
        "Envoyés": 250,
        "Indésirables": 1,
        "Projets/Été & co": 1,
    }


def test_choice(instance: Instance) -> None:
    instance.poterne(
        *arguments(instance, "a2", "--skip", "junk,INBOX", "--map", "Projets=Old/Work", "--since", "2023-11-14")
    )
    assert set(moved(instance, "a2")) == {"Sent", "Old/Work/Été & co"}
    instance.poterne(*arguments(instance, "a3", "--folder", "Junk", "--skip-deleted"))
    assert moved(instance, "a3") == {}


def test_dry_run(instance: Instance) -> None:
    run = instance.poterne(*arguments(instance, "a3", "--dry-run"))
    assert f"Would be brought: {len(ODD) + 252} messages" in run.stdout
    assert moved(instance, "a3") == {}


def test_flags_that_changed_there(instance: Instance) -> None:
    instance.poterne(*arguments(instance, "a4", "--folder", "Projets"))

    async def change(store: Store, who: str, how: FlagChange, flags: int) -> None:
        account = await store.account(f"{who}@{DOMAIN}")
        box = await store.mailbox(account.id, "Projets/Été & co")
        await store.store_flags(account.id, box.id, [UidRange(1, None)], how, flags)

    instance.with_store(lambda store: change(store, "a4", FlagChange.ADD, int(Flag.FLAGGED)))
    instance.with_store(lambda store: change(store, "bob", FlagChange.REPLACE, int(Flag.SEEN)))
    try:
        run = instance.poterne(*arguments(instance, "a4", "--folder", "Projets", "--json"))
        assert done(run.stdout)["flagged"] == 1
        [message] = moved(instance, "a4")["Projets/Été & co"]
        assert set(message.flags) == {"\\Seen", "\\Flagged"}, "what was changed here stays"
    finally:
        instance.with_store(lambda store: change(store, "bob", FlagChange.REPLACE, int(Flag.DRAFT)))


def test_no_room_is_told_before(instance: Instance) -> None:
    instance.poterne("account", "quota", f"a5@{DOMAIN}", "--bytes", "100000")
    run = instance.poterne(*arguments(instance, "a5"), status=1)
    assert "raise its quota" in run.stderr
    assert moved(instance, "a5") == {}


def test_killed_at_any_moment(instance: Instance) -> None:
    """What is durable is known; nothing comes twice."""
    command = [sys.executable, "-m", "poterne", "-c", str(instance.settings), *arguments(instance, "a6", "--json")]
    for pause_s in (0.0, 0.05, 0.1):
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=dict(os.environ)
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()  # the first folder has begun
            time.sleep(pause_s)
            process.send_signal(signal.SIGKILL)
    instance.poterne(*arguments(instance, "a6"))
    assert moved(instance, "a6") == moved(instance, "bob")


def test_ctrl_c(instance: Instance) -> None:
    command = [sys.executable, "-m", "poterne", "-c", str(instance.settings), *arguments(instance, "a7", "--json")]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=dict(os.environ), text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert process.returncode in {0, 1}, "0: it was done before the signal came"
    assert "Traceback" not in said
    assert process.returncode == 0 or "the same command goes on where it was" in said
    instance.poterne(*arguments(instance, "a7"))
    assert moved(instance, "a7") == moved(instance, "bob")


def test_another_way_to_the_same_server_brings_nothing_twice(instance: Instance) -> None:
    instance.poterne(*arguments(instance, "a7"))
    other = [word.replace("127.0.0.1", "localhost") for word in arguments(instance, "a7", "--json")]
    assert done(instance.poterne(*other).stdout)["same"] == len(ODD) + 252
    assert moved(instance, "a7") == moved(instance, "bob")


def test_gone_there(instance: Instance) -> None:
    instance.poterne(*arguments(instance, "a8"))
    from_a8 = [
        word.replace(f"bob@{DOMAIN}", f"a8@{DOMAIN}") for word in arguments(instance, "a9", "--json", "--remove-gone")
    ]
    assert done(instance.poterne(*from_a8).stdout)["messages"] == len(ODD) + 252

    async def remove(store: Store) -> None:
        account = await store.account(f"a8@{DOMAIN}")
        box = next(box for box in await store.mailboxes(account.id) if box.special_use is SpecialUse.SENT)
        await store.remove(account.id, box.id, [UidRange(2, 3)])

    instance.with_store(remove)
    assert done(instance.poterne(*from_a8).stdout)["removed"] == 2
    assert moved(instance, "a9") == moved(instance, "a8")


def certificate(instance: Instance) -> bytes:
    return ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(("127.0.0.1", instance.ports["imaps"])))


def test_who_is_trusted(instance: Instance) -> None:
    words = arguments(instance, "a11", "--folder", "Junk")
    at = words.index("--ca")
    del words[at : at + 2]
    run = instance.poterne(*words, status=1)
    assert "is not trusted" in run.stderr
    wrong = instance.poterne(*words, "--fingerprint", "00" * 32, status=1)
    found = hashlib.sha256(certificate(instance)).hexdigest()
    assert found in wrong.stderr
    instance.poterne(*words, "--fingerprint", found)
    assert len(moved(instance, "a11")["Junk"]) == 1


def test_a_wrong_password(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POTERNE_IMPORT_PASSWORD", "no-good-pass")
    run = instance.poterne(*arguments(instance, "a3"), status=1)
    assert "refuses bob@" in run.stderr
    assert "no-good-pass" not in run.stderr


def test_an_empty_password(instance: Instance, tmp_path: Path) -> None:
    (tmp_path / "pw").write_text("")
    words = arguments(instance, "a3", "--password-file", str(tmp_path / "pw"))
    assert "is empty" in instance.poterne(*words, status=1).stderr


def test_a_folder_that_is_not_there_is_told(instance: Instance) -> None:
    words = arguments(instance, "a10", "--dry-run", "--folder", "Projet")
    refused = instance.poterne(*words, status=1)
    assert "there is no folder Projet: there are INBOX, " in refused.stderr
    assert "Projets/Été & co" in refused.stderr
    run = instance.poterne(*words, "--folder", "Junk", "--map", "Projet=Old", "--map", "Projets=Old")
    assert "Would be brought: 1 messages" in run.stdout
    assert run.stdout.count("note: ") == 1, "the same name is told once; Projets is above a folder that is there"
    assert "note: there is no folder Projet" in run.stdout


def test_a_server_that_is_not_there(instance: Instance) -> None:
    words = arguments(instance, "a11")
    words[words.index("--from") + 1] = "127.0.0.1:1"
    refused = instance.poterne(*words, status=1)
    assert "are host, port and --tls right" in refused.stderr
    assert "goes on where it was" not in refused.stderr


def test_a_file_of_a_ca_that_is_none(instance: Instance, tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_text("-----BEGIN CERTIFICATE-----\nbroken\n-----END CERTIFICATE-----\n")
    words = arguments(instance, "a11")
    words[words.index("--ca") + 1] = str(file)
    assert "not a readable PEM file of certificates" in instance.poterne(*words, status=1).stderr
    file.write_bytes(b"\x30\x82\xff")
    assert f"{file} holds no certificate in PEM form" in instance.poterne(*words, status=1).stderr
