"""Reports about one message that failed (RFC 6591, RFC 9991): of their fields some, of the message itself nothing."""

from collections.abc import Mapping
from typing import Final

from poterne.mailauth.reports_in import mend
from poterne.mailauth.reports_in.outcome import FailureReport
from poterne.message.date import parse_date
from poterne.message.entity import collect

READ_MOST: Final = 16 * 1024
_FIELDS: Final = frozenset(
    {
        b"feedback-type",
        b"auth-failure",
        b"reported-domain",
        b"source-ip",
        b"arrival-date",
        b"received-date",
        b"incidents",
        b"identity-alignment",
    }
)


def read(part: bytes) -> FailureReport | None:
    """Of a `message/feedback-report` part; None: it is none."""
    found, _ = collect(part[:READ_MOST].lstrip(), _FIELDS)
    return of_fields(found)


def of_fields(found: Mapping[bytes, bytes]) -> FailureReport | None:
    def get(name: bytes) -> str:
        return found.get(name, b"").decode("latin-1")

    kind = mend.word(get(b"feedback-type"))
    if not kind:
        return None
    arrived = parse_date(found.get(b"arrival-date") or found.get(b"received-date") or b"")
    return FailureReport(
        feedback_type=kind,
        auth_failure=mend.word(get(b"auth-failure")),
        reported_domain=mend.domain(get(b"reported-domain")),
        source_ip=mend.ip(get(b"source-ip")),
        arrived_at=arrived,
        incidents=min(max(mend.number(get(b"incidents")) or 1, 1), mend.COUNT_MOST),
    )
