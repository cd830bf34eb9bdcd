"""Reads a settings file. What it does not know, or what would be dangerous, it refuses, naming file, line, key and remedy.

All problems of a file are reported together, so that an administrator mends them in one go.
"""

import dataclasses
import difflib
import re
import tomllib
import typing
from pathlib import Path

from poterne.config.dangers import dangers
from poterne.config.fields import doc_of
from poterne.config.lists import with_lists
from poterne.config.locate import Lines
from poterne.config.settings import Settings


@dataclasses.dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in a file. `line` is 0 when the key is missing altogether."""

    path: Path
    line: int
    key: str
    what: str
    remedy: str

    def __str__(self) -> str:
        where = f"{self.path}:{self.line}" if self.line else str(self.path)
        return f"{where}: {self.key}: {self.what}\n    → {self.remedy}"


class ConfigError(Exception):
    """The file can't be used; `problems` says why, each with its remedy."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


@dataclasses.dataclass(slots=True)
class _Reader:
    path: Path
    lines: Lines
    problems: list[Problem]

    def fail(self, key: tuple[str, ...], what: str, remedy: str) -> None:
        self.problems.append(Problem(self.path, self.lines.of(key), ".".join(key), what, remedy))

    def table(self, kind: type, raw: object, key: tuple[str, ...]) -> object:
        """An instance of dataclass `kind` from a TOML table; problems are noted and defaults used in their place."""
        if not isinstance(raw, dict):
            where = f'{key[0]}."example.org"' if key[0] == "zone" and len(key) > 1 else ".".join(key)
            self.fail(key, "is not a table", f"write [{where}] and its settings below")
            return kind()
        fields = {f.name: f for f in dataclasses.fields(kind)}
        hints = typing.get_type_hints(kind)
        values: dict[str, object] = {}
        for name, value in raw.items():
            here = (*key, name)
            if name not in fields:
                self.fail(here, "unknown setting", _quoted(here, value) or _did_you_mean(name, fields))
                continue
            ok, converted = self.value(hints[name], fields[name], value, here)
            if ok:
                values[name] = converted
        return kind(**values)

    def value(
        self, hint: object, field: "dataclasses.Field[object]", value: object, key: tuple[str, ...]
    ) -> tuple[bool, object]:
        if dataclasses.is_dataclass(hint) and isinstance(hint, type):
            return True, self.table(hint, value, key)
        origin = typing.get_origin(hint)
        if origin is dict:
            kind = typing.get_args(hint)[1]
            if not isinstance(value, dict):
                self.fail(key, "is not a table", f"write [{'.'.join(key)}.NAME] and its settings below")
                return False, None
            return True, {name: self.table(kind, raw, (*key, name)) for name, raw in value.items()}
        if origin is list:
            if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
                what = "holds something else than" if isinstance(value, list) else f"is {_kind(value)}, not a list of"
                self.fail(key, f"{what} strings", 'write for example ["127.0.0.1", "::1"]')
                return False, None
            return True, value
        return self.scalar(hint, field, value, key)

    def scalar(
        self, hint: object, field: "dataclasses.Field[object]", value: object, key: tuple[str, ...]
    ) -> tuple[bool, object]:
        doc = doc_of(field)
        if type(value) is not hint:
            self.fail(key, f"is {_kind(value)}, not {_NAMES[hint]}", f"write it as {_NAMES[hint]}. {doc.doc}")
            return False, None
        if doc.choices and value not in doc.choices:
            self.fail(key, f'"{value}" is not possible', "choose one of " + ", ".join(f'"{c}"' for c in doc.choices))
            return False, None
        if isinstance(value, int) and not isinstance(value, bool):
            if doc.minimum is not None and value < doc.minimum:
                self.fail(key, f"{value} is too small", f"the least is {doc.minimum:g}; {doc.doc}")
                return False, None
            if doc.maximum is not None and value > doc.maximum:
                self.fail(key, f"{value} is too large", f"the most is {doc.maximum:g}; {doc.doc}")
                return False, None
        return True, value


_NAMES: dict[object, str] = {str: "a string", int: "a whole number", bool: "true or false"}


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "true or false"
    return {
        str: "a string",
        int: "a whole number",
        float: "a number with a point",
        list: "a list",
        dict: "a table",
    }.get(type(value), "of another kind")


def _quoted(key: tuple[str, ...], value: object) -> str:
    """[zone.example.org] is a table in a table to TOML, and a domain to who wrote it."""
    if not isinstance(value, dict) or len(key) < 3:
        return ""
    names = [key[1]]
    rest: object = {key[2]: value}
    while isinstance(rest, dict) and len(rest) == 1 and isinstance(inner := next(iter(rest.values())), dict):
        names.append(str(next(iter(rest))))
        rest = inner
    return f'a name with dots needs quotes: write [{key[0]}."{".".join(names)}"]'


def _did_you_mean(name: str, known: typing.Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    if close:
        return f'did you mean "{close[0]}"? Otherwise take the line out'
    return "take the line out; docs/config.md lists every setting"


def load(path: Path) -> Settings:
    """The settings in a file, with those of the files of networks that it names. Raises ConfigError with every problem found."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(
            [Problem(path, 0, "file", "does not exist", "make an instance with: poterne setup DOMAIN")]
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            [
                Problem(
                    path,
                    0,
                    "file",
                    f"can't be read ({type(error).__name__})",
                    "check its permissions; it is UTF-8 text",
                )
            ]
        ) from None
    settings, complaints = with_lists(parse(text, path), path.parent)
    if complaints:
        lines = Lines(text)
        raise ConfigError(
            [
                Problem(file if line else path, line or lines.of(key), ".".join(key), what, remedy)
                for file, line, key, what, remedy in complaints
            ]
        )
    return settings


def parse(text: str, path: Path) -> Settings:
    """The settings in a text; `path` is for messages, relative paths in it are left as they are, and nothing else is read."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"line (\d+)", str(error))
        line = int(found[1]) if found else max(1, len(text.rstrip().split("\n")))  # else it says: at end of document
        what = str(error).split(" (at")[0]
        raise ConfigError([Problem(path, line, "syntax", what, "correct the TOML syntax of this line")]) from None
    reader = _Reader(path, Lines(text), [])
    settings = reader.table(Settings, raw, ())
    assert isinstance(settings, Settings)  # noqa: S101  (for the type checker: table returns what it was asked for)
    known = {problem.key for problem in reader.problems}
    for key, what, remedy in dangers(settings):
        if ".".join(key) not in known:  # a value of the wrong type was told already
            reader.fail(key, what, remedy)
    if reader.problems:
        raise ConfigError(sorted(reader.problems, key=lambda p: p.line))
    return settings
