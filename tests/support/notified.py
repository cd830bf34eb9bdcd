"""What a client knows that only listens to NOTIFY: names, subscriptions, STATUS of other mailboxes, the selected one by number."""

import re
import select
import time

from tests.support.imap_world import Wire

_LIST = re.compile(rb'\* LIST \(([^)]*)\) "/" (\S+)(?: \("OLDNAME" \((\S+)\)\))?')
_STATUS = re.compile(rb"\* STATUS (\S+) \(([^)]*)\)")
_FETCH = re.compile(rb"\* (\d+) FETCH \((.*)\)", re.DOTALL)
GROUPS = (
    "(selected (MessageNew (UID FLAGS) MessageExpunge FlagChange))"
    " (personal (MailboxName SubscriptionChange MessageNew MessageExpunge FlagChange))"
)


class Notified:
    """Learns from untagged responses. `told` counts them by kind."""

    def __init__(self, wire: Wire, *, groups: str = GROUPS, condstore: bool = False) -> None:
        self.wire = wire
        self.names: set[str] = set()
        self.subscribed: set[str] = set()
        self.status: dict[str, dict[str, int]] = {}
        self.selected: list[tuple[int | None, frozenset[str] | None]] = []
        self.told: dict[str, int] = {"LIST": 0, "STATUS": 0}
        if condstore:
            wire.ok("ENABLE CONDSTORE")
        for line in wire.ok(f"NOTIFY SET STATUS {groups}"):
            self.hear(line)
        for line in wire.ok('LIST "" "*" RETURN (SUBSCRIBED)'):
            self.hear(line)
        self.subscribed |= subscriptions(wire)
        self.told = {"LIST": 0, "STATUS": 0}

    def select(self, name: str) -> None:
        """What is told in between is heard too."""
        self.selected = []
        for line in self.wire.ok(f"SELECT {name}"):
            self.hear(line)
        for line in self.wire.ok("UID FETCH 1:* (UID FLAGS)"):
            self.hear(line)

    def hear(self, line: bytes) -> None:
        if (found := _LIST.match(line)) is not None:
            self._list(found)
        elif (found := _STATUS.match(line)) is not None:
            self.told["STATUS"] += 1
            words = found[2].decode().split()
            values = dict(zip(words[::2], map(int, words[1::2]), strict=True))
            self.status.setdefault(_name(found[1]), {}).update(values)
        elif (found := _FETCH.match(line)) is not None:
            self._fetch(int(found[1]), found[2].decode())
        elif (found := re.fullmatch(rb"\* (\d+) EXISTS", line)) is not None:
            count = int(found[1])
            assert count >= len(self.selected), (line, len(self.selected))
            self.selected += [(None, None)] * (count - len(self.selected))
        elif (found := re.fullmatch(rb"\* (\d+) EXPUNGE", line)) is not None:
            del self.selected[int(found[1]) - 1]
        else:
            assert re.match(rb"\* (OK|FLAGS|\d+ RECENT|ENABLED|ESEARCH|SEARCH)", line), line

    def _list(self, found: "re.Match[bytes]") -> None:
        self.told["LIST"] += 1
        attributes, name = found[1].decode().split(), _name(found[2])
        if found[3] is not None:
            old = _name(found[3])
            self.status.pop(name, None)  # whatever had this name is gone
            for known in [one for one in self.names if one == old or one.startswith(old + "/")]:
                self.names.discard(known)
                moved = name + known[len(old) :]
                self.names.add(moved)
                if known in self.status:
                    self.status[moved] = self.status.pop(known)
        if "\\NonExistent" in attributes:
            self.names.discard(name)
            self.status.pop(name, None)
        else:
            self.names.add(name)
            if "\\Noselect" in attributes:
                self.status.pop(name, None)
        (self.subscribed.add if "\\Subscribed" in attributes else self.subscribed.discard)(name)

    def _fetch(self, number: int, items: str) -> None:
        uid, flags = self.selected[number - 1]
        if (told := re.search(r"UID (\d+)", items)) is not None:
            assert uid in {None, int(told[1])}, (number, items, uid)
            uid = int(told[1])
        if (shown := re.search(r"FLAGS \(([^)]*)\)", items)) is not None:
            flags = frozenset(shown[1].split()) - {"\\Recent"}
        self.selected[number - 1] = (uid, flags)

    def listen(self, quiet_s: float = 0.4, most_s: float = 20.0) -> None:
        """Hear what comes, until nothing has come for so long."""
        until = time.monotonic() + most_s
        while time.monotonic() < until:
            pending = b"\r\n" in self.wire._buffer or getattr(self.wire.socket, "pending", int)()
            if not pending and not select.select([self.wire.socket], [], [], quiet_s)[0]:
                return
            self.hear(self.wire.response())
        raise AssertionError("it does not stop")


def _name(wire: bytes) -> str:
    return wire.decode().strip('"')


def subscriptions(wire: Wire) -> set[str]:
    return {_name(found[2]) for line in wire.ok('LIST (SUBSCRIBED) "" "*"') if (found := _LIST.match(line)) is not None}


def truth(wire: Wire) -> tuple[set[str], set[str], dict[str, dict[str, int]]]:
    """Names, subscriptions and STATUS as another client is told them now."""
    names: set[str] = set()
    status: dict[str, dict[str, int]] = {}
    for line in wire.ok('LIST "" "*" RETURN (STATUS (MESSAGES UIDNEXT UIDVALIDITY UNSEEN))'):
        if (found := _LIST.match(line)) is not None:
            names.add(_name(found[2]))
        elif (found := _STATUS.match(line)) is not None:
            words = found[2].decode().split()
            status[_name(found[1])] = dict(zip(words[::2], map(int, words[1::2]), strict=True))
    return names, subscriptions(wire), status
