"""What a child process is given at birth."""

import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from poterne.app.bus import Bus
from poterne.config.settings import Settings

EXIT_OK, EXIT_CONFIG, EXIT_START = 0, 78, 70
"""sysexits.h: EX_CONFIG for settings, EX_SOFTWARE for what can't start and has said why."""


class StartError(Exception):
    """The server can't start, or can't change while it runs; the text says why and what to do."""


class Role(Enum):
    STEWARD = "steward"
    WORKER = "worker"


@dataclass(frozen=True, slots=True)
class Child:
    """A child's place in the server: settings as they were at the fork, sockets it may accept from, its end of the bus."""

    role: Role
    slot: int
    config: Path
    data: Path
    settings: Settings
    sockets: Mapping[str, Sequence[socket.socket]]
    """Listening sockets by listener name."""
    local: socket.socket | None
    """Listening on a path of this machine, where the kernel says who connects."""
    bus: Bus
    place: str
    """Where it counts for the metrics."""
    ready_fd: int
    """Write one byte and close it, once connections can be served."""
    life_fd: int
    """End of file here: the supervisor is gone, so drain and end."""

    @property
    def name(self) -> str:
        return f"{self.role.value}-{self.slot}" if self.role is Role.WORKER else self.role.value
