"""The files of `poterne report import`: single ones, folders, mbox files; never more than one message in memory."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from poterne.cli.common import fail

OPEN_MOST = 900
"""By root, who must open them before becoming another user."""
_MBOX = b"From "


class Files:
    """What was named, with folders walked through. Ends the command when something can't be opened at all."""

    def __init__(self, named: Sequence[Path]) -> None:
        self._paths = [path for one in named for path in _within(one)]
        self._open: dict[Path, BinaryIO] = {}
        self.problems: list[tuple[str, str]] = []
        if os.geteuid() == 0:
            if len(self._paths) > OPEN_MOST:
                fail(
                    f"{len(self._paths)} files: import at most {OPEN_MOST} at once as root, or do it as the server's user"
                )
            for path in self._paths:
                self._opened(path, keep=True)
        self.size = sum(_size(path) for path in self._paths)

    def documents(self, most: int) -> Iterator[tuple[str, bytes, int]]:
        """Name, octets, and how many octets of all files that is. Of what is larger than `most`, one octet more than that."""
        for path in self._paths:
            file = self._open.pop(path, None) or self._opened(path)
            if file is None:
                continue
            with file:
                try:
                    yield from ((str(path), octets, passed) for octets, passed in _split(file, most))
                except OSError as error:
                    self.problems.append((str(path), error.strerror or "can't be read"))

    def _opened(self, path: Path, *, keep: bool = False) -> BinaryIO | None:
        try:
            file = path.open("rb")
        except OSError as error:
            if not keep:
                self.problems.append((str(path), error.strerror or "can't be opened"))
            return None
        if keep:
            self._open[path] = file
        return file


def _within(path: Path) -> Iterator[Path]:
    if path.is_dir():
        yield from (one for one in sorted(path.rglob("*")) if one.is_file() and not one.name.startswith("."))
    else:
        yield path


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _split(file: BinaryIO, most: int) -> Iterator[tuple[bytes, int]]:
    first = file.read(len(_MBOX))
    if first != _MBOX:
        octets = first + file.read(most + 1 - len(first))
        yield octets, os.fstat(file.fileno()).st_size
        return
    passed = len(first) + len(file.readline(most))
    message = bytearray()
    blank = False
    while line := file.readline(65_536):
        if blank and line.startswith(_MBOX):
            yield bytes(message), passed
            message.clear()
            passed = len(line)
            blank = False
            continue
        passed += len(line)
        blank = line in {b"\n", b"\r\n"}
        if len(message) <= most:
            message += line.removeprefix(b">") if line.startswith(b">From ") else line
    yield bytes(message), passed
