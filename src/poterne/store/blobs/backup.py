"""Copying segments while they are used.

Sealed segments never change, so each is copied (or linked) once, and a second backup into the same folder copies only
what is new. A segment being written is copied up to its length now, together with a marker, so that opening the copy ends
it properly. Hold `pinned` from before the database's snapshot until the copy is done: every blob that the snapshot
names is then durable in a file that is not removed meanwhile.
"""

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import Final

from poterne.store.blobs.files import Files, unavailable, write_all
from poterne.store.blobs.folder import SegmentFolder, marker_name, segment_name
from poterne.store.blobs.format import FILE_HEADER_BYTES, Record
from poterne.store.blobs.read import SegmentReader
from poterne.store.blobs.scan import walk
from poterne.store.errors import UnavailableError

_STEP_BYTES: Final = 1_048_576
_UNFINISHED: Final = ".unfinished"


@contextlib.contextmanager
def pinned(folder: SegmentFolder) -> Iterator[None]:
    """No compaction removes or rewrites anything meanwhile. Waits for one that runs (seconds)."""
    with folder.upkeep(shared=True):
        yield


def copy_segments(
    folder: SegmentFolder, target: str, *, link: bool = False, progress: Callable[[int, int], None] | None = None
) -> int:
    """Copy all segments to the folder `target`, durably; gives the bytes copied. Raises UnavailableError.

    `link` makes hard links of sealed segments where the file system can: at once and without space, but a damaged
    disk block is then damaged in both.
    """
    files = folder.files
    try:
        files.mkdir(target)
        unsealed = set(folder.unsealed())  # before the list of segments: one sealed in between is copied as unsealed
        numbers = folder.numbers()
        present = set(files.listdir(target))
        copied = 0
        ended: list[str] = []
        for done, number in enumerate(numbers):
            if progress is not None:
                progress(done, len(numbers))
            sealed = number not in unsealed
            copied += _copy_segment(folder, target, number, present, sealed=sealed, link=link)
            if sealed and marker_name(number) in present and _same_size(folder, target, number):
                ended.append(f"{target}/{marker_name(number)}")
        files.sync_folder(target)
        for marker in ended:  # only now: a marker that is gone says that the whole segment is there
            files.unlink(marker)
    except OSError as error:
        raise unavailable("backup", error) from error
    if progress is not None:
        progress(len(numbers), len(numbers))
    return copied


def _copy_segment(
    folder: SegmentFolder, target: str, number: int, present: set[str], *, sealed: bool, link: bool
) -> int:
    """Beside it first, then in its place: an earlier copy, which an earlier database names, is whole at any time."""
    files = folder.files
    source, path = folder.segment_path(number), f"{target}/{segment_name(number)}"
    if segment_name(number) in present:
        size = _size(files, source)
        if not size:  # compaction emptied it; the earlier database may name what the copy has
            return 0
        if sealed and marker_name(number) not in present and _size(files, path) == size:
            return 0
    if not sealed:
        files.close(files.open(f"{target}/{marker_name(number)}", os.O_RDWR | os.O_CREAT))
    fresh = path + _UNFINISHED
    with contextlib.suppress(FileNotFoundError):
        files.unlink(fresh)
    size = 0
    if not (sealed and link and _linked(files, source, fresh)):
        size = _copy(files, source, fresh, None if sealed else _written(folder, number))
    files.rename(fresh, path)
    return size


def _same_size(folder: SegmentFolder, target: str, number: int) -> bool:
    files = folder.files
    return _size(files, folder.segment_path(number)) == _size(files, f"{target}/{segment_name(number)}")


def _linked(files: Files, source: str, target: str) -> bool:
    try:
        files.link(source, target)
    except OSError:  # another file system, or none that links
        return False
    return True


def _copy(files: Files, source: str, target: str, upto: int | None) -> int:
    source_fd = files.open(source, os.O_RDONLY)
    try:
        target_fd = files.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        try:
            at, size = 0, files.size(source_fd) if upto is None else upto
            while at < size:
                piece = files.pread(source_fd, min(_STEP_BYTES, size - at), at)
                if not piece:
                    break
                at = write_all(files, target_fd, [piece], at)
            files.fdatasync(target_fd)
            return at
        finally:
            files.close(target_fd)
    finally:
        files.close(source_fd)


def _written(folder: SegmentFolder, number: int) -> int:
    """Where the records of a segment that is being written end now. What is written meanwhile would be copied in parts."""
    try:
        segment = SegmentReader(folder, max_open=1).segment(number)
    except UnavailableError:  # it does not even begin as one
        return _size(folder.files, folder.segment_path(number))
    end = FILE_HEADER_BYTES
    for item in walk(segment):
        if isinstance(item, Record):
            end = item.end
    return end


def _size(files: Files, path: str) -> int:
    fd = files.open(path, os.O_RDONLY)
    try:
        return files.size(fd)
    finally:
        files.close(fd)
