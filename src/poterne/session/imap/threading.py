"""THREAD's two algorithms (RFC 5256 §3), step by step as they are written there.

Both take the searched messages in mailbox order and give the threads as `responses.Node`s. Work is linear, but for sorting:
that a link would make a loop is looked into only where the child has children already, and not beyond `MAX_STEPS` ancestors
(nobody answers that deep; such a link is left out). The caller can give others a turn at each `yield`.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from poterne.proto.imap.responses import Node

MAX_STEPS: Final = 1000
STEP: Final = 256
"""Messages between two turns."""


class Threaded(msgspec.Struct, frozen=True, gc=False):
    """What threading knows of a message. `number` is what the answer names it by."""

    number: int
    sent_at: int
    subject: str
    """The base subject, folded."""
    is_reply: bool
    message_id: int | None = None
    """A hash of the identifier, of any kind."""
    references: Sequence[int] = ()
    """The same, oldest first."""


def by_subject(messages: Sequence[Threaded]) -> list[Node]:
    """ORDEREDSUBJECT."""
    threads: dict[str, list[Threaded]] = {}
    for message in sorted(messages, key=lambda message: message.sent_at):
        threads.setdefault(message.subject, []).append(message)
    # In the order of their first messages, since those came in the order of their dates.
    return [Node(first.number, [Node(other.number) for other in others]) for first, *others in threads.values()]


@dataclass(slots=True, eq=False)
class _Container:
    """A message, or (None) one that is known by reference only."""

    message: Threaded | None
    parent: "_Container | None" = None
    children: "list[_Container]" = field(default_factory=list)

    @property
    def first(self) -> Threaded:
        """The message that stands for it: of a dummy its first child, which always is one."""
        message = self.message or self.children[0].message
        if message is None:
            raise RuntimeError("a dummy below a dummy")
        return message

    @property
    def is_reply(self) -> bool:
        return self.message is not None and self.message.is_reply


def by_references(messages: Sequence[Threaded]) -> Generator[None, None, list[Node]]:
    """REFERENCES."""
    containers = yield from _linked(messages)
    roots = _pruned(containers)
    yield
    for root in roots:
        if root.message is None:
            root.children.sort(key=_date)
    roots.sort(key=_date)  # (4)
    yield
    roots = _gathered(roots)
    yield
    return _sorted(roots)


_NOWHERE: Final = _Container(None)
"""The parent of whoever has one that nobody else names: it is a root that takes no other parent. Its children are not kept."""


def _date(container: _Container) -> tuple[int, int]:
    first = container.first
    return first.sent_at, first.number


def _linked(messages: Sequence[Threaded]) -> Generator[None, None, list[_Container]]:
    """Step (1): every container, linked to its parent. `children` are the links so far, in no order."""
    by_id: dict[int, _Container] = {}
    containers: list[_Container] = []
    matters = _mattering(messages)
    yield
    for count, message in enumerate(messages):
        if count % STEP == STEP - 1:
            yield
        own = message.message_id
        current = None if own is None else by_id.get(own)
        if current is None or current.message is not None:
            current = _Container(message)
            containers.append(current)
            if own is not None:
                by_id.setdefault(own, current)
        else:
            current.message = message
        parent: _Container | None = None
        for reference in message.references:
            if reference not in matters:
                parent = parent or _NOWHERE
                continue
            child = by_id.get(reference)
            if child is None:
                child = by_id[reference] = _Container(None)
                containers.append(child)
            if parent is not None and child.parent is None and not _makes_loop(parent, child):
                _link(parent, child)
            parent = child
        if current.parent is parent:
            continue
        if current.parent is not None:
            if current.parent is not _NOWHERE:
                current.parent.children.remove(current)
            current.parent = None
        if parent is not None and not _makes_loop(parent, current):
            _link(parent, current)
    return containers


def _mattering(messages: Sequence[Threaded]) -> set[int]:
    """Identifiers of messages that are there, or that are named twice.

    A dummy for any other has one child, which it would leave to its own parent, so that child gets that parent at once.
    Hostile mail may name a hundred times as many identifiers as there are messages.
    """
    matters = {message.message_id for message in messages if message.message_id is not None}
    named: set[int] = set()
    for message in messages:
        for reference in message.references:
            if reference in named:
                matters.add(reference)
            else:
                named.add(reference)
    return matters


def _link(parent: _Container, child: _Container) -> None:
    child.parent = parent
    if parent is not _NOWHERE:
        parent.children.append(child)


def _makes_loop(parent: _Container, child: _Container) -> bool:
    if parent is child:
        return True
    if not child.children:
        return False
    above = parent.parent
    for _ in range(MAX_STEPS):
        if above is None:
            return False
        if above is child:
            return True
        above = above.parent
    return True


def _pruned(containers: Sequence[_Container]) -> list[_Container]:
    """Steps (2) and (3): the roots; dummies are left only there, and only with more than one child."""
    for container in containers:  # not those between: each dummy is gone through once
        if container.message is not None or _is_root(container):
            container.children = _messages_below(container)
    roots: list[_Container] = []
    for container in containers:
        if not _is_root(container):
            continue
        if container.message is not None:
            roots.append(container)
        elif len(container.children) == 1:
            roots.append(container.children[0])
        elif container.children:
            roots.append(container)
    return roots


def _is_root(container: _Container) -> bool:
    return container.parent is None or container.parent is _NOWHERE


def _messages_below(container: _Container) -> list[_Container]:
    """Its children, those of dummies in their place."""
    found: list[_Container] = []
    waiting = list(container.children)
    while waiting:
        child = waiting.pop()
        if child.message is None:
            waiting += child.children
        else:
            found.append(child)
    return found


def _gathered(roots: list[_Container]) -> list[_Container]:
    """Step (5): roots of the same subject become one thread."""
    table: dict[str, _Container] = {}
    for root in roots:
        subject = root.first.subject
        if not subject:
            continue
        known = table.get(subject)
        if known is None or (
            known.message is not None and (root.message is None or (known.is_reply and not root.is_reply))
        ):
            table[subject] = root
    kept: dict[int, _Container] = {id(root): root for root in roots}
    for root in roots:
        subject = root.first.subject
        known = table.get(subject) if subject else None
        if known is None or known is root:
            continue
        del kept[id(root)]
        if known.message is None:
            if root.message is None:
                known.children += root.children
            else:
                known.children.append(root)
        elif root.is_reply and not known.is_reply:
            known.children.append(root)
        else:
            del kept[id(known)]
            dummy = table[subject] = _Container(None, children=[known, root])
            kept[id(dummy)] = dummy
    return list(kept.values())


def _sorted(roots: list[_Container]) -> list[Node]:
    """Step (6). Only dummies are dated by their children, so that the order of the levels does not matter below them."""
    top = _Container(None, children=roots)
    shown = Node(0)
    waiting = [(top, shown)]
    for root in roots:
        if root.message is None:
            root.children.sort(key=_date)
    while waiting:
        container, node = waiting.pop()
        container.children.sort(key=_date)
        for child in container.children:
            below = Node(0 if child.message is None else child.message.number)
            node.children.append(below)
            if child.children:
                waiting.append((child, below))
    return shown.children
