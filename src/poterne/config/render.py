"""Writes what people read of the settings: the file of a new instance, and the reference page. Both from `settings.py`."""

import dataclasses
import re
import typing
from collections.abc import Iterator, Mapping

from poterne.config.fields import Doc, doc_of
from poterne.config.settings import Certificate, Listener, Settings

Value = str | int | bool | list[str]


def toml_value(value: object) -> str:
    """A value as TOML writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return f"{value:_}" if value >= 10_000 else str(value)
    if isinstance(value, list):
        return "[" + ", ".join(toml_value(item) for item in value) + "]"
    return _string(str(value))


def _string(text: str) -> str:
    """A basic string; control characters as escapes, so that a value never ends its line."""
    out = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + re.sub(r"[\x00-\x1f\x7f]", lambda found: f"\\u{ord(found[0]):04x}", out) + '"'


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _string(name)


def instance(
    hostname: str,
    listeners: Mapping[str, Listener],
    chosen: Mapping[str, Mapping[str, Value]],
    certificates: Mapping[str, Certificate],
) -> str:
    """The settings file of a new instance: what was chosen is written, everything else stands as a comment with its default."""
    out = [
        "# Settings of this mail server. Each setting is explained in docs/config.md; what is commented out shows its default.",
        "# After a change: `poterne check`, then send SIGHUP to the server (`systemctl reload poterne`).",
        "",
    ]
    chosen = {**chosen, "server": {"hostname": hostname, **chosen.get("server", {})}}
    for field in dataclasses.fields(Settings):
        kind = typing.get_type_hints(Settings)[field.name]
        if field.name == "listener":
            for name, listener in listeners.items():
                out += [f"[listener.{_key(name)}]", *_assignments(Listener, _differing(listener)), ""]
        elif field.name == "certificate":
            for name, certificate in certificates.items():
                out += [f"[certificate.{_key(name)}]", *_assignments(Certificate, _differing(certificate)), ""]
        elif typing.get_origin(kind) is not dict:
            out += [f"[{field.name}]", *_assignments(kind, chosen.get(field.name, {})), ""]
    return "\n".join(out)


def _differing(table: Listener | Certificate) -> dict[str, Value]:
    default = type(table)()
    return {
        f.name: getattr(table, f.name)
        for f in dataclasses.fields(table)
        if getattr(table, f.name) != getattr(default, f.name) or f.name in {"addresses", "tls"}
    }


def _assignments(kind: type, chosen: Mapping[str, Value]) -> Iterator[str]:
    for field in dataclasses.fields(kind):
        if field.name in chosen:
            yield f"{field.name} = {toml_value(chosen[field.name])}"
        elif kind not in {Listener, Certificate}:
            yield f"# {field.name} = {toml_value(_default(field))}"


def _default(field: "dataclasses.Field[object]") -> object:
    if field.default is not dataclasses.MISSING:
        return field.default
    return typing.cast("typing.Any", field.default_factory)()


def reference() -> str:
    """The page docs/config.md: every table, every setting, with default, bounds, reason and risk."""
    out = [
        "# Settings",
        "",
        "One TOML file, by default `poterne.toml` in the instance's folder. An unknown key, a wrong type or a dangerous",
        "value is an error that names the line and the remedy; `poterne check` shows all of them at once. This page is",
        "rendered from the code (`make docs`).",
        "",
    ]
    hints = typing.get_type_hints(Settings)
    for field in dataclasses.fields(Settings):
        hint = hints[field.name]
        kind = typing.get_args(hint)[1] if typing.get_origin(hint) is dict else hint
        title = f"[{field.name}.NAME]" if kind is not hint else f"[{field.name}]"
        summary = (kind.__doc__ or "").split(": ", 1)[-1].strip().rstrip(".")
        out += [
            f"## `{title}`",
            "",
            *([summary[:1].upper() + summary[1:] + ".", ""] if ": " in (kind.__doc__ or "") else []),
        ]
        for item in dataclasses.fields(kind):
            out += _entry(item, doc_of(item), typing.get_type_hints(kind)[item.name])
    return "\n".join(out).rstrip() + "\n"


def _entry(field: "dataclasses.Field[object]", doc: Doc, hint: object) -> Iterator[str]:
    yield f"### `{field.name}` = `{toml_value(_default(field))}`"
    yield ""
    yield doc.doc
    if doc.choices:
        yield "One of " + ", ".join(f"`{toml_value(c)}`" for c in doc.choices) + "."
    if hint is int and (doc.minimum is not None or doc.maximum is not None):
        low = f"at least {doc.minimum:,.0f}" if doc.minimum is not None else ""
        high = f"at most {doc.maximum:,.0f}" if doc.maximum is not None else ""
        yield f"({', '.join(filter(None, (low, high)))})"
    if doc.why:
        yield f"*Why:* {doc.why}"
    if doc.risk:
        yield f"*Risk:* {doc.risk}"
    yield ""
