"""Files that fail: the n-th call of an operation raises, or writes only a part before it does."""

import errno
import os
from collections.abc import Sequence

from poterne.store.blobs.files import Piece, RealFiles


class FailingFiles(RealFiles):
    """`fail["fdatasync"] = EIO` makes each call fail until it is taken away; `fail_at` counts down over all calls."""

    def __init__(self) -> None:
        self.fail: dict[str, int] = {}
        self.fail_at: int | None = None
        self.calls: list[str] = []
        self.part: int = 0
        """So many bytes of a failing write reach the file first."""

    def _call(self, name: str) -> None:
        self.calls.append(name)
        if self.fail_at is not None:
            self.fail_at -= 1
            if self.fail_at == 0:
                raise OSError(errno.EIO, "simulated")
        if name in self.fail:
            raise OSError(self.fail[name], "simulated")

    def open(self, path: str, flags: int) -> int:
        self._call("create" if flags & os.O_CREAT else "open")
        return super().open(path, flags)

    def pread(self, fd: int, size: int, offset: int) -> bytes:
        self._call("pread")
        return os.pread(fd, size, offset)

    def pwritev(self, fd: int, pieces: Sequence[Piece], offset: int) -> int:  # type: ignore[override]  # static there
        try:
            self._call("pwritev")
        except OSError:
            os.pwrite(fd, b"".join(pieces)[: self.part], offset)
            raise
        return os.pwritev(fd, pieces, offset)

    def fdatasync(self, fd: int) -> None:  # type: ignore[override]  # static there
        self._call("fdatasync")
        os.fdatasync(fd)

    def sync_folder(self, path: str) -> None:
        self._call("sync_folder")
        super().sync_folder(path)

    def truncate(self, fd: int, size: int) -> None:
        self._call("truncate")
        os.ftruncate(fd, size)

    def unlink(self, path: str) -> None:  # type: ignore[override]  # static there
        self._call("unlink")
        super().unlink(path)
