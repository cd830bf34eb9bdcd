"""A store that fails at the n-th call: the tests walk n through every flow, and mail must be answered 4xx or kept.

`Fails.BEFORE`: nothing happened. `Fails.AFTER`: it happened and is durable, but the caller hears that it failed, as when
the power goes between the commit and the answer. Calls that cannot fail by contract are not counted.
"""

import functools
import inspect
from collections.abc import AsyncIterator, Callable
from enum import Enum
from typing import Any, Final, cast

from poterne.store.errors import UnavailableError
from poterne.store.interface import Blobs, BlobWriter, Store
from poterne.values.ids import BlobId

_NEVER_FAIL: Final = frozenset({"listen", "poll", "close"})


class Fails(Enum):
    BEFORE = "before"
    AFTER = "after"


class FailurePlan:
    """Which call fails, counted from 1 over the store and its blobs together. `calls` tells how many there were."""

    def __init__(self, at: int | None = None, fails: Fails = Fails.BEFORE) -> None:
        self.at = at
        self.fails = fails
        self.calls = 0
        self.log: list[str] = []

    def call(self, name: str, work: Callable[[], Any]) -> Any:
        """Do it, or fail in its place; of a coroutine, when it is awaited."""
        self.calls += 1
        self.log.append(name)
        number = self.calls
        if number != self.at:
            return work()
        if self.fails is Fails.BEFORE:
            return self._refuse(name, number, work)
        return self._forget(work(), name, number)

    def _refuse(self, name: str, number: int, work: Callable[[], Any]) -> Any:
        if not inspect.iscoroutinefunction(getattr(work, "func", work)):
            raise _failure(name, number)

        async def refuse() -> None:
            raise _failure(name, number)

        return refuse()

    def _forget(self, result: Any, name: str, number: int) -> Any:
        if not inspect.isawaitable(result):
            raise _failure(name, number)

        async def forget() -> None:
            await result
            raise _failure(name, number)

        return forget()


def failing(store: Store, plan: FailurePlan) -> Store:
    """The same store, with the plan's failure in it. Only methods of the contract are there."""
    return cast("Store", _Failing(store, plan))


class _Failing:
    """Passes every public method on."""

    def __init__(self, store: Store, plan: FailurePlan) -> None:
        self._store = store
        self._plan = plan
        self.blobs = cast("Blobs", _FailingBlobs(store.blobs, plan))

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)
        if name in _NEVER_FAIL:
            return method

        @functools.wraps(method)
        def call(*args: Any, **kwargs: Any) -> Any:
            return self._plan.call(name, functools.partial(method, *args, **kwargs))

        return call


class _FailingBlobs:
    def __init__(self, blobs: Blobs, plan: FailurePlan) -> None:
        self._blobs = blobs
        self._plan = plan

    def writer(self) -> BlobWriter:
        return cast("BlobWriter", _FailingWriter(self._blobs.writer(), self._plan))

    def read(self, blob: BlobId, start: int = 0, end: int | None = None) -> bytes:
        found: bytes = self._plan.call("blobs.read", lambda: self._blobs.read(blob, start, end))
        return found

    def head(self, blob: BlobId, end: int) -> bytes:
        found: bytes = self._plan.call("blobs.head", lambda: self._blobs.head(blob, end))
        return found

    async def stream(
        self, blob: BlobId, start: int = 0, end: int | None = None, chunk: int = 262_144
    ) -> AsyncIterator[bytes]:
        async for piece in self._plan.call("blobs.stream", lambda: self._blobs.stream(blob, start, end, chunk)):
            yield piece


class _FailingWriter:
    def __init__(self, writer: BlobWriter, plan: FailurePlan) -> None:
        self._writer = writer
        self._plan = plan
        self.write = writer.write
        self.write_head = writer.write_head
        self.set_head = writer.set_head
        self.abort = writer.abort

    @property
    def size(self) -> int:
        return self._writer.size

    async def drain(self) -> None:
        await self._plan.call("writer.drain", functools.partial(self._writer.drain))

    async def finish(self) -> BlobId:
        blob: BlobId = await self._plan.call("writer.finish", functools.partial(self._writer.finish))
        return blob


def _failure(name: str, number: int) -> UnavailableError:
    return UnavailableError(f"made to fail: call {number}, {name}")
