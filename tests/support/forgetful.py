"""Files that forget: what was not synced may be gone when the power is lost.

The real files under `root` play the page cache: every process sees them. Beside them, in `shadow` (same file system),
lies what would be on the disk:

    <inode>.live    a hard link to the real file: its cache, also after it was unlinked (and so no inode is used twice)
    <inode>.disk    its contents as of its last sync
    <inode>.dirty   ranges written since, by any process, as pairs of unsigned 64-bit numbers
    names.json      folder -> name -> inode, as of each folder's last sync

All of it is in files, so it works across processes and survives SIGKILL. `lose_power` then makes `root` what a disk might
hold: synced contents and names, plus any part of the rest, in any order: whole pages, single sectors of pages, names
made or removed. Call it when no process uses `root` any more.
"""

import fcntl
import json
import os
import random
import shutil
import struct
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from poterne.store.blobs.files import Piece, RealFiles

PAGE = 4096
SECTOR = 512
_RANGE = struct.Struct("<QQ")


class ForgetfulFiles(RealFiles):
    """The `Files` of one process. Descriptors are its own numbers, so that `die` can close all of them safely."""

    def __init__(self, root: Path, shadow: Path) -> None:
        self.root = root
        self.shadow = shadow
        shadow.mkdir(parents=True, exist_ok=True)
        self._real: dict[int, int] = {}
        self._next = 1_000_000
        self._lock = threading.RLock()

    def die(self) -> None:
        """As by SIGKILL: everything is closed, all locks are free, nothing more can be done with this object."""
        with self._lock:
            for fd in self._real.values():
                os.close(fd)
            self._real.clear()
            self._next = -1

    def open(self, path: str, flags: int) -> int:
        with self._lock:
            if self._next < 0:
                raise OSError(5, "this process is dead")
            fd = super().open(path, flags)
            number, self._next = self._next, self._next + 1
            self._real[number] = fd
            if flags & os.O_CREAT:
                live = self.shadow / f"{os.fstat(fd).st_ino}.live"
                if not live.exists():
                    os.link(path, live)
            if flags & os.O_TRUNC:
                self._log(fd, 0, 0)
            return number

    def close(self, fd: int) -> None:
        with self._lock:
            real = self._real.pop(fd, None)
        if real is not None:
            os.close(real)

    def pread(self, fd: int, size: int, offset: int) -> bytes:
        return os.pread(self._fd(fd), size, offset)

    def pread_cached(self, fd: int, size: int, offset: int) -> bytes | None:
        return super().pread_cached(self._fd(fd), size, offset)

    def pwritev(self, fd: int, pieces: Sequence[Piece], offset: int) -> int:  # type: ignore[override]  # static there
        real = self._fd(fd)
        with self._dirty(real):
            self._log(real, offset, sum(map(len, pieces)))
            return os.pwritev(real, pieces, offset)

    def truncate(self, fd: int, size: int) -> None:
        real = self._fd(fd)
        with self._dirty(real):
            os.ftruncate(real, size)

    def fdatasync(self, fd: int) -> None:  # type: ignore[override]  # static there
        real = self._fd(fd)
        with self._dirty(real) as dirty:
            disk = os.open(self._of(real, "disk"), os.O_RDWR | os.O_CREAT, 0o600)
            try:
                size = os.fstat(real).st_size
                ranges = os.pread(dirty, os.fstat(dirty).st_size, 0)
                for start, length in _RANGE.iter_unpack(ranges[: len(ranges) // _RANGE.size * _RANGE.size]):
                    at, end = start, min(start + length, size)
                    while at < end:
                        at += os.pwrite(disk, os.pread(real, min(end - at, 1 << 20), at), at)
                os.ftruncate(disk, size)
                os.ftruncate(dirty, 0)
            finally:
                os.close(disk)

    def sync_folder(self, path: str) -> None:
        with self._names() as names:
            names[self._key(path)] = {
                entry.name: entry.inode() for entry in os.scandir(path) if entry.is_file(follow_symlinks=False)
            }

    def size(self, fd: int) -> int:
        return os.fstat(self._fd(fd)).st_size

    def lock(self, fd: int, *, shared: bool = False, wait: bool = True) -> bool:
        return super().lock(self._fd(fd), shared=shared, wait=wait)

    def _fd(self, fd: int) -> int:
        try:
            return self._real[fd]
        except KeyError:
            raise OSError(9, "not open, or this process is dead") from None

    def _of(self, real: int, what: str) -> Path:
        return self.shadow / f"{os.fstat(real).st_ino}.{what}"

    def _key(self, path: str) -> str:
        return str(Path(path).relative_to(self.root))

    def _log(self, real: int, offset: int, length: int) -> None:
        """Before the write it tells of, so that no write is ever missing, whenever the process is killed."""
        with self._of(real, "dirty").open("ab") as log:
            log.write(_RANGE.pack(offset, length))

    @contextmanager
    def _dirty(self, real: int) -> Iterator[int]:
        """The list of dirty ranges, locked: no write of another process falls between it and a sync."""
        fd = os.open(self._of(real, "dirty"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield fd
        finally:
            os.close(fd)

    @contextmanager
    def _names(self) -> Iterator[dict[str, dict[str, int]]]:
        lock = os.open(self.shadow / "names.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            names = read_names(self.shadow)
            yield names
            fresh = self.shadow / "names.new"
            fresh.write_text(json.dumps(names))
            fresh.replace(self.shadow / "names.json")
        finally:
            os.close(lock)


def read_names(shadow: Path) -> dict[str, dict[str, int]]:
    path = shadow / "names.json"
    if not path.exists():
        return {}
    names: dict[str, dict[str, int]] = json.loads(path.read_text())
    return names


def lose_power(root: Path, shadow: Path, choice: random.Random, keep: float = 0.5) -> None:
    """Make `root` what the disk holds. `keep`: how likely each page or name that was not synced is there all the same."""
    durable = read_names(shadow)
    folders = [root, *(path for path in root.rglob("*") if path.is_dir())]
    wanted: dict[Path, int] = {}
    for folder in folders:
        synced = durable.get(str(folder.relative_to(root)), {})
        cached = {entry.name: entry.inode() for entry in os.scandir(folder) if entry.is_file(follow_symlinks=False)}
        for name in sorted(synced.keys() | cached.keys()):
            old, new = synced.get(name), cached.get(name)
            inode = old if old == new else choice.choices((new, old), (keep, 1 - keep))[0]
            if inode is not None:
                wanted[folder / name] = inode
    contents = {inode: _contents(shadow, inode, choice, keep) for inode in set(wanted.values())}
    for folder in folders:
        for entry in list(os.scandir(folder)):
            if entry.is_file(follow_symlinks=False):
                Path(entry.path).unlink()
    for path, inode in wanted.items():
        path.write_bytes(contents[inode])
    shutil.rmtree(shadow)
    shadow.mkdir()
    _begin_again(root, shadow, folders)


def _contents(shadow: Path, inode: int, choice: random.Random, keep: float) -> bytes:
    disk = shadow / f"{inode}.disk"
    old = disk.read_bytes() if disk.exists() else b""
    live = shadow / f"{inode}.live"
    new = live.read_bytes() if live.exists() else old
    size = choice.choice((len(old), len(new))) if choice.random() < keep else len(old)
    found = bytearray(old[:size].ljust(size, b"\0"))
    for at in range(0, size, PAGE):
        step = PAGE if choice.random() < 0.7 else SECTOR
        for start in range(at, min(at + PAGE, size), step):
            if new[start : start + step] and choice.random() < keep:
                end = min(start + step, size, len(new))
                found[start:end] = new[start:end]
    return bytes(found)


def _begin_again(root: Path, shadow: Path, folders: list[Path]) -> None:
    """What is there after the loss is on disk by definition."""
    names: dict[str, dict[str, int]] = {}
    for folder in folders:
        here: dict[str, int] = {}
        for entry in os.scandir(folder):
            if entry.is_file(follow_symlinks=False):
                here[entry.name] = entry.inode()
                os.link(entry.path, shadow / f"{entry.inode()}.live")
                shutil.copyfile(entry.path, shadow / f"{entry.inode()}.disk")
        names[str(folder.relative_to(root))] = here
    (shadow / "names.json").write_text(json.dumps(names))
