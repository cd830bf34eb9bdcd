"""The listening sockets: bound once as root, kept by the supervisor, inherited by every worker."""

import errno
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from poterne.app.context import StartError
from poterne.app.local_port import LocalPort, folder_for
from poterne.app.privileges import Identity
from poterne.config.settings import Listener
from poterne.net.listen import bind_socket

BIND_S: Final = 1.0
"""How long a port that is taken is tried again at the start: workers of a server that was killed let go of it by themselves."""
_PAUSE_S: Final = 0.05

Place = tuple[str, int]
"""(IP address, port): what a socket is, however the listener is called."""


class Ports:
    """All sockets of a server. Only `rebind` changes what is bound."""

    def __init__(self) -> None:
        self._sockets: dict[Place, socket.socket] = {}
        self._listeners: Mapping[str, Listener] = {}
        self._local: LocalPort | None = None

    def __len__(self) -> int:
        return len(self._sockets) + (self._local is not None)

    @property
    def local(self) -> socket.socket | None:
        """The one of `[sendmail]`."""
        return None if self._local is None else self._local.socket

    def rebind(
        self,
        listeners: Mapping[str, Listener],
        path: Path | None = None,
        *,
        owner: Identity | None = None,
        patience_s: float = 0.0,
    ) -> None:
        """Bind what is named and not bound; close what is no longer named. All or nothing: StartError.

        `path`: of the socket of `[sendmail]`, which is to belong to `owner` when we are root.
        """
        until = time.monotonic() + patience_s
        before = after = self._local
        if path is None:
            after = None
        elif before is None or before.path != path:
            folder_for(path, owner)
            after = LocalPort(path, owner, until)
        try:
            self._rebind(listeners, until)
        except StartError:
            if after is not None and after is not before:
                after.close()
            raise
        self._local = after
        if before is not None and before is not after:
            before.close()

    def _rebind(self, listeners: Mapping[str, Listener], until: float) -> None:
        wanted = {
            (address, listener.port): (name, listener.backlog)
            for name, listener in listeners.items()
            for address in listener.addresses
        }
        bound: dict[Place, socket.socket] = {}
        for place, (name, backlog) in wanted.items():
            if place in self._sockets:
                continue
            try:
                bound[place] = _bind(place, backlog, until)
            except OSError as error:
                for sock in bound.values():
                    sock.close()
                raise StartError(self._text(name, place, error)) from None
        for place in self._sockets.keys() - wanted.keys():
            self._sockets.pop(place).close()
        for place, sock in self._sockets.items():
            sock.listen(wanted[place][1])  # the length of the queue may have changed
        self._sockets.update(bound)
        self._listeners = listeners

    def by_listener(self) -> dict[str, list[socket.socket]]:
        """The sockets of each listener."""
        return {
            name: [self._sockets[address, listener.port] for address in dict.fromkeys(listener.addresses)]
            for name, listener in self._listeners.items()
        }

    def _text(self, name: str, place: Place, error: OSError) -> str:
        address, port = place
        where = f"[listener.{name}] can't listen on {address} port {port}"
        if isinstance(error, PermissionError):
            if self._sockets:
                return (
                    f"{where}: the running server has given up the privilege that a port below 1024 needs. Restart it"
                )
            return (
                f"{where}: ports below 1024 need a privilege. Start as root with [server] user set, "
                "or give the service CAP_NET_BIND_SERVICE, or choose a higher port"
            )
        if error.errno == errno.EADDRINUSE:
            if any(held == port for _, held in self._sockets):
                return f"{where}: the running server holds that port on another address. Restart it to change this"
            return f"{where}: the port is taken. Stop the program that uses it (ss -ltnp), or choose another port"
        if error.errno == errno.EADDRNOTAVAIL:
            return f"{where}: this machine has no such address. Name one that it has (ip address)"
        if error.errno == errno.EAFNOSUPPORT:
            return f"{where}: this machine has no IPv6. Take the address out"
        return f"{where}: {error.strerror or 'unknown reason'}. Choose another address or port"


def _bind(place: Place, backlog: int, until: float) -> socket.socket:
    while True:
        try:
            return bind_socket(*place, backlog=backlog)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or time.monotonic() >= until:
                raise
        time.sleep(_PAUSE_S)
