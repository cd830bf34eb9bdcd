r"""Records as they are to be published, and how a zone file writes them (RFC 1035 §5.1).

Names are A-labels in lower case without the last dot, as in `values.dns`. `data` is what stands behind the type in a zone file,
complete: names end in a dot, texts are in quotes, cut into strings of 255 octets, with `\"`, `\\` and `\DDD` (RFC 1035 §5.1).
"""

import re
from dataclasses import dataclass
from typing import Final

STRING_MOST: Final = 255
TTL_S: Final = 3600
_QUOTED: Final = re.compile(rb"[^ !#-\[\]-~]")
_STRINGS: Final = re.compile(r'"((?:[^"\\]|\\[0-9]{3}|\\.)*)"')
_ESCAPED: Final = re.compile(r"\\(?:([0-9]{3})|(.))")


@dataclass(frozen=True, slots=True)
class ZoneRecord:
    """One record. `purpose`: a short stable word; `why`: one line for who publishes it."""

    name: str
    type: str
    data: str
    purpose: str
    why: str = ""
    ttl_s: int = TTL_S

    @property
    def line(self) -> str:
        """As it stands in a zone file, whatever its origin is."""
        return f"{self.name}. {self.ttl_s} IN {self.type} {self.data}"

    @property
    def value(self) -> str:
        """What web forms of DNS providers want: of a TXT record the text itself, of others the data."""
        return text_of(self.data).decode("ascii", "replace") if self.type == "TXT" else self.data

    def below(self, domain: str) -> bool:
        """Is it in this domain's tree?"""
        return self.name == domain or self.name.endswith("." + domain)


def txt_data(text: str | bytes) -> str:
    """A text as the data of a TXT record, in as many strings as it needs."""
    octets = text.encode("utf-8") if isinstance(text, str) else text
    pieces = [octets[at : at + STRING_MOST] for at in range(0, len(octets), STRING_MOST)] or [b""]
    return " ".join('"' + _QUOTED.sub(_escape, piece).decode("ascii") + '"' for piece in pieces)


def _escape(found: "re.Match[bytes]") -> bytes:
    octet = found[0][0]
    return b"\\" + found[0] if found[0] in b'"\\' else b"\\%03d" % octet


def text_of(data: str) -> bytes:
    """The text that the data of a TXT record stands for, its strings joined."""
    return b"".join(_unescaped(piece[1]) for piece in _STRINGS.finditer(data))


def _unescaped(piece: str) -> bytes:
    out, at = bytearray(), 0
    for found in _ESCAPED.finditer(piece):
        out += piece[at : found.start()].encode("utf-8")
        out += bytes((int(found[1]) & 255,)) if found[1] else found[2].encode("utf-8")
        at = found.end()
    return bytes(out + piece[at:].encode("utf-8"))


def txt(name: str, text: str, purpose: str, why: str = "") -> ZoneRecord:
    """A TXT record."""
    return ZoneRecord(name, "TXT", txt_data(text), purpose, why)
