"""SORT and THREAD beside a plain reading of the messages, while mail comes and goes: what is remembered is never wrong."""

import random
import re
from pathlib import Path

from tests.support.imap_world import Wire, World


def mail(dice: random.Random, number: int, subjects: dict[int, str]) -> bytes:
    answered = dice.choice(list(subjects)) if subjects and dice.random() < 0.6 else None
    subject = dice.choice(["Plan", "plan ", "Other", "Zoë", ""]) if answered is None else f"Re: {subjects[answered]}"
    subjects[number] = subject
    lines = [
        f"From: {dice.choice(['Ada <c@x.org>', 'b@x.org', '=?utf-8?q?=C3=A9?= <A@x.org>'])}",
        f"Subject: {subject}",
        f"Date: {dice.randint(1, 28)} Nov 2023 10:00:00 +0000" if dice.random() < 0.8 else "X-Undated: yes",
        f"Message-ID: <{number}@x.org>",
    ]
    if answered is not None:
        lines.append(f"References: <{answered}@x.org>")
    return "\r\n".join([*lines, "", "x" * dice.randint(1, 90), ""]).encode()


def told(wire: Wire, command: str) -> list[int]:
    (line,) = [line for line in wire.ok(command) if line.startswith((b"* SORT", b"* THREAD"))]
    return [int(number) for number in re.findall(rb"\d+", line)]


def test_what_is_remembered_is_what_is_there(tmp_path: Path) -> None:
    dice = random.Random(7)
    subjects: dict[int, str] = {}
    orders = [
        "SUBJECT",
        "FROM",
        "DATE",
        "ARRIVAL",
        "SIZE",
        "DISPLAYFROM",
        "REVERSE SUBJECT DATE",
        "TO REVERSE FROM SIZE",
    ]
    with World(tmp_path) as world, world.client(select="INBOX") as wire, world.client(select="INBOX") as other:
        for step in range(30):
            world.deliver(*(mail(dice, 10 * step + n, subjects) for n in range(dice.randint(0, 3))))
            other.ok("NOOP")
            if dice.random() < 0.5:
                other.ok(f"UID STORE {dice.randint(1, 40)} +FLAGS.SILENT (\\Deleted)")
                other.ok("EXPUNGE")
            if dice.random() < 0.7:
                wire.ok("NOOP")
            with World(tmp_path) as fresh, fresh.client(select="INBOX") as judge:
                for order in dice.sample(orders, 3):
                    found = told(wire, f"UID SORT ({order}) UTF-8 ALL")
                    assert found == told(judge, f"UID SORT ({order}) UTF-8 ALL"), order
                    some = ",".join(map(str, found[: max(1, len(found) // 3)])) or "1"
                    few = f"UID SORT ({order}) UTF-8 UID {some}"
                    assert told(wire, few) == told(judge, few)
                for algorithm in ("REFERENCES", "ORDEREDSUBJECT"):
                    command = f"UID THREAD {algorithm} UTF-8 ALL"
                    assert wire.ok(command)[0] == judge.ok(command)[0]
