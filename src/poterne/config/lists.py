"""Files of networks, one a line: read when the settings are, so that what a worker checks is what was loaded."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

from poterne.config.settings import Listener, Settings
from poterne.values.networks import NetworkError, NetworkSet, parse_network

Complaint = tuple[Path, int, tuple[str, ...], str, str]
"""(file, line, key, what is wrong, what to do); line 0: the file itself, which the key names."""


def with_lists(settings: Settings, folder: Path) -> tuple[Settings, list[Complaint]]:
    """The settings with the networks of `allow_file` and `deny_file` added to `allow` and `deny`, and what is wrong."""
    complaints: list[Complaint] = []
    listeners: dict[str, Listener] = {}
    for name, listener in settings.listener.items():
        changes: dict[str, list[str]] = {}
        for field, file in (("allow", listener.allow_file), ("deny", listener.deny_file)):
            if file:
                key = ("listener", name, f"{field}_file")
                changes[field] = [*getattr(listener, field), *_read(folder / file, key, complaints)]
        listeners[name] = dataclasses.replace(listener, **changes) if changes else listener  # type: ignore[arg-type]
    return dataclasses.replace(settings, listener=listeners), complaints


def _read(path: Path, key: tuple[str, ...], complaints: list[Complaint]) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        what = f"{path} can't be read ({type(error).__name__})"
        complaints.append((path, 0, key, what, "check its name and permissions; it is UTF-8 text"))
        return []
    numbered = [(number, entry) for number, line in enumerate(lines, 1) if (entry := line.partition("#")[0].strip())]
    entries = [entry for _, entry in numbered]
    if not entries:
        remedy = "write networks into it, one a line, or take the setting out: an empty list would mean everybody"
        complaints.append((path, 0, key, f"{path} holds no network", remedy))
    try:
        NetworkSet(entries)
    except NetworkError:
        complaints.extend(_wrong_lines(path, key, numbered))
    return entries


def _wrong_lines(path: Path, key: tuple[str, ...], numbered: list[tuple[int, str]]) -> Iterator[Complaint]:
    for number, entry in numbered:
        try:
            parse_network(entry)
        except NetworkError as error:
            yield path, number, key, f'"{entry}" {error.what}', error.remedy
