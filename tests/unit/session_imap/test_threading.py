"""THREAD's algorithms against a slow reading of RFC 5256 §3, and against what hostile mail can ask of them."""

import random
import time
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from poterne.proto.imap import responses
from poterne.proto.imap.responses import Node
from poterne.session.imap.threading import Threaded, by_references, by_subject


def run(messages: Sequence[Threaded]) -> list[Node]:
    steps = by_references(messages)
    while True:
        try:
            next(steps)
        except StopIteration as done:
            found: list[Node] = done.value
            return found


def shown(messages: Sequence[Threaded]) -> str:
    return responses.thread(run(messages)).decode().removeprefix("* THREAD").strip()


def message(
    number: int, own: int | None, references: Sequence[int] = (), subject: str = "", *, reply: bool = False
) -> Threaded:
    return Threaded(number, number, subject, reply, own, tuple(references))


def test_ordered_subject() -> None:
    subjects = {1: "b", 2: "a", 3: "b", 4: "c", 5: "b", 6: "a"}
    messages = [Threaded(number, 10 - number, subject, is_reply=False) for number, subject in subjects.items()]
    assert responses.thread(by_subject(messages)) == b"* THREAD (6 2)(5 (3)(1))(4)\r\n"
    assert responses.thread(by_subject([])) == b"* THREAD\r\n"


def test_chain_and_branches() -> None:
    assert shown([message(1, 1), message(2, 2, [1]), message(3, 3, [1, 2]), message(4, 4, [1])]) == "(1 (2 3)(4))"


def test_the_missing_root_is_shown_as_none() -> None:
    assert shown([message(1, 1, [99]), message(2, 2, [99])]) == "((1)(2))"
    assert shown([message(1, 1, [99])]) == "(1)"
    assert shown([message(1, 1, [98, 99]), message(2, 2, [98, 99]), message(3, 3, [98])]) == "((1)(2)(3))"


def test_a_double_is_alone_and_a_loop_is_not_made() -> None:
    assert shown([message(1, 7), message(2, 7)]) == "(1)(2)"
    assert shown([message(1, 1, [2]), message(2, 2, [1])]) == "(2 1)"
    assert shown([message(1, 1, [1])]) == "(1)"


def test_same_subject_is_one_thread() -> None:
    assert shown([message(1, 1, subject="A"), message(2, 2, subject="A", reply=True)]) == "(1 2)"
    assert shown([message(1, 1, subject="A", reply=True), message(2, 2, subject="A")]) == "(2 1)"
    assert shown([message(1, 1, subject="A"), message(2, 2, subject="A")]) == "((1)(2))"
    assert shown([message(1, 1, subject=""), message(2, 2, subject="")]) == "(1)(2)"
    both = [message(n, n, [99 if n < 3 else 98], "A") for n in (1, 2, 3, 4)]
    assert shown(both) == "((1)(2)(3)(4))"


def test_deep_and_hostile_threads_end() -> None:
    count = 5000
    dice = random.Random(3)
    rows = {
        "deep": [message(n, n, range(max(1, n - 100), n)) for n in range(1, count)],
        "backwards": [message(n, count - n, [count - n - 1]) for n in range(1, count)],
        "dummies": [message(n, n, range(10**6 + 50 * n, 10**6 + 50 * n + 100)) for n in range(1, count)],
        "moved": [message(n, 10**6 + n, [1, 10**6 - n, 10**6 + 2 * n]) for n in range(1, count)],
        "random": [message(n, n, [dice.randrange(count) for _ in range(50)]) for n in range(1, count)],
    }
    for name, messages in rows.items():
        began = time.process_time()
        text = shown(messages)
        assert time.process_time() - began < 4, name
        assert sorted(map(int, text.replace("(", " ").replace(")", " ").split())) == list(range(1, count))


class Slow:
    """Step (1) to (3) with ancestors looked up each time, and dummies for every reference."""

    def __init__(self, messages: Sequence[Threaded]) -> None:
        self.parent: dict[object, object] = {}
        self.real: dict[object, int] = {}
        for one in messages:
            key: object = one.message_id
            if key is None or key in self.real:
                key = ("unique", one.number)
            self.real[key] = one.number
            before = None
            for reference in one.references:
                if before is not None and reference not in self.parent and not self.loops(before, reference):
                    self.parent[reference] = before
                before = reference
            self.parent.pop(key, None)
            if before is not None and not self.loops(before, key):
                self.parent[key] = before

    def loops(self, parent: object, child: object) -> bool:
        at: object | None = parent
        while at is not None:
            if at == child:
                return True
            at = self.parent.get(at)
        return False

    def families(self) -> set[frozenset[int]]:
        found: dict[object, set[int]] = {}
        for key, number in self.real.items():
            top = key
            while top in self.parent:
                top = self.parent[top]
            found.setdefault(top, set()).add(number)
        return {frozenset(members) for members in found.values()}

    def parents(self) -> dict[int, int]:
        """Of each message the nearest one above it that is there."""
        found = {}
        for key, number in self.real.items():
            above = self.parent.get(key)
            while above is not None and above not in self.real:
                above = self.parent.get(above)
            if above is not None:
                found[number] = self.real[above]
        return found


ids = st.integers(1, 7)
messages = st.lists(st.tuples(st.none() | ids, st.lists(ids, max_size=4)), max_size=9).map(
    lambda pairs: [message(n, own, references) for n, (own, references) in enumerate(pairs, 1)]
)


@given(messages)
@settings(max_examples=400)
def test_as_the_steps_say(found: list[Threaded]) -> None:
    slow = Slow(found)
    parents: dict[int, int] = {}
    families: set[frozenset[int]] = set()
    for root in run(found):
        family = set()
        waiting = [root]
        while waiting:
            node = waiting.pop()
            waiting += node.children
            if node.number:
                family.add(node.number)
                parents |= {child.number: node.number for child in node.children}
        families.add(frozenset(family))
    assert parents == slow.parents()
    assert families == slow.families()
