"""What a session hears of its connection beside bytes."""

from enum import Flag, auto


class Poke(Flag):
    """Why a session gets attention although the peer sent nothing."""

    CHANGED = auto()
    """Something the session watches changed (IDLE)."""
    SHUTDOWN = auto()
    """The server drains: say goodbye and close."""
    DEADLINE = auto()
    """A deadline passed, or the peer sends too slowly: `link.expired` says which."""
    REVOKED = auto()
    """Who signed in may no longer: the account is disabled or gone, or has another password."""


class LinkClosed(Exception):  # noqa: N818  # it names what happened, and is no failure of ours
    """The connection is gone. `code` is a short stable word for the log: "lost", "reset", "write-timeout", "closed"."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code
