"""Files in places that others may write to as well: no link is followed there, nothing but files is read, nothing overwritten.

Imports and exports run as the owner of the server's data, who may read everybody's mail and the server's keys. Whoever can put a
link into a Maildir that is imported, or into a folder that is exported to, must get nothing by it.
"""

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO, Final

from poterne.moving.told import MovingError

_DIRECTORY: Final = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_WRITE: Final = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
UNFIT: Final = frozenset({errno.ENAMETOOLONG, errno.EEXIST, errno.ENOTDIR, errno.EISDIR})
"""What is wrong with the name of one folder, and with nothing else."""


class NotAFileError(Exception):
    """It is something else; the text says what."""


def opened(root: Path, path: Path) -> int:
    """A descriptor to read the file `path` below `root`; no link lies between, whoever changes what meanwhile.

    Raises OSError, NotAFileError.
    """
    *between, name = path.relative_to(root).parts
    directory = os.open(root, _DIRECTORY)
    try:
        for part in between:
            inner = os.open(part, _DIRECTORY | os.O_NOFOLLOW, dir_fd=directory)
            os.close(directory)
            directory = inner
        descriptor = os.open(name, _READ, dir_fd=directory)
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENOTDIR}:
            raise NotAFileError("it is a link, and links are not followed here") from None
        if error.errno == errno.ENXIO:
            raise NotAFileError("it is no file") from None
        raise
    finally:
        os.close(directory)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise NotAFileError("it is no file")
    return descriptor


def text(path: Path | str) -> str:
    r"""A path or name as text that can be kept: octets that are not UTF-8 become \xNN."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def check_target(root: Path) -> None:
    """Raises MovingError when others could put something into this directory while we write there; OSError."""
    status = root.stat()
    if status.st_uid not in {0, os.geteuid()} or status.st_mode & stat.S_IWOTH:
        raise MovingError(f"{root}: others may write there: name a new directory, which is made")


def made(directory: Path) -> None:
    """It is there, for us only if it was not. Raises OSError, MovingError."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if directory.is_symlink():
        raise MovingError(f"{directory} is a link: name a new directory, which is made")


def fresh(path: Path) -> BinaryIO:
    """A new file in place of what was there. Raises OSError."""
    path.unlink(missing_ok=True)
    return os.fdopen(os.open(path, _WRITE | os.O_EXCL, 0o600), "wb")


def longer(path: Path) -> BinaryIO:
    """A file that is written on to. Raises OSError."""
    return os.fdopen(os.open(path, _WRITE | os.O_APPEND, 0o600), "ab")
