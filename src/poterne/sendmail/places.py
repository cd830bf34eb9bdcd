"""Where the server is, and which domain stands for this machine."""

import os
from typing import Final, NamedTuple

from poterne.sendmail.exits import EX_CONFIG, Failure

SOCKET: Final = "/run/poterne/submit.sock"
FILE: Final = "/etc/poterne/sendmail.conf"
MAILNAME: Final = "/etc/mailname"
"""Debian's file for it (Policy §11.6)."""


class Places(NamedTuple):
    socket: str
    domain: str
    """What follows the @ of an address that has none; "" when nobody said."""


def places(named: str, *, file: str = FILE, mailname: str = MAILNAME) -> Places:
    """The socket: as named in an option, in $POTERNE_SOCKET, in the file (`socket = PATH`), or the usual one.

    The domain: $POTERNE_DOMAIN, the file (`domain = NAME`), /etc/mailname.
    """
    said = _read(file)
    socket = named or os.environ.get("POTERNE_SOCKET") or said.get("socket") or SOCKET
    domain = os.environ.get("POTERNE_DOMAIN") or said.get("domain") or _first_line(mailname)
    return Places(socket, domain)


def _read(file: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for number, line in enumerate(_lines(file), 1):
        text = line.strip()
        if not text or text[0] == "#":
            continue
        key, equals, value = text.partition("=")
        key = key.strip()
        if not equals or key not in {"socket", "domain"}:
            raise Failure(EX_CONFIG, f"{file}:{number}: write socket = PATH or domain = NAME")
        found[key] = value.strip().strip('"')
    return found


def _first_line(file: str) -> str:
    lines = _lines(file)
    return lines[0].strip() if lines else ""


def _lines(file: str) -> list[str]:
    try:
        with open(file, encoding="utf-8", errors="replace") as lines:  # noqa: PTH123  (pathlib takes longer than all else here)
            return lines.read(65536).splitlines()
    except OSError:
        return []
