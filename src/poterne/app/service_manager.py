"""systemd's notification protocol (sd_notify): ready, reloading, stopping, watchdog. Silent where there is no systemd."""

import contextlib
import os
import socket
import time


def notify(state: str) -> None:
    """Tell the service manager, if there is one. Never raises."""
    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path:
        return
    address = "\0" + path[1:] if path.startswith("@") else path
    with (
        contextlib.suppress(OSError),
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as manager,
    ):
        manager.sendto(state.encode(), address)


def reloading() -> None:
    """Type=notify-reload wants the time, so that it can match our answer to its signal."""
    notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")


def extend_start(seconds: float) -> None:
    """Ask for more time: a large store is being migrated or recovered."""
    notify(f"EXTEND_TIMEOUT_USEC={int(seconds * 1_000_000)}")


def watchdog_interval_s() -> float | None:
    """How often the manager wants to hear of us (half of its limit), or None."""
    if os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None  # it is meant for somebody else
    try:
        return int(os.environ["WATCHDOG_USEC"]) / 2_000_000
    except (KeyError, ValueError):
        return None
