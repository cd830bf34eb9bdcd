"""Logs and metrics. Every line is one event with a stable name and fields; people read text, programs read JSON.

`log.info("message.delivered", trace=…, size=…)`: the first word is dotted and stable, everything else is a field. A log never
holds message text or passwords; `Secret` values show as nothing. Trace ids join the lines of a connection and its messages.
"""

import logging
import os
import sys
import time
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
import structlog

if TYPE_CHECKING:
    from structlog.typing import Processor

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


class Log(Protocol):
    """What the rest of the house needs of a logger."""

    def debug(self, event: str, **fields: object) -> object: ...
    def info(self, event: str, **fields: object) -> object: ...
    def warning(self, event: str, **fields: object) -> object: ...
    def error(self, event: str, **fields: object) -> object: ...


def _encode(value: Any, **_: object) -> bytes:
    return msgspec.json.encode(value, enc_hook=str)


def configure(level: str, form: str, process: str) -> None:
    """Set up logging of this process: to standard error, as JSON lines or as text. `process` is in every line."""
    as_text = form == "text" or (form == "auto" and sys.stderr.isatty())
    shared: list[Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    if as_text:
        structlog.configure(
            processors=[*shared, structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())],
            wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
            logger_factory=structlog.PrintLoggerFactory(sys.stderr),
            cache_logger_on_first_use=False,
        )
    else:
        structlog.configure(
            processors=[*shared, structlog.processors.JSONRenderer(serializer=_encode)],
            wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
            logger_factory=structlog.BytesLoggerFactory(sys.stderr.buffer),
            cache_logger_on_first_use=False,
        )
    structlog.contextvars.clear_contextvars()
    global _process  # noqa: PLW0603  (one per process, set once)
    _process = process


_process = "main"


def logger() -> Log:
    """A logger that names this process in each line."""
    bound: Log = structlog.get_logger().bind(process=_process)
    return bound


_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


class TraceIds:
    """Makes trace ids: short, sortable by time, unique over processes and restarts."""

    def __init__(self) -> None:
        self._prefix = int.from_bytes(os.urandom(3), "big")
        self._count = 0

    def next(self) -> str:
        """Thirteen characters or a few more: milliseconds, a process prefix and a counter, in base 32."""
        self._count = (self._count + 1) & 0xFFFF
        number = ((int(time.time() * 1000) << 16 | self._count) << 24) | self._prefix
        out = ""
        while number:
            number, digit = divmod(number, 32)
            out = _ALPHABET[digit] + out
        return out
