import asyncio
import inspect
from collections.abc import Callable, Coroutine

import pytest

from poterne.net.loops import loop_factory

Test = Callable[..., Coroutine[object, object, None]]


def both_loops(test: Test) -> Callable[..., None]:
    """Run an async test once on uvloop and once on asyncio, in debug mode: what asyncio would only log is an error."""

    def run(loop_kind: str, **fixtures: object) -> None:
        complaints: list[dict[str, object]] = []
        with asyncio.Runner(loop_factory=loop_factory(use_uvloop=loop_kind == "uvloop")) as runner:
            loop = runner.get_loop()
            assert type(loop).__module__.split(".")[0] == loop_kind
            loop.set_exception_handler(lambda _, context: complaints.append(context))
            runner.run(test(**fixtures))
        assert complaints == []

    run.__name__, run.__doc__, run.__module__ = test.__name__, test.__doc__, test.__module__
    signature = inspect.signature(test)
    loop_kind = inspect.Parameter("loop_kind", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = [loop_kind, *signature.parameters.values()]
    run.__signature__ = signature.replace(parameters=parameters, return_annotation=None)  # type: ignore[attr-defined]
    run.pytestmark = list(getattr(test, "pytestmark", []))  # type: ignore[attr-defined]
    return pytest.mark.parametrize("loop_kind", ["uvloop", "asyncio"])(run)
