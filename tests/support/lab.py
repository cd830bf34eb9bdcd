"""`poterne lab` in a process of its own, for tests: started, read, asked, ended."""

import imaplib
import os
import random
import signal
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Final

from tests.support.server import ADDRESS, OWN_PORTS, is_free, wait_for


class Lab:
    """A lab that runs, and what it printed."""

    def __init__(self, folder: Path, offset: int, *options: str) -> None:
        self.folder = folder
        self.offset = offset
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "poterne", "lab", "--folder", str(folder), "--port-offset", str(offset), *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        self.said = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said += line.decode()

    def ready(self) -> "Lab":
        wait_for(lambda: "The lab is ready" in self.said or self.process.poll() is not None, 20)
        assert "The lab is ready" in self.said, self.said
        return self

    def servers(self) -> list[int]:
        """Every process that serves one of the lab's instances."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    command = (entry / "cmdline").read_bytes().split(b"\0")
                except OSError:
                    continue
                if b"serve" in command and any(part.startswith(str(self.folder).encode()) for part in command):
                    found.append(int(entry.name))
        return found

    def end(self, number: int = signal.SIGINT) -> int:
        if self.process.poll() is None:
            os.kill(self.process.pid, number)
        status = self.process.wait(20)
        self._reader.join(5)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return status

    def lines(self) -> list[str]:
        """The commands to paste."""
        text = self.said.splitlines()
        return [text[number + 1] for number, line in enumerate(text) if line.startswith("# ")]

    def subjects(self) -> int:
        context = ssl.create_default_context(cafile=str(self.folder / "ours/data/tls/ca.pem"))
        with imaplib.IMAP4_SSL(ADDRESS, self.offset + 993, ssl_context=context, timeout=10) as client:
            client.login("alice@poterne.test", "open-the-small-door")
            return int((client.select("INBOX")[1][0] or b"0").decode())


_LISTENERS: Final = (25, 53, 443, 444, 465, 587, 993, 995)


def offset() -> int:
    """One whose ports are free, and our servers' of those that are this process's own."""
    while True:
        found = random.choice(OWN_PORTS[: -max(_LISTENERS)])
        wanted = (*_LISTENERS, *(10_000 + port for port in (25, 465, 587, 993, 995)))
        if all(is_free(found + port) for port in wanted):
            return found
