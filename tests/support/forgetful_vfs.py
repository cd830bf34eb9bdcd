"""SQLite's files in the same forgetting world as `forgetful.ForgetfulFiles`: what was not synced may be gone.

Use it in a process that is then killed; `forgetful.lose_power` treats the database like the segments beside it. Files are
opened a second time for the shadow and never closed before the process ends: closing would drop SQLite's POSIX locks.
"""

import os
from pathlib import Path

import apsw

from tests.support.forgetful import ForgetfulFiles


class ForgetfulVFS(apsw.VFS):
    """Registered under `name` for as long as the object lives."""

    def __init__(self, name: str, files: ForgetfulFiles) -> None:
        self.files = files
        self.known: dict[str, int] = {}
        super().__init__(name, "")

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:  # noqa: N802
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        if path is None:
            return apsw.VFSFile("", name, flags)
        return _File(self, path, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802
        super().xDelete(filename, syncdir)
        self.known.pop(filename, None)
        if syncdir:
            self.files.sync_folder(str(Path(filename).parent))


class _File(apsw.VFSFile):
    def __init__(self, vfs: ForgetfulVFS, path: str, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        self._files = vfs.files
        self._folder = str(Path(path).parent)
        journal = flags[0] & (apsw.SQLITE_OPEN_MAIN_JOURNAL | apsw.SQLITE_OPEN_WAL)
        self._sync_name = bool(journal) and bool(flags[0] & apsw.SQLITE_OPEN_CREATE)  # whether it exists or not
        super().__init__("", name, flags)
        if path not in vfs.known:
            vfs.known[path] = vfs.files.open(path, os.O_RDWR | os.O_CREAT)
        self._fd = vfs.known[path]

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        real = self._files._fd(self._fd)
        with self._files._dirty(real):
            self._files._log(real, offset, len(data))
            super().xWrite(data, offset)

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        real = self._files._fd(self._fd)
        with self._files._dirty(real):
            super().xTruncate(newsize)

    def xSync(self, flags: int) -> None:  # noqa: N802
        self._files.fdatasync(self._fd)
        if self._sync_name:  # as SQLite does after it made a journal
            self._files.sync_folder(self._folder)
            self._sync_name = False
