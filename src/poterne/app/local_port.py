"""The socket of `[sendmail]`: bound before root is given up, with a name that its owner can take away again."""

import errno
import os
import socket
import time
from contextlib import suppress
from pathlib import Path
from typing import Final, final

from poterne.app.context import StartError
from poterne.app.privileges import Identity, files_as
from poterne.net.unix import bind_unix

_PAUSE_S: Final = 0.05
_TEXTS: Final = {
    errno.EADDRINUSE: "another program answers there: stop it, or choose another path",
    errno.EEXIST: "is there already and is no socket: move it away, or choose another path",
    errno.ENAMETOOLONG: "the path is too long: choose a shorter one",
    errno.ENOENT: "the folder {folder} does not exist: make it for the server's user, with mode 755 (in a systemd unit: "
    "RuntimeDirectory=poterne)",
    errno.EACCES: "the server's user may not write in {folder}: chown it, or choose a folder of its own",
    errno.EROFS: "{folder} is read-only for the server: in a systemd unit, RuntimeDirectory=poterne makes /run/poterne",
}


@final
class LocalPort:
    """A listening socket with a name in the file system, which belongs to `owner` when we are root. Raises StartError.

    `until` (time.monotonic): how long a name behind which another program answers is tried again.
    """

    def __init__(self, path: Path, owner: Identity | None, until: float) -> None:
        self.path: Final = path
        with files_as(owner):
            self.socket: Final = _bind(path, until)
        found = path.lstat()
        self._file = (found.st_dev, found.st_ino)

    def close(self) -> None:
        """Close it. Its name goes too, unless it is somebody else's by now."""
        self.socket.close()
        with suppress(OSError):
            found = self.path.lstat()
            if (found.st_dev, found.st_ino) == self._file:
                self.path.unlink()


def _bind(path: Path, until: float) -> socket.socket:
    while True:
        try:
            return bind_unix(path)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or time.monotonic() >= until:
                text = _TEXTS.get(error.errno or 0, f"{error.strerror or 'unknown reason'}: choose another path")
                raise StartError(f"[sendmail] socket {path}: {text.format(folder=path.parent)}") from None
        time.sleep(_PAUSE_S)


def folder_for(path: Path, who: Identity | None) -> None:
    """As root, make a missing folder for whom the server will be; everybody may enter it. Raises StartError."""
    if who is None or path.parent.exists():
        return
    try:
        path.parent.mkdir(mode=0o755)
        path.parent.chmod(0o755)  # whatever the umask
        os.chown(path.parent, who.uid, who.gid, follow_symlinks=False)
    except OSError as error:
        raise StartError(
            f"[sendmail] socket: the folder {path.parent} can't be made ({error.strerror}): make it, or choose another"
        ) from None
