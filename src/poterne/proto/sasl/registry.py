"""The mechanisms we know, by name."""

from collections.abc import Callable
from typing import Final

from poterne.proto.sasl.login import Login
from poterne.proto.sasl.mechanism import Exchange
from poterne.proto.sasl.plain import Plain

MECHANISMS: Final[dict[str, Callable[[], Exchange]]] = {"PLAIN": Plain, "LOGIN": Login}


def exchange(name: str) -> Exchange | None:
    """A new exchange, or None for a name we do not know. `name` in any case."""
    make = MECHANISMS.get(name.upper())
    return make() if make is not None else None
