"""Files that forget, and a power that can be cut before any call that changes something."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.forgetful import ForgetfulFiles
from tests.support.forgetful_vfs import ForgetfulVFS


class PoweredFiles(ForgetfulFiles):
    """`left`: how many changes are still made; then every call fails, of the database's files too."""

    def __init__(self, root: Path, shadow: Path) -> None:
        super().__init__(root, shadow)
        self.left = 1 << 60
        self.used = 0
        self._count_lock = threading.Lock()

    @property
    def is_off(self) -> bool:
        return self.left <= 0

    def spend(self) -> None:
        with self._count_lock:
            self.left -= 1
            self.used += 1
            if self.left <= 0:
                raise OSError(5, "no power")

    def open(self, path: str, flags: int) -> int:
        if flags & os.O_CREAT and not Path(path).exists():
            self.spend()
        return super().open(path, flags)

    @contextmanager
    def _dirty(self, real: int) -> Iterator[int]:
        """Every write, cut and sync passes here."""
        self.spend()
        with super()._dirty(real) as fd:
            yield fd

    def sync_folder(self, path: str) -> None:
        self.spend()
        if Path(path).is_relative_to(self.root):
            super().sync_folder(path)

    def unlink(self, path: str) -> None:  # type: ignore[override]  # static there
        self.spend()
        super().unlink(path)

    def rename(self, source: str, target: str) -> None:  # type: ignore[override]  # static there
        self.spend()
        super().rename(source, target)


class PoweredVFS(ForgetfulVFS):
    files: PoweredFiles

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802
        self.files.spend()
        super().xDelete(filename, syncdir)
