"""Where the section of a FETCH lies in the message: RFC 9051 §6.4.5.1. Pure arithmetic on a scanned structure."""

from collections.abc import Sequence
from enum import Enum

from poterne.values.mime import Part


class SectionKind(Enum):
    """What of a part is meant. HEADER serves HEADER.FIELDS too: `header.select` takes its octets."""

    BODY = "BODY"
    """No specifier: `BODY[]`, `BODY[1.2]`."""
    HEADER = "HEADER"
    TEXT = "TEXT"
    MIME = "MIME"


def resolve(root: Part, path: Sequence[int], kind: SectionKind = SectionKind.BODY) -> tuple[int, int] | None:
    """The octets `(start, end)` of a section, or None when the message has no such section.

    An empty path means the message itself. HEADER and TEXT of a numbered part exist for embedded messages only, MIME for
    numbered parts only.
    """
    if not path:
        return _of_message(root, kind)
    part = find_part(root, path)
    if part is None:
        return None
    match kind:
        case SectionKind.BODY:
            return part.body_start, part.body_end
        case SectionKind.MIME:
            return part.header_start, part.body_start
        case SectionKind.HEADER | SectionKind.TEXT:
            return _of_message(part.message, kind) if part.message is not None else None


def find_part(root: Part, path: Sequence[int]) -> Part | None:
    """The part with that number, None when there is none. Part 1 of a message that is no multipart is its body."""
    candidates = _top(root)
    part: Part | None = None
    for number in path:
        if not 1 <= number <= len(candidates):
            return None
        part = candidates[number - 1]
        candidates = _top(part.message) if part.message is not None else part.children
    return part


def _top(message: Part) -> tuple[Part, ...]:
    return message.children or (message,)


def _of_message(message: Part, kind: SectionKind) -> tuple[int, int] | None:
    match kind:
        case SectionKind.BODY:
            return message.header_start, message.body_end
        case SectionKind.HEADER:
            return message.header_start, message.body_start
        case SectionKind.TEXT:
            return message.body_start, message.body_end
        case SectionKind.MIME:
            return None
