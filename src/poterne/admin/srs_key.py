"""The key that signs rewritten senders of forwarded mail (`message.srs`): a file in the data folder, its owner's only.

One key a line, in hexadecimal; the first signs, all are believed. Without the file's keys bounces to forwarded mail are refused:
it belongs into the backup, as everything in the folder does.
"""

import os
import secrets
import stat
from pathlib import Path
from typing import Final

from poterne.values.secret import Secret

FILE: Final = "srs.key"
KEY_BYTES: Final = 32
MAX_KEYS: Final = 8
_MIN_BYTES: Final = 16
_MAX_FILE: Final = 4096


class DamagedError(Exception):
    """The file can't be used; the text says what to do."""


def ensure(folder: Path) -> tuple[Secret, ...]:
    """The keys; made where there is no file. Several processes may come at once: all get the same.

    Raises OSError when the folder can't be read or written, DamagedError when the file is not what it should be.
    """
    path = folder / FILE
    if not path.exists():
        _publish(path, [secrets.token_bytes(KEY_BYTES)], over=False)
    return read(folder)


def read(folder: Path) -> tuple[Secret, ...]:
    """The keys of the file. Raises OSError and DamagedError."""
    path = folder / FILE
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        mode = os.fstat(descriptor).st_mode
        octets = file.read(_MAX_FILE + 1)
    if not stat.S_ISREG(mode) or mode & 0o077:
        raise DamagedError(f"{path} may be read by others than its owner: chmod 600, and poterne takes it")
    try:
        keys = [bytes.fromhex(line) for line in octets.decode("ascii").split()]
    except ValueError:
        keys = []
    if not 1 <= len(keys) <= MAX_KEYS or min(map(len, keys)) < _MIN_BYTES:
        raise DamagedError(
            f"{path} is damaged: get it from a backup, or remove it and a new one is made, "
            "which refuses bounces to mail that was forwarded before"
        )
    return tuple(Secret(key) for key in keys)


def replace(folder: Path) -> tuple[Secret, ...]:
    """A new key that signs from now on; the last ones are still believed. Raises OSError and DamagedError."""
    old = [key.reveal() for key in read(folder)]
    _publish(folder / FILE, [secrets.token_bytes(KEY_BYTES), *old[: MAX_KEYS - 1]], over=True)
    return read(folder)


def _publish(path: Path, keys: list[bytes], *, over: bool) -> None:
    """Whole or not at all. Without `over` a file that somebody else made in the meantime stays."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write("".join(f"{key.hex()}\n" for key in keys).encode("ascii"))
            file.flush()
            os.fsync(descriptor)
            if os.geteuid() == 0:  # the folder is the server's user's, and so is what is in it
                owner = path.parent.stat()
                os.fchown(descriptor, owner.st_uid, owner.st_gid)
        if over:
            temporary.replace(path)
        else:
            try:
                path.hardlink_to(temporary)
            except FileExistsError:
                return
        _sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
