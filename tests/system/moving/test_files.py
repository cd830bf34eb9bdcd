"""Maildir and mbox: in, out, and the same again; killed and gone on with."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from poterne.store.interface import Store
from tests.support.moved import Message, fill, messages_of
from tests.support.server import DOMAIN, Instance

AT = 1_700_000_000
ODD = [
    Message(b"Subject: plain\r\n\r\nFrom here\r\n>From there\r\n", ("\\Seen",), AT, 60),
    Message(b"no header at all\r\n", ("$Label1", "\\Flagged"), AT + 1, -150),
    Message(b"Subject: 8-bit \xe9\r\n\r\n\xff\xfe\0\r\n", ("\\Draft",), AT + 2),
    Message(b"\r\n", (), AT - 30_000_000),
    Message(b"Subject: same\r\n\r\n", (), AT + 4),
    Message(b"Subject: same\r\n\r\n", ("\\Deleted",), AT + 5),
    Message(b"Subject: large\r\n\r\n" + b"0123456789abcdef\r\n" * 300_000, ("\\Answered",), AT + 6, 345),
    Message(b"Subject: bare\r\n\r\none\ntwo\rthree\r\n", ("\\Seen",), AT + 7),
]
HARD = [
    Message(b"Subject: first line ends in LF\nand then not\r\n\r\n", (), AT + 8),
    Message(b"Subject: no end", (), AT + 9),
    Message(b"Subject: own status\r\nStatus: R\r\n\r\nx\r\n", (), AT + 10),
]


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Instance:
    made = Instance(tmp_path_factory.mktemp("files") / "instance", accounts=("bob", *(f"a{n}" for n in range(9))))

    async def bob(store: Store) -> None:
        who = f"bob@{DOMAIN}"
        await fill(store, who, "INBOX", [*ODD, *HARD])
        await fill(store, who, "Projets.2020/Été & co", ODD[:3])
        await fill(
            store,
            who,
            "Sent",
            [Message(b"Subject: s%d\r\n\r\nx\r\n" % n, (f"kw{n % 40}",), AT + n) for n in range(500)],
        )
        await store.subscribe((await store.account(who)).id, "Projets.2020/Été & co", True)

    made.with_store(bob)
    return made


def moved(instance: Instance, who: str) -> dict[str, list[Message]]:
    found: dict[str, list[Message]] = instance.with_store(lambda store: messages_of(store, f"{who}@{DOMAIN}"))
    return {name: messages for name, messages in found.items() if messages}


def run(instance: Instance, *words: str, status: int = 0) -> dict[str, int]:
    done = instance.poterne(*words, "--json", status=status)
    last: dict[str, int] = json.loads(done.stdout.splitlines()[-1])
    return last


def test_out_to_a_maildir_and_back(instance: Instance, tmp_path: Path) -> None:
    place = tmp_path / "Maildir"
    total = len(ODD) + len(HARD) + 503
    assert run(instance, "export", f"bob@{DOMAIN}", "--to", str(place))["messages"] == total
    again = run(instance, "export", f"bob@{DOMAIN}", "--to", str(place))
    assert (again["messages"], again["known"], again["flagged"]) == (0, total, 0)
    assert (place / ".Projets&AC4-2020.&AMk-t&AOk- &- co" / "cur").is_dir()
    assert run(instance, "import", "maildir", f"a0@{DOMAIN}", str(place))["messages"] == total
    assert moved(instance, "a0") == moved(instance, "bob")
    assert run(instance, "import", "maildir", f"a0@{DOMAIN}", str(place))["known"] == total
    subscribed = instance.with_store(lambda store: _subscriptions(store, "a0"))
    assert "Projets.2020/Été & co" in subscribed


async def _subscriptions(store: Store, who: str) -> list[str]:
    return await store.subscriptions((await store.account(f"{who}@{DOMAIN}")).id)


def test_out_to_mbox_and_back(instance: Instance, tmp_path: Path) -> None:
    place = tmp_path / "mboxes"
    done = run(instance, "export", f"bob@{DOMAIN}", "--to", str(place), "--format", "mbox", status=3)
    assert done["failed"] == len(HARD), "what mbox can't keep is listed"
    run(instance, "import", "mbox", f"a1@{DOMAIN}", str(place))
    found, expected = moved(instance, "a1"), moved(instance, "bob")
    assert found["INBOX"][: len(ODD)] == expected["INBOX"][: len(ODD)]
    assert {name: found[name] for name in found if name != "INBOX"} == {
        name: expected[name] for name in expected if name != "INBOX"
    }
    again = run(instance, "import", "mbox", f"a1@{DOMAIN}", str(place))
    assert (again["messages"], again["failed"]) == (0, 0)


def test_the_same_mail_from_a_second_source(instance: Instance, tmp_path: Path) -> None:
    run(instance, "export", f"bob@{DOMAIN}", "--to", str(tmp_path / "m"), "--folder", "Sent")
    run(instance, "export", f"bob@{DOMAIN}", "--to", str(tmp_path / "b"), "--folder", "Sent", "--format", "mbox")
    run(instance, "import", "maildir", f"a2@{DOMAIN}", str(tmp_path / "m"))
    done = run(instance, "import", "mbox", f"a2@{DOMAIN}", str(tmp_path / "b"))
    assert (done["messages"], done["same"]) == (0, 500)


def test_killed_at_any_moment(instance: Instance, tmp_path: Path) -> None:
    run(instance, "export", f"bob@{DOMAIN}", "--to", str(tmp_path / "m"))
    words = ["import", "maildir", f"a3@{DOMAIN}", str(tmp_path / "m"), "--json"]
    command = [sys.executable, "-m", "poterne", "-c", str(instance.settings), *words]
    for lines in (1, 2, 3):
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=dict(os.environ)
        ) as process:
            assert process.stdout is not None
            for _ in range(lines):
                process.stdout.readline()
            process.send_signal(signal.SIGKILL)
    run(instance, "import", "maildir", f"a3@{DOMAIN}", str(tmp_path / "m"))
    assert moved(instance, "a3") == moved(instance, "bob")


def test_a_maildir_of_others(instance: Instance, tmp_path: Path) -> None:
    root = tmp_path / "Maildir"
    for folder in (root, root / ".INBOX.Sent", root / ".Work.Old"):
        for part in ("cur", "new", "tmp"):
            (folder / part).mkdir(parents=True)
    (root / "cur" / "1700000002.M1P2.host,S=20:2,RSa").write_bytes(b"Subject: two\n\nx\n")
    (root / "cur" / "1700000001.M1P2.host:2,").write_bytes(b"Subject: one\r\n\r\nx\r\n")
    (root / "new" / "1700000003.M1P2.host").write_bytes(b"Subject: three\n\nx\n")
    (root / "cur" / "1700000004.empty:2,S").write_bytes(b"")
    (root / "dovecot-keywords").write_text("0 $Work\n1 other\n")
    (root / "dovecot-uidlist").write_text(
        "3 V1 N9\n1 :1700000003.M1P2.host\n5 W30 :1700000002.M1P2.host,S=20\n6 :1700000001.M1P2.host\n"
    )
    (root / ".Work.Old" / "cur" / "1.x:2,F").write_bytes(b"Subject: old\n\n")
    os.utime(root / ".Work.Old" / "cur" / "1.x:2,F", (AT, AT))
    done = run(instance, "import", "maildir", f"a4@{DOMAIN}", str(root), status=3)
    assert (done["messages"], done["failed"]) == (4, 1)
    found = moved(instance, "a4")
    assert found["Work/Old"] == [Message(b"Subject: old\r\n\r\n", ("\\Flagged",), AT, 0)]
    assert [(each.body, each.flags) for each in found["INBOX"]] == [
        (b"Subject: three\r\n\r\nx\r\n", ()),
        (b"Subject: two\r\n\r\nx\r\n", ("$Work", "\\Answered", "\\Seen")),
        (b"Subject: one\r\n\r\nx\r\n", ()),
    ]
    (root / "cur" / "1700000002.M1P2.host,S=20:2,RSa").rename(root / "cur" / "1700000002.M1P2.host,S=20:2,FR")
    assert run(instance, "import", "maildir", f"a4@{DOMAIN}", str(root), status=3)["flagged"] == 1
    assert moved(instance, "a4")["INBOX"][1].flags == ("\\Answered", "\\Flagged")


def test_into_one_folder(instance: Instance, tmp_path: Path) -> None:
    (tmp_path / "Inbox").write_bytes(
        b"From - Mon Nov 23 06:11:00 2026\r\nX-Mozilla-Status: 0001\r\nSubject: tb\r\n\r\nx\r\n\r\n"
    )
    (tmp_path / "broken").write_bytes(b"hello")
    assert (
        run(instance, "import", "mbox", f"a5@{DOMAIN}", str(tmp_path / "Inbox"), "--into", "Thunderbird/Old")[
            "messages"
        ]
        == 1
    )
    [message] = moved(instance, "a5")["Thunderbird/Old"]
    assert (message.body, message.flags) == (b"Subject: tb\r\n\r\nx\r\n", ("\\Seen",))
    refused = instance.poterne("import", "mbox", f"a5@{DOMAIN}", str(tmp_path / "broken"), status=1)
    assert "is no mbox file" in refused.stderr


def test_refusals(instance: Instance, tmp_path: Path) -> None:
    assert "no Maildir" in instance.poterne("import", "maildir", f"a6@{DOMAIN}", str(tmp_path), status=1).stderr
    inside = str(instance.folder / "data" / "out")
    assert "inside the data folder" in instance.poterne("export", f"a6@{DOMAIN}", "--to", inside, status=1).stderr
    assert "no account" in instance.poterne("import", "maildir", f"nobody@{DOMAIN}", str(tmp_path), status=1).stderr


def test_old_mail_that_a_rule_would_delete_is_told_before(instance: Instance, tmp_path: Path) -> None:
    (tmp_path / "Old").write_bytes(b"From - Mon Nov 23 06:11:00 2026\nSubject: x\n\n\n")
    words = ("import", "mbox", f"a8@{DOMAIN}", str(tmp_path / "Old"), "--dry-run")
    assert "goes soon" not in instance.poterne(*words).stderr
    instance.poterne("retention", "set", f"a8@{DOMAIN}", "everything", "100")
    assert "deleted 100 days after it arrived" in instance.poterne(*words).stderr
    instance.poterne("retention", "hold", f"a8@{DOMAIN}", "--reason", "a lawsuit")
    assert "goes soon" not in instance.poterne(*words).stderr
    instance.poterne("retention", "lift", f"a8@{DOMAIN}", "--yes")
    instance.poterne("retention", "set", f"a8@{DOMAIN}", "everything", "never")
    assert "goes soon" not in instance.poterne(*words).stderr


def test_forget(instance: Instance, tmp_path: Path) -> None:
    (tmp_path / "Old").write_bytes(b"From - Mon Nov 23 06:11:00 2026\nSubject: x\n\n\n")
    for expected in (1, 0):
        assert run(instance, "import", "mbox", f"a7@{DOMAIN}", str(tmp_path / "Old"))["messages"] == expected
    assert "Forgotten: 1 " in instance.poterne("import", "forget", f"a7@{DOMAIN}").stdout
    assert run(instance, "import", "mbox", f"a7@{DOMAIN}", str(tmp_path / "Old"))["messages"] == 1
