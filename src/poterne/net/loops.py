"""Which event loop runs. Nothing else in the house knows."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import TypeVar

T = TypeVar("T")


def run(main: Coroutine[object, object, T], *, use_uvloop: bool | None = None, debug: bool = False) -> T:
    """Run `main` to its end in a new event loop and return its result.

    `use_uvloop` None: uvloop if it is installed. True: ImportError if it is not. Tasks left over are cancelled.
    """
    with asyncio.Runner(loop_factory=loop_factory(use_uvloop=use_uvloop), debug=debug) as runner:
        return runner.run(main)


def loop_factory(*, use_uvloop: bool | None = None) -> Callable[[], asyncio.AbstractEventLoop]:
    """Makes event loops of the chosen kind."""
    if use_uvloop is False:
        return asyncio.new_event_loop
    try:
        import uvloop  # noqa: PLC0415  # optional: it does not exist on every platform
    except ImportError:
        if use_uvloop:
            raise
        return asyncio.new_event_loop
    return uvloop.new_event_loop
