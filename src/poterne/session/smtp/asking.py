"""Evaluations that ask DNS, as far as they go without waiting; the rest as a task beside the message that comes.

Theory of operation. An evaluation (`mailauth.spf.check.Steps`) yields questions and is sent answers. While the resolver's cache
knows all of them, it goes on at once, and most end there: that costs no task and no turn of the event loop. Else a task asks the
rest, the questions of a step at the same time, while the body is still on its way.

What is asked is a stranger's choice, and so is how long nobody answers: a resolver has few places, and a question keeps its
own until the end, whether or not somebody still waits. So an origin has a share of them; what it asks beyond that waits.
"""

import asyncio
from typing import Final, Generic, Protocol, TypeVar, cast, final
from weakref import WeakValueDictionary

from poterne.mailauth.spf.check import Questions, Steps
from poterne.net.limits import Key, network_of
from poterne.values.dns import Answer, Kind

R = TypeVar("R")
T = TypeVar("T")


class Names(Protocol):
    """A resolver that remembers (`values.dns.Resolver`)."""

    async def query(self, name: str, kind: Kind[R], /) -> Answer[R]: ...
    def known(self, name: str, kind: Kind[R], /) -> Answer[R] | None:
        """What it remembers; None: it must be asked."""


@final
class Share:
    """Names as one origin may ask for them."""

    __slots__ = ("__weakref__", "_names", "_places")

    def __init__(self, names: Names, most: int) -> None:
        self._names: Final = names
        self._places: Final = asyncio.Semaphore(most)

    def known(self, name: str, kind: Kind[R], /) -> Answer[R] | None:
        return self._names.known(name, kind)

    async def query(self, name: str, kind: Kind[R], /) -> Answer[R]:
        await self._places.acquire()
        asked = asyncio.ensure_future(self._names.query(name, kind))
        asked.add_done_callback(lambda _: self._places.release())
        return await asyncio.shield(asked)


@final
class Shares:
    """A resolver, divided: no origin (an IPv4 address, an IPv6 /64) has more than `most` questions under way."""

    def __init__(self, names: Names, most: int) -> None:
        self._names: Final = names
        self._most: Final = max(1, most)
        self._of: Final[WeakValueDictionary[Key, Share]] = WeakValueDictionary()
        """As long as somebody asks; questions under way hold theirs."""

    def of(self, peer: str) -> Share:
        key = network_of(peer)
        found = self._of.get(key)
        if found is None:
            found = self._of[key] = Share(self._names, self._most)
        return found


@final
class Asking(Generic[T]):
    """One evaluation under way. `result` waits for it; `drop` it, if nobody will."""

    __slots__ = ("_steps", "_task", "_value")

    def __init__(self, steps: Steps[T], names: Names) -> None:
        self._steps: Final = steps
        self._task: asyncio.Task[None] | None = None
        self._value: T
        try:
            questions = next(steps)
            while True:
                answers: list[Answer[object]] = []
                for question in questions:
                    answer = names.known(question.name, question.kind)
                    if answer is None:
                        self._task = asyncio.create_task(self._ask(questions, names))
                        return
                    answers.append(answer)
                questions = steps.send(answers)
        except StopIteration as end:
            self._value = cast("T", end.value)

    async def _ask(self, questions: Questions, names: Names) -> None:
        try:
            while True:
                if len(questions) == 1:
                    answers = [await names.query(questions[0].name, questions[0].kind)]
                else:
                    answers = await asyncio.gather(*(names.query(one.name, one.kind) for one in questions))
                questions = self._steps.send(answers)
        except StopIteration as end:
            self._value = cast("T", end.value)

    @property
    def done(self) -> bool:
        """`result` waits for nothing; never so of one that was dropped, or whose wait was cancelled."""
        return self._task is None or (self._task.done() and not self._task.cancelled())

    async def result(self) -> T:
        """What it comes to. Cancelling who waits cancels it."""
        if self._task is not None:
            await self._task
        return self._value

    def drop(self) -> None:
        """Nobody waits for it any more. Safe at any time."""
        if self._task is not None:
            self._task.cancel()
