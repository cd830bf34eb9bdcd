"""Counters of all processes, and the Prometheus page that the steward serves on loopback.

Labels have few values, never an address or a name: a stranger must not be able to make new time series.
"""

from typing import Final, final
from wsgiref.simple_server import WSGIRequestHandler, make_server

from prometheus_client import CollectorRegistry, Counter, Gauge, make_wsgi_app
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from poterne.net.notice import Kind, Notice

MAX_REASONS: Final = 64


@final
class Metrics:
    """Counters of this process. Made once per process, after the fork."""

    def __init__(self) -> None:
        self._messages = Counter("poterne_messages", "Messages by service and outcome.", ["service", "outcome"])
        self._bytes = Counter("poterne_message_bytes", "Octets of accepted messages.", ["service"])
        self._refused = Counter("poterne_smtp_refused", "Refusals by stage and reason.", ["service", "stage", "reason"])
        self._connections = Counter("poterne_connections", "Connections that ended, by service.", ["service"])
        self._open = Gauge(
            "poterne_open_connections", "Connections open now.", ["service"], multiprocess_mode="livesum"
        )
        self._notices = Counter("poterne_connection_events", "What went wrong on connections.", ["service", "kind"])
        self._sign_ins = Counter("poterne_sign_ins", "Sign-ins by outcome.", ["outcome"])
        self._reasons: set[str] = set()

    def message(self, service: str, outcome: str, size_bytes: int) -> None:
        self._messages.labels(service, outcome).inc()
        if outcome == "accepted":
            self._bytes.labels(service).inc(size_bytes)

    def refused(self, service: str, stage: str, reason: str) -> None:
        if len(self._reasons) >= MAX_REASONS and reason not in self._reasons:
            reason = "other"
        self._reasons.add(reason)
        self._refused.labels(service, stage, reason).inc()

    def sign_in(self, outcome: str) -> None:
        self._sign_ins.labels(outcome).inc()

    def open_connections(self, service: str, count: int) -> None:
        self._open.labels(service).set(count)

    def notice(self, notice: Notice) -> None:
        if notice.kind is Kind.CLOSED:
            self._connections.labels(notice.service).inc()
        else:
            self._notices.labels(notice.service, notice.kind.value).inc()


class _Quiet(WSGIRequestHandler):
    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing of each visit."""


def serve(address: str, port: int) -> None:
    """Serve the page until the process ends; call it in a thread. Raises OSError when the port is taken."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # the library has no types here
    with make_server(address, port, make_wsgi_app(registry), handler_class=_Quiet) as server:
        server.serve_forever()


def forget(pid: int) -> None:
    """A process is gone: its gauges no longer count."""
    mark_process_dead(pid)  # type: ignore[no-untyped-call]  # the library has no types here
