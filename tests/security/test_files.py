"""What other users of the machine can see: nothing that matters."""

import contextlib
import stat
from pathlib import Path

from tests.support.attack_client import Target, children


def test_data_is_for_the_server_only(world: Target) -> None:
    """The folder keeps everybody else out; keys, segments and locks do so by themselves as well."""
    assert world.deliver(world.account(), b"From: a@b.example\r\nSubject: x\r\n\r\nx").startswith(b"250")
    data = world.server.ca.parent.parent
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    public = {"ca.pem", "server.pem"}
    for path in data.rglob("*"):
        mode = stat.S_IMODE(path.lstat().st_mode)
        if path.is_dir():
            assert mode == 0o700, path
        elif path.name not in public and not path.name.startswith("poterne.db"):
            assert mode == 0o600, path
        assert not mode & 0o022, path


def test_processes_hold_nothing_outside(world: Target) -> None:
    """No file of a shared temporary folder is open, no password stands in arguments or environment."""
    data = world.server.ca.parent.parent.resolve()
    for pid in [world.server.process, *children(world.server.process)]:
        process = Path(f"/proc/{pid}")
        for descriptor in (process / "fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # closed meanwhile
                path = str(descriptor.readlink())
                if path.startswith(("/tmp/", "/var/tmp/", "/dev/shm/")):
                    assert path.startswith(str(data.parent)), path
        assert world.password.encode() not in (process / "cmdline").read_bytes()
        assert world.password.encode() not in (process / "environ").read_bytes()
