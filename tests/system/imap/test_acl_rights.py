"""Every command with every right missing (RFC 4314 §4), and what a stranger can find out."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.imap_world import Wire, World, message

EVERY = "lrswipkxtea"
NAME = "Other Users/ada@example.org/Work"
WORK = f'"{NAME}"'
EVE = "eve@example.org"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path) as world:
        with world.client() as ada:
            for name in ("Work", "Work/Sub", "Work/Other", "Secret"):
                ada.ok(f"CREATE {name}")
        for number in range(6):
            world.deliver(message(f"n{number}"), mailbox="Work")
        yield world


def share(world: World, rights: str, whom: str = EVE) -> None:
    with world.client() as ada:
        for name in ("Work", "Work/Sub", "Work/Other"):
            ada.ok(f'SETACL {name} {whom} "{rights}"')


UNSELECTED = {
    f"STATUS {WORK} (MESSAGES)": "r",
    f"EXAMINE {WORK}": "r",
    f"SUBSCRIBE {WORK}": "l",
    f"UNSUBSCRIBE {WORK}": "",
    f"MYRIGHTS {WORK}": "",
    f"GETACL {WORK}": "a",
    f"LISTRIGHTS {WORK} {EVE}": "a",
    f"SETACL {WORK} anyone l": "a",
    f"DELETEACL {WORK} anyone": "a",
    f"GETQUOTAROOT {WORK}": "r",
    f'CREATE "{NAME}/New/Deep"': "k",
    f'RENAME "{NAME}/Sub" "{NAME}/Sup"': "xk",
    f'DELETE "{NAME}/Other"': "x",
}
SELECTED = {
    "FETCH 1 FLAGS": "",
    "SEARCH ALL": "",
    "NOOP": "",
    "COPY 1 INBOX": "",
    f"COPY 1 {WORK}": "i",
    "STORE 1 +FLAGS (\\Seen)": "s",
    "STORE 2 +FLAGS (\\Flagged $Label)": "w",
    "STORE 3 +FLAGS (\\Deleted)": "t",
    "STORE 4 FLAGS (\\Seen \\Deleted \\Draft)": "",  # what of it is allowed
    "UID EXPUNGE 99": "e",
    "EXPUNGE": "e",
    "MOVE 1 INBOX": "te",
    f"MOVE 1 {WORK}": "ite",
}


@pytest.mark.parametrize("missing", EVERY)
def test_each_command_without_one_right(world: World, missing: str) -> None:
    share(world, EVERY.replace(missing, ""))
    with world.client(address=EVE) as eve:
        listed = eve.ok('LIST "" "*"')
        assert any(b"Other Users/ada@example.org/Work" in line for line in listed) is (missing != "l")
        for command, needed in UNSELECTED.items():
            _, tagged = eve.run(command)
            assert tagged[:2] == (b"NO" if missing in needed else b"OK"), (command, tagged)
            if missing in needed:
                assert (b"[NONEXISTENT]" if missing == "l" else b"[NOPERM]") in tagged
            eve.run("UNSELECT")
        _, tagged = eve.run(f"APPEND {WORK} {{}}", message("appended"))
        assert tagged[:2] == (b"NO" if missing == "i" else b"OK")
        if missing == "r":
            assert b"[NOPERM]" in eve.no(f"SELECT {WORK}")
            return
        eve.ok(f"SELECT {WORK}")
        for command, needed in SELECTED.items():
            _, tagged = eve.run(command)
            assert tagged[:2] == (b"NO" if set(needed) & {missing} else b"OK"), (command, tagged)
        _, tagged = eve.run(f"REPLACE 1 {WORK} {{}}", message("replaced"))
        assert tagged[:2] == (b"NO" if missing in "ite" else b"OK"), tagged


def flags(wire: Wire) -> dict[int, set[bytes]]:
    wire.ok("NOOP")
    found: dict[int, set[bytes]] = {}
    for line in wire.ok("UID FETCH 1:* (FLAGS)"):
        if matched := re.match(rb"\* \d+ FETCH \(.*UID (\d+) FLAGS \(([^)]*)\)", line):
            found[int(matched[1])] = set(matched[2].split()) - {b"\\Recent"}
    return found


@pytest.mark.parametrize(
    ("rights", "kept"),
    [
        ("lr", set[bytes]()),
        ("lrs", {b"\\Seen"}),
        ("lrw", {b"\\Flagged", b"$Label"}),
        ("lrt", {b"\\Deleted"}),
        ("lrst", {b"\\Seen", b"\\Deleted"}),
        ("lrswt", {b"\\Seen", b"\\Deleted", b"\\Flagged", b"$Label"}),
    ],
)
def test_flags_by_right(world: World, rights: str, kept: set[bytes]) -> None:
    everything = "\\Seen \\Deleted \\Flagged $Label"
    share(world, rights + "i")
    with world.client(select="Work") as ada, world.client(address=EVE) as eve:
        ada.ok("STORE 2 FLAGS (\\Seen \\Deleted \\Flagged $Label \\Answered)")
        tagged = eve.append(message("x"), mailbox=WORK, flags=everything)
        uid = int(re.search(rb"APPENDUID \d+ (\d+)", tagged)[1])  # type: ignore[index]
        eve.append(message("y"), mailbox="INBOX", flags=everything)
        eve.ok("SELECT INBOX")
        copied = eve.run(f"COPY 1 {WORK}")[1]
        copy = int(re.search(rb"COPYUID \d+ \d+ (\d+)", copied)[1])  # type: ignore[index]
        eve.ok(f"SELECT {WORK}")
        for number, command in ((1, "+FLAGS"), (3, "FLAGS")):
            tagged = eve.run(f"STORE {number} {command} ({everything})")[1]
            assert tagged.startswith(b"OK" if kept else b"NO [NOPERM]")
        tagged = eve.run("STORE 2 FLAGS ()")[1]
        assert tagged.startswith(b"OK" if kept else b"NO [NOPERM]")
        eve.ok("FETCH 4 BODY[TEXT]")
        seen = flags(ada)
        assert seen[uid] == seen[copy] == seen[1] == seen[3] == kept
        before = {b"\\Seen", b"\\Deleted", b"\\Flagged", b"$Label", b"\\Answered"}
        assert seen[2] == before - kept - ({b"\\Answered"} if "w" in rights else set())
        assert seen[4] == kept & {b"\\Seen"}


def test_replacing_flags_under_a_condition(world: World) -> None:
    share(world, "lrs")
    with world.client(select="Work") as ada, world.client(address=EVE) as eve:
        eve.ok("ENABLE CONDSTORE")
        told = eve.ok(f"SELECT {WORK}")
        modseq = int(re.search(rb"HIGHESTMODSEQ (\d+)", b"".join(told))[1])  # type: ignore[index]
        ada.ok("STORE 2 +FLAGS (\\Flagged)")
        tagged = eve.run(f"STORE 1:3 (UNCHANGEDSINCE {modseq}) FLAGS (\\Seen)")[1]
        assert tagged.startswith(b"OK [MODIFIED 2]")
        assert [sorted(one) for one in list(flags(ada).values())[:3]] == [[b"\\Seen"], [b"\\Flagged"], [b"\\Seen"]]


@pytest.mark.parametrize(
    ("rights", "permanent", "code"),
    [
        ("lr", b"()", b"[READ-ONLY]"),
        ("lri", b"()", b"[READ-WRITE]"),
        ("lrs", b"(\\Seen)", b"[READ-WRITE]"),
        ("lrt", b"(\\Deleted)", b"[READ-WRITE]"),
        ("lre", b"()", b"[READ-WRITE]"),
        ("lrw", b"(\\Answered \\Flagged \\Draft \\*)", b"[READ-WRITE]"),
        (EVERY, b"(\\Seen \\Answered \\Flagged \\Deleted \\Draft \\*)", b"[READ-WRITE]"),
    ],
)
def test_what_select_says(world: World, rights: str, permanent: bytes, code: bytes) -> None:
    share(world, rights)
    with world.client(address=EVE) as eve:
        untagged, tagged = eve.run(f"SELECT {WORK}")
        assert tagged.startswith(b"OK " + code)
        (line,) = [line for line in untagged if b"PERMANENTFLAGS" in line]
        named = re.search(rb"PERMANENTFLAGS (\([^)]*\))", line)
        assert named is not None
        assert sorted(named[1].strip(b"()").split()) == sorted(permanent.strip(b"()").split())
        untagged, tagged = eve.run(f"EXAMINE {WORK}")
        assert tagged.startswith(b"OK [READ-ONLY]")


def test_close_without_the_right_to_expunge(world: World) -> None:
    share(world, EVERY.replace("e", ""))
    with world.client(address=EVE) as eve:
        eve.ok(f"SELECT {WORK}")
        eve.ok("STORE 1 +FLAGS (\\Deleted)")
        eve.ok("CLOSE")
        assert b"MESSAGES 6" in eve.ok(f"STATUS {WORK} (MESSAGES)")[0]
    share(world, EVERY)
    with world.client(address=EVE) as eve:
        eve.ok(f"SELECT {WORK}")
        eve.ok("CLOSE")
        assert b"MESSAGES 5" in eve.ok(f"STATUS {WORK} (MESSAGES)")[0]


COMMANDS = (
    'SELECT "{}"',
    'EXAMINE "{}"',
    'STATUS "{}" (MESSAGES)',
    'SUBSCRIBE "{}"',
    'UNSUBSCRIBE "{}"',
    'DELETE "{}"',
    'RENAME "{}" Mine',
    'RENAME INBOX "{}"',
    'CREATE "{}"',
    'CREATE "{}/Below"',
    'LIST "" "{}"',
    'LIST "" "{}/%"',
    'LSUB "" "{}"',
    'GETACL "{}"',
    'SETACL "{}" eve@example.org lr',
    'SETACL "{}" eve@example.org +a',
    'DELETEACL "{}" eve@example.org',
    'LISTRIGHTS "{}" eve@example.org',
    'MYRIGHTS "{}"',
    'GETQUOTAROOT "{}"',
    'COPY 1 "{}"',
    'ESEARCH IN (mailboxes "{}") ALL',
    'GETMETADATA "{}" /shared/comment',
    'SETMETADATA "{}" (/private/comment "x")',
    'NOTIFY SET STATUS (mailboxes "{}" (MessageNew MessageExpunge))',
    'MOVE 1 "{}"',
)


@pytest.mark.parametrize("rights", ["", "p", "l"])
def test_a_stranger_cannot_tell_what_there_is(world: World, rights: str) -> None:
    """An existing mailbox, a missing one, and one of an account that does not exist, are answered alike."""
    world.account("mallory@example.net")
    world.account("trudy@example.org")
    if rights:
        with world.client() as ada:
            ada.ok(f"SETACL Work trudy@example.org {rights}")
    names = [
        "Other Users/ada@example.org/Secret",
        "Other Users/ada@example.org/Missing",
        "Other Users/nobody@example.org/Secret",
        "Other Users/nobody@example.com/INBOX",
    ]
    if rights == "p":
        names.append("Other Users/ada@example.org/Work")
    for address in ("trudy@example.org", "mallory@example.net"):
        world.deliver(message("mine"), address=address)
        with world.client(address=address) as wire:
            for command in (*COMMANDS, 'APPEND "{}" {}', 'REPLACE 1 "{}" {}'):
                answers = []
                for name in names:
                    wire.run("SELECT INBOX")
                    text, literal = (command[:-3], (message("x"),)) if command.endswith(" {}") else (command, ())
                    untagged, tagged = wire.run(text.replace("{}", name) + (" {}" if literal else ""), *literal)
                    answers.append(([line.replace(name.encode(), b"?") for line in untagged], tagged))
                assert all(answer == answers[0] for answer in answers), (command, answers)
            assert not any(b"ada" in line for line in wire.ok('LIST "" "Other Users/*"')) or "l" in rights
