"""SQLite's files that fail when told to, and that count syncs."""

from pathlib import Path

import apsw


class FailingVFS(apsw.VFS):
    """`fail["xWrite"] = apsw.FullError` makes each such call fail until it is taken away."""

    def __init__(self, name: str) -> None:
        self.fail: dict[str, type[apsw.Error]] = {}
        self.calls: list[tuple[str, str]] = []
        super().__init__(name, "")

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:  # noqa: N802
        return _File(self, name, flags)

    def call(self, what: str, path: str) -> None:
        self.calls.append((what, path))
        if what in self.fail:
            raise self.fail[what]("simulated")

    def syncs(self, ending: str) -> int:
        return sum(what == "xSync" and path.endswith(ending) for what, path in self.calls)


class _File(apsw.VFSFile):
    def __init__(self, vfs: FailingVFS, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        self._vfs = vfs
        self._path = Path(path).name if path else ""
        super().__init__("", name, flags)

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802
        if "xRead" in self._vfs.fail:
            self._vfs.call("xRead", self._path)
        return super().xRead(amount, offset)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        self._vfs.call("xWrite", self._path)
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:  # noqa: N802
        self._vfs.call("xSync", self._path)
        super().xSync(flags)
