"""Expat as hostile input needs it: no DTD, no entities, bounded depth, tokens and number of elements; names without namespaces.

Theory of operation. The parser is fed piece by piece and keeps nothing; whoever listens keeps what it wants. A document type
declaration ends the reading before an entity can be declared, so nothing can expand, and nothing outside is fetched. Expat holds
an unfinished token in memory and scans it anew with each piece; so tokens are bounded by watching that handlers are called.

The encoding that a report claims is often wrong. `read` tries what it claims, then UTF-8, then Latin-1, which takes any octets.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Final, Protocol, final
from xml.parsers import expat

from poterne.mailauth.reports_in.outcome import Fault, ReportError

DEPTH_MOST: Final = 24
TOKEN_MOST: Final = 512 * 1024
TEXT_MOST: Final = 8192
"""Characters of one element's text that are kept."""
_ENCODINGS: Final = (None, "utf-8", "iso-8859-1")
_WRONG_ENCODING: Final = frozenset(
    {
        expat.errors.codes[expat.errors.XML_ERROR_INVALID_TOKEN],
        expat.errors.codes[expat.errors.XML_ERROR_UNKNOWN_ENCODING],
        expat.errors.codes[expat.errors.XML_ERROR_INCORRECT_ENCODING],
        expat.errors.codes[expat.errors.XML_ERROR_PARTIAL_CHAR],
    }
)
_UTF8_BOM: Final = b"\xef\xbb\xbf"
_UTF16_BOMS: Final = (b"\xff\xfe", b"\xfe\xff")


class Listener(Protocol):
    """Hears of elements by their local names in lower case."""

    def begins(self, name: str) -> None: ...
    def ends(self, name: str, text: str) -> None:
        """`text`: what stands in it directly, stripped."""


class Enough(Exception):  # noqa: N818  (not an error)
    """A listener has all that it wants."""


@final
class _Parse:
    """One attempt with one encoding."""

    def __init__(self, listener: Listener, encoding: str | None, elements_most: int) -> None:
        self._listener: Final = listener
        self._left = elements_most
        self._depth = 0
        self._texts: list[str] = []
        self._kept = 0
        self._called = False
        self._names: dict[str, str] = {}
        parser = expat.ParserCreate(encoding)
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.StartDoctypeDeclHandler = self._doctype
        parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
        self.parser: Final = parser

    def feed(self, pieces: Iterable[bytes]) -> None:
        """All of it. Raises ExpatError, ReportError, Enough, and what codecs raise."""
        silent = 0
        for piece in pieces:
            self._called = False
            self.parser.Parse(piece, False)
            silent = 0 if self._called else silent + len(piece)
            if silent > TOKEN_MOST:
                raise ReportError(Fault.TOKEN)
        self.parser.Parse(b"", True)

    def _doctype(self, *_: object) -> None:
        raise ReportError(Fault.DTD)

    def _local(self, name: str) -> str:
        known = self._names.get(name)
        if known is None:
            known = name.rpartition(":")[2].strip().lower()[:64]
            if len(self._names) < 256:
                self._names[name] = known
        return known

    def _start(self, name: str, _attributes: object) -> None:
        self._called = True
        self._depth += 1
        self._left -= 1
        if self._depth > DEPTH_MOST:
            raise ReportError(Fault.DEPTH)
        if self._left < 0:
            raise ReportError(Fault.TOO_LARGE)
        if self._kept:
            self._texts.clear()
            self._kept = 0
        self._listener.begins(self._local(name))

    def _end(self, name: str) -> None:
        self._called = True
        self._depth -= 1
        text = ""
        if self._kept:
            text = "".join(self._texts).strip()
            self._texts.clear()
            self._kept = 0
        self._listener.ends(self._local(name), text)

    def _text(self, text: str) -> None:
        self._called = True
        if self._kept < TEXT_MOST:
            text = text[: TEXT_MOST - self._kept]
            self._texts.append(text)
            self._kept += len(text)


def read(
    document: Callable[[], Iterator[bytes]], listener: Callable[[], Listener], elements_most: int, warnings: list[str]
) -> tuple[Listener, bool]:
    """The listener that heard the document, and whether it heard all of it. `document` is asked again for each attempt.

    Raises ReportError for what must not be read. What is broken on the way is told up to there.
    """
    heard = listener()
    for encoding in _ENCODINGS:
        heard = listener()
        parse = _Parse(heard, encoding, elements_most)
        try:
            parse.feed(_cleaned(document()))
        except Enough:
            return heard, True
        except expat.ExpatError as error:
            if error.code not in _WRONG_ENCODING:
                break
        except (ValueError, LookupError, OSError, ImportError):  # an encoding that Python does not have, or not so
            pass
        else:
            if encoding is not None:
                warnings.append(f"not in the encoding that it claims; read as {encoding}")
            return heard, True
    warnings.append("broken off: it is not well-formed")
    return heard, False


def _cleaned(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Without white space and text before the first tag: an XML declaration must stand first."""
    first = next(pieces, b"")
    if not first.startswith((b"<", *_UTF16_BOMS)) and first[:4].count(0) < 2:
        at = first.removeprefix(_UTF8_BOM).find(b"<")
        first = first.removeprefix(_UTF8_BOM)[max(0, at) :]
    yield first
    yield from pieces
