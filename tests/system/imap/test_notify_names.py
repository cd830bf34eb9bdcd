"""A client with NOTIFY that makes, renames and deletes mailboxes itself, beside another one: in the end it believes what is so.

Both hurry: what one does is mostly answered before the other is told of it.
"""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.imap_world import Wire, World
from tests.support.notified import Notified, truth

NAMES = ("a", "b", "a/x", "b/x", "a/x/y", "c")
STEPS = 16


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path) as world:
        yield world


class Hasty(Notified):
    """`names` without those that are only a level: whether they are there after a DELETE depends on children."""

    def __init__(self, wire: Wire) -> None:
        self.acts: list[str] = []
        super().__init__(wire, groups="(personal (MailboxName))")

    def hear(self, line: bytes) -> None:
        super().hear(line)
        self.acts.append(f"heard {line!r}")
        if b"\\Noselect" in line:
            self.names.discard(line.split()[-1].decode())

    def act(self, kind: str, name: str, other: str = "") -> None:
        lines, tagged = self.wire.run(f"{kind} {name} {other}".rstrip())
        for line in lines:
            self.hear(line)
        self.acts.append(f"{kind} {name} {other} {tagged!r}")
        if not tagged.startswith(b"OK"):
            return
        if kind == "DELETE":
            self.names.discard(name)
            return
        if kind == "RENAME":
            for known in [one for one in self.names if one == name or one.startswith(name + "/")]:
                self.names.discard(known)
                self.names.add(other + known[len(name) :])
            name = other
        self.names.add(name)
        while "/" in name:  # what is above it was made, too
            name = name.rpartition("/")[0]
            self.names.add(name)

    def look(self) -> None:
        for line in self.wire.ok('LIST "" "*"'):
            self.hear(line)


def there(wire: Wire) -> set[str]:
    levels = [line.split()[-1].decode() for line in wire.ok('LIST "" "*"') if b"\\Noselect" in line]
    return truth(wire)[0] - set(levels)


@pytest.mark.parametrize("seed", range(4))
def test_both_make_rename_and_delete(world: World, seed: int) -> None:
    rng = random.Random(seed)
    with world.client() as one, world.client() as two:
        client = Hasty(one)
        for _ in range(STEPS):
            client.acts.clear()
            for _ in range(rng.randrange(1, 5)):
                kind = rng.choice(["CREATE", "CREATE", "RENAME", "DELETE"])
                name, other = rng.sample(NAMES, 2)
                other = other if kind == "RENAME" else ""
                who = rng.random()
                if who < 0.4:
                    client.act(kind, name, other)
                elif who < 0.5:
                    client.look()
                elif two.run(f"{kind} {name} {other}".rstrip())[1].startswith(b"OK"):
                    client.acts.append(f"other {kind} {name} {other}")
                    if rng.random() < 0.5:
                        client.act(*rng.choice(answers(kind, name, other)))
            client.listen(0.15)
            assert client.names == there(two), client.acts


def answers(kind: str, name: str, other: str) -> list[tuple[str, ...]]:
    """What is likely to be taken for something else by who has not heard of the first yet."""
    if kind == "RENAME":
        return [("CREATE", name), ("CREATE", name + "/x"), ("DELETE", other), ("RENAME", other, "c")]
    if kind == "CREATE":
        return [("DELETE", name), ("RENAME", name, "c"), ("CREATE", name + "/y")]
    return [("CREATE", name), ("RENAME", "c", name)]
