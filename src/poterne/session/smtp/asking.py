"""Evaluations that ask DNS, as far as they go without waiting; the rest as a task beside the message that comes.

Theory of operation. An evaluation (`mailauth.spf.check.Steps`) yields questions and is sent answers. While the resolver's cache
knows all of them, it goes on at once, and most end there: that costs no task and no turn of the event loop. Else a task asks the
rest, the questions of a step at the same time, while the body is still on its way.
"""

import asyncio
from typing import Final, Generic, Protocol, TypeVar, cast, final

from poterne.mailauth.spf.check import Questions, Steps
from poterne.values.dns import Answer, Kind, Resolver

R = TypeVar("R")
T = TypeVar("T")


class Names(Resolver, Protocol):
    """A resolver that remembers."""

    def known(self, name: str, kind: Kind[R], /) -> Answer[R] | None:
        """What it remembers; None: it must be asked."""


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
