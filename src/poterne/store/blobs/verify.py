"""Every record of every segment, with its checksums verified: what `poterne store check` reads."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from poterne.store.blobs.files import unavailable
from poterne.store.blobs.folder import SegmentFolder
from poterne.store.blobs.format import FILE_HEADER_BYTES, FIRST_OF_GROUP, Kind, Record
from poterne.store.blobs.read import OpenSegment, SegmentReader
from poterne.store.blobs.scan import Gap, damage_of, walk
from poterne.store.errors import UnavailableError
from poterne.values.ids import BlobId


@dataclass(frozen=True, slots=True)
class Checked:
    """One record, or a place where none could be found. `damage` is for people; "" means sound.

    For damage to a file as a whole, or to a place without a record, the blob's size is 0 and names nothing.
    """

    blob: BlobId
    damage: str = ""


def verify(folder: SegmentFolder, progress: Callable[[int, int], None] | None = None) -> Iterator[Checked]:
    """All records, in order of segment and offset; goes on after damage. Reads everything: about 1 GB/s from memory.

    Take the list of blobs that must be there (the database's snapshot) *before* calling this: what is written
    meanwhile may or may not be seen. The unfinished last group of a segment being written is not taken for damage.
    """
    numbers = folder.numbers()
    for done, number in enumerate(numbers):
        if progress is not None:
            progress(done, len(numbers))
        try:
            yield from _verify_segment(folder, number)
        except UnavailableError as error:
            if not _is_gone(folder, number):
                yield Checked(BlobId(number, 0, 0), str(error))
    if progress is not None:
        progress(len(numbers), len(numbers))


def _verify_segment(folder: SegmentFolder, number: int) -> Iterator[Checked]:
    unsealed = number in folder.unsealed()
    reader = SegmentReader(folder, max_open=2)
    try:
        if _is_empty(folder, number):
            return
        segment = reader.segment(number)
        held: list[tuple[Record | Gap, Checked]] = []
        complete = False
        for item in walk(segment):
            complete = isinstance(item, Record) and item.kind is Kind.END
            if isinstance(item, Record) and item.flags & FIRST_OF_GROUP:
                # While it is being written, what looked damaged may have been half there.
                yield from (_check(segment, one) or was if unsealed and was.damage else was for one, was in held)
                held = []
            checked = _check(segment, item)
            if checked is not None:
                held.append((item, checked))
    except OSError as error:
        raise unavailable(f"segment {number}", error) from error
    if unsealed and not complete:
        yield from (checked for _, checked in held if not checked.damage)
        return
    yield from (checked for _, checked in held)
    if not complete:
        yield Checked(BlobId(number, 0, 0), "end mark missing: the file was cut short")


def _check(segment: OpenSegment, item: Record | Gap) -> Checked | None:
    if isinstance(item, Gap):
        return Checked(BlobId(segment.number, item.start, 0), f"{item.end - item.start} bytes are no record")
    if item.kind in (Kind.HOLE, Kind.END):
        return None
    return Checked(BlobId(segment.number, item.offset, item.raw), damage_of(segment, item) or "")


def _is_gone(folder: SegmentFolder, number: int) -> bool:
    """Removed while we looked at it: an aborted large message, or compaction."""
    try:
        return _is_empty(folder, number)
    except FileNotFoundError:
        return True
    except OSError:
        return False


def _is_empty(folder: SegmentFolder, number: int) -> bool:
    """No record was ever in it: the highest one, removed; or power was lost while it was being made."""
    fd = folder.files.open(folder.segment_path(number), 0)
    try:
        return folder.files.size(fd) <= FILE_HEADER_BYTES
    finally:
        folder.files.close(fd)
