"""Files of networks and recipients, one a line: read when the settings are, so that what is checked is what was loaded."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

from poterne.config.settings import Listener, Settings
from poterne.values.address import Address, AddressError, domain_name
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
    for name, route in settings.route.items():
        if route.recipients_file:
            _check_recipients(folder / route.recipients_file, ("route", name, "recipients_file"), complaints)
    return dataclasses.replace(settings, listener=listeners), complaints


def recipients(path: Path) -> frozenset[str]:
    """The entries of a file of recipients, as `Address.key`s and `@domain`s; what is neither is left out. Raises OSError."""
    found = (_recipient(entry) for _, entry in _entries(path.read_text(encoding="utf-8", errors="replace")))
    return frozenset(entry for entry in found if entry is not None)


def _entries(text: str) -> list[tuple[int, str]]:
    """What is written, with line numbers, without comments."""
    lines = enumerate(text.split("\n"), 1)
    return [(number, entry) for number, line in lines if (entry := line.partition("#")[0].strip())]


def _recipient(entry: str) -> str | None:
    try:
        return f"@{domain_name(entry[1:])}" if entry[:1] == "@" else Address.parse(entry).key
    except AddressError:
        return None


def _why(error: OSError | UnicodeDecodeError) -> str:
    return (error.strerror or type(error).__name__) if isinstance(error, OSError) else "it is not UTF-8"


def _check_recipients(path: Path, key: tuple[str, ...], complaints: list[Complaint]) -> None:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        what = f"{path} can't be read ({_why(error)})"
        complaints.append((path, 0, key, what, "check its name and permissions; it is UTF-8 text"))
        return
    for number, entry in _entries(text):
        if _recipient(entry) is None:
            remedy = "write name@example.org, or @example.org for all of a domain"
            complaints.append((path, number, key, f'"{entry}" is no address', remedy))


def _read(path: Path, key: tuple[str, ...], complaints: list[Complaint]) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        what = f"{path} can't be read ({_why(error)})"
        complaints.append((path, 0, key, what, "check its name and permissions; it is UTF-8 text"))
        return []
    numbered = _entries(text)
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
