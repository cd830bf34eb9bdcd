"""What a check says."""

from dataclasses import dataclass
from enum import Enum

from poterne.values.zone import ZoneRecord


class Severity(Enum):
    """How bad it is when the check fails; the value is the stable word."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class Outcome(Enum):
    """The value is the stable word."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    UNKNOWN = "unknown"
    """DNS did not say, or it can't be seen from here; the text says which. Never to be taken for ok."""

    @property
    def rank(self) -> int:
        """The higher, the more it wants to be seen."""
        return (Outcome.OK, Outcome.UNKNOWN, Outcome.WARN, Outcome.FAIL).index(self)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that one check found."""

    check: str
    """Its stable id: `D07`."""
    word: str
    """What it found, a stable word: `several-records`."""
    outcome: Outcome
    severity: Severity
    text: str
    """For people, one line. Parts of it may be a stranger's; they are printable."""
    evidence: tuple[str, ...] = ()
    """What DNS said, printable."""
    fix: tuple[ZoneRecord, ...] = ()
    """Records to publish, complete."""
    remove: tuple[str, ...] = ()
    """Records to take out, as far as they are known: `name TYPE data`."""
    remedy: str = ""
    """What else to do."""

    @property
    def id(self) -> str:
        return f"{self.check}.{self.word}"


def shown(octets: bytes | str, most: int = 300) -> str:
    """A stranger's text as one printable line."""
    text = octets.decode("latin-1") if isinstance(octets, bytes) else octets
    text = "".join(c if " " <= c <= "~" else "?" for c in text[: most + 1])
    return text if len(text) <= most else text[: most - 3] + "..."
