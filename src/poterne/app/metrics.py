"""Counters of all processes, and the Prometheus page that the steward serves on loopback.

Each process counts in files of its own (`metrics_files.py`); the page adds them up.

Labels have few values, never an address or a name: a stranger must not be able to make new time series.
"""

import os
import threading
from collections.abc import Mapping
from socketserver import BaseServer, TCPServer, ThreadingMixIn
from typing import Final, final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, Counter, Gauge, make_wsgi_app, values
from prometheus_client.multiprocess import MultiProcessCollector

from poterne.app.metrics_files import FOLDER_VARIABLE
from poterne.net.notice import Kind, Notice

MAX_REASONS: Final = 64
_FOREVER_S: Final = 86_400.0
VISIT_S: Final = 5
"""A visitor of the page that says nothing is dropped after that."""


@final
class _Series(dict[tuple[str, ...], Counter]):
    """A counter's series by their labels. Looking them up in the library costs as much as counting."""

    def __init__(self, whole: Counter) -> None:
        super().__init__()
        self._whole: Final = whole

    @classmethod
    def of(cls, name: str, text: str, labels: list[str]) -> "_Series":
        return cls(Counter(name, text, labels))

    def __missing__(self, labels: tuple[str, ...]) -> Counter:
        series = self[labels] = self._whole.labels(*labels)
        return series


@final
class Metrics:
    """Counters of this process. Made once per process, after the fork; `place` is nobody else's now."""

    def __init__(self, place: str) -> None:
        if FOLDER_VARIABLE in os.environ:
            values.ValueClass = values.MultiProcessValue(lambda: place)  # type: ignore[no-untyped-call]  # it has no types
        self._messages = _Series.of("poterne_messages", "Messages by service and outcome.", ["service", "outcome"])
        self._bytes = _Series.of("poterne_message_bytes", "Octets of accepted messages.", ["service"])
        self._refused = _Series.of(
            "poterne_smtp_refused", "Refusals by stage and reason.", ["service", "stage", "reason"]
        )
        self._connections = _Series.of("poterne_connections", "Connections that ended, by service.", ["service"])
        self._traffic = _Series.of(
            "poterne_connection_bytes", "Octets in and out, without TLS.", ["service", "direction"]
        )
        self._open = Gauge(
            "poterne_open_connections", "Connections open now.", ["service"], multiprocess_mode="livesum"
        )
        self._notices = _Series.of("poterne_connection_events", "What went wrong on connections.", ["service", "kind"])
        self._sign_ins = _Series.of("poterne_sign_ins", "Sign-ins by outcome, of all protocols.", ["outcome"])
        self._queued = Gauge(
            "poterne_queued_recipients", "Recipients that mail waits for.", multiprocess_mode="livesum"
        )
        self._outbound = _Series.of(
            "poterne_outbound", "What became of recipients in the queue.", ["origin", "outcome"]
        )
        self._reasons: set[str] = set()
        for outcome in ("ok", "failed"):
            self._sign_ins[outcome,].inc(0)

    def message(self, service: str, outcome: str, size_bytes: int) -> None:
        self._messages[service, outcome].inc()
        if outcome == "accepted":
            self._bytes[service,].inc(size_bytes)

    def refused(self, service: str, stage: str, reason: str) -> None:
        if len(self._reasons) >= MAX_REASONS and reason not in self._reasons:
            reason = "other"
        self._reasons.add(reason)
        self._refused[service, stage, reason].inc()

    def sign_in(self, outcome: str) -> None:
        self._sign_ins[outcome,].inc()

    def open_connections(self, counts: Mapping[str, int]) -> None:
        """How many are open, by service."""
        for service, count in counts.items():
            self._open.labels(service).set(count)

    def queued(self, recipients: int) -> None:
        self._queued.set(recipients)

    def outbound(self, origin: str, outcome: str) -> None:
        self._outbound[origin, outcome].inc()

    def notice(self, notice: Notice) -> None:
        if notice.kind is Kind.CLOSED:
            self._connections[notice.service,].inc()
            self._traffic[notice.service, "in"].inc(notice.bytes_in)
            self._traffic[notice.service, "out"].inc(notice.bytes_out)
        else:
            self._notices[notice.service, notice.kind.value].inc()


# -- the page ----------------------------------------------------------------------------------------------------------


class _Quiet(WSGIRequestHandler):
    timeout = VISIT_S

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing of each visit."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the library's name)
        """Nor of a visitor's mistakes."""


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def server_bind(self) -> None:
        """Without the name lookup of the standard library, which may ask servers elsewhere and wait for them."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = "localhost", self.server_address[1]
        self.setup_environ()

    def handle_error(self, request: object, client_address: object) -> None:
        """A visitor who went away is no matter for the log."""


def serve(address: str, port: int) -> None:
    """Serve the page in a thread until the process ends. Raises OSError when the port is taken."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # the library has no types here
    kind = type("_ServerV6", (_Server,), {"address_family": 10}) if ":" in address else _Server
    server: BaseServer = make_server(address, port, make_wsgi_app(registry), server_class=kind, handler_class=_Quiet)
    # It need not look now and then whether it should stop: nobody tells it to.
    threading.Thread(target=server.serve_forever, args=(_FOREVER_S,), name="metrics", daemon=True).start()
