"""How a setting is declared: one dataclass field with its documentation beside it."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")
_KEY = "poterne"


@dataclass(frozen=True, slots=True)
class Doc:
    """What the reference page says of one setting. `why` is the reason for the default, `risk` what a change may break."""

    doc: str
    why: str = ""
    risk: str = ""
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()


def setting(
    default: T,
    doc: str,
    *,
    why: str = "",
    risk: str = "",
    minimum: float | None = None,
    maximum: float | None = None,
    choices: tuple[str, ...] = (),
) -> T:
    """A field with a default and its documentation; numbers may have bounds, strings a list of choices."""
    meta = {_KEY: Doc(doc, why, risk, minimum, maximum, choices)}
    return dataclasses.field(default=default, metadata=meta)


def made(factory: Callable[[], T], doc: str, *, why: str = "", risk: str = "") -> T:
    """A field whose default is made anew (tables, lists)."""
    return dataclasses.field(default_factory=factory, metadata={_KEY: Doc(doc, why, risk)})


def doc_of(field: "dataclasses.Field[object]") -> Doc:
    """The documentation of a field; every setting has one (a test makes sure)."""
    doc = field.metadata.get(_KEY)
    return doc if isinstance(doc, Doc) else Doc("")
