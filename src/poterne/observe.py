"""Logs and metrics. Every line is one event with a stable name and fields; people read text, programs read JSON.

`log.info("message.delivered", trace=…, size=…)`: the first word is dotted and stable, everything else is a field. A log never
holds message text or passwords; `Secret` values show as nothing. Trace ids join the lines of a connection and its messages.
"""

import json
import logging
import os
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
import structlog

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from structlog.typing import Processor

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


class Log(Protocol):
    """What the rest of the house needs of a logger."""

    def debug(self, event: str, **fields: object) -> object: ...
    def info(self, event: str, **fields: object) -> object: ...
    def warning(self, event: str, **fields: object) -> object: ...
    def error(self, event: str, **fields: object) -> object: ...


class _Stderr:
    """Writes whole lines to standard error with one call each, so that lines of several processes do not mix.

    Never raises: where a log can't be written (a closed pipe, a full disk) mail still goes on.
    """

    def msg(self, line: str | bytes) -> None:
        data = line.encode("utf-8", "backslashreplace") if isinstance(line, str) else line
        with suppress(OSError):
            os.write(2, data + b"\n")

    log = debug = info = warn = warning = error = critical = exception = msg


def _encode(value: Any, **_: object) -> bytes:
    try:
        return msgspec.json.encode(value, enc_hook=str)
    except (ValueError, TypeError, OverflowError, RecursionError):  # such as half a surrogate pair in a peer's text
        return json.dumps({str(key): str(field) for key, field in dict(value).items()}).encode()


def _printable(_logger: object, _method: str, fields: "MutableMapping[str, Any]") -> "MutableMapping[str, Any]":
    """A terminal obeys control characters, and a peer may have written them."""
    for key, value in fields.items():
        if isinstance(value, str) and not value.isprintable() and key != "exception":
            fields[key] = value.encode("unicode_escape").decode()
    return fields


class _Forward(logging.Handler):
    """What libraries say with the standard library's logging, as our lines."""

    def emit(self, record: logging.LogRecord) -> None:
        exception = record.exc_info if record.exc_info and record.exc_info[0] else None
        logger().warning("library", source=record.name, text=record.getMessage(), exc_info=exception)


def configure(level: str, form: str, process: str) -> None:
    """Set up logging of this process: to standard error, as JSON lines or as text. `process` is in every line."""
    as_text = form == "text" or (form == "auto" and sys.stderr.isatty())
    processors: list[Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    if as_text:
        processors += [_printable, structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]
    else:
        processors.append(structlog.processors.JSONRenderer(serializer=_encode))
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=_Stderr,
        cache_logger_on_first_use=False,
    )
    structlog.contextvars.clear_contextvars()
    logging.basicConfig(level=logging.WARNING, handlers=[_Forward()], force=True)
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
        """Seventeen characters: milliseconds, a counter and a process prefix, in base 32."""
        self._count = (self._count + 1) & 0xFFFF
        number = ((int(time.time() * 1000) << 16 | self._count) << 24) | self._prefix
        out = ""
        while number:
            number, digit = divmod(number, 32)
            out = _ALPHABET[digit] + out
        return out
