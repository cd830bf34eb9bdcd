"""Sockets of this machine's file system, where the kernel says who connects (SO_PEERCRED of unix(7)).

Theory of operation. Who may connect is decided by the folder's and the socket's mode; who it is, by the kernel: it cannot be
forged, and is what it was when the peer called connect(2). A socket's name outlives its process, so that a name that is there
already is taken over when nobody answers behind it: the new socket is made under another name and renamed onto it, so that
at no moment a client finds nothing.
"""

import errno
import os
import socket
import stat
import struct
from contextlib import suppress
from pathlib import Path
from typing import Final

MAX_PATH_BYTES: Final = 100
"""sun_path holds 107 octets (unix(7)); the rest is for the name that a new socket has at first."""
OVERFLOW_UID: Final = 65534
"""What the kernel shows for users that it cannot name here, such as those of another user namespace; "nobody"."""
_CREDENTIALS: Final = struct.Struct("3i")


def bind_unix(path: Path, *, mode: int = 0o666, backlog: int = 128) -> socket.socket:
    """A listening, non-blocking socket under this name. OSError: EADDRINUSE when another program answers there, EEXIST when the
    name is something else than a socket, ENAMETOOLONG.
    """
    if len(os.fsencode(path)) > MAX_PATH_BYTES:
        raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
    _refuse_taken(path)
    first = path.with_name(f".{os.getpid()}.s")
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        first.unlink(missing_ok=True)
        sock.bind(bytes(first))
        first.chmod(mode)  # bind(2) applied the umask
        sock.listen(backlog)
        first.rename(path)
    except BaseException:
        sock.close()
        with suppress(OSError):
            first.unlink(missing_ok=True)
        raise
    return sock


def _refuse_taken(path: Path) -> None:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise OSError(errno.EEXIST, os.strerror(errno.EEXIST))
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as probe:
        why = probe.connect_ex(bytes(path))
    if why not in {errno.ECONNREFUSED, errno.ENOENT}:
        raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


def peer_uid(client: socket.socket) -> int | None:
    """The local user who made this connection; None for one that came over a network, or whose peer the kernel can't tell."""
    if client.family != socket.AF_UNIX:
        return None
    try:
        answer = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        uid = _CREDENTIALS.unpack(answer)[1]
    except OSError:
        return None
    return int(uid) & 0xFFFFFFFF


def local_peer(client: socket.socket) -> str:
    """What stands for a peer without an address, in limits and in logs: `uid:33`."""
    uid = peer_uid(client)
    return "uid:unknown" if uid is None else f"uid:{uid}"
