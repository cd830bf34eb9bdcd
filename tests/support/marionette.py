"""Speaks Marionette, by which Mozilla's programs are driven: JSON over TCP, each message behind its length and a colon."""

import base64
import json
import socket
import time
from pathlib import Path
from typing import Any, Final

_HEAD_MOST: Final = 12


class MarionetteError(AssertionError):
    """What the program says went wrong."""


class Marionette:
    """One session in the context of the program itself (chrome), not of a page."""

    def __init__(self, port: int, timeout_s: float) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=timeout_s)
        self._id = 0
        self._read()  # who it is
        self.call("WebDriver:NewSession", {})
        self.call("Marionette:SetContext", {"value": "chrome"})
        self.call("WebDriver:SetTimeouts", {"script": int(timeout_s * 1000)})

    def close(self) -> None:
        self._socket.close()

    def call(self, name: str, parameters: dict[str, Any]) -> Any:
        self._id += 1
        data = json.dumps([0, self._id, name, parameters]).encode()
        self._socket.sendall(b"%d:%s" % (len(data), data))
        _, number, error, result = json.loads(self._read())
        assert number == self._id
        if error:
            raise MarionetteError(f"{error['error']}: {error['message']}\n{error.get('stacktrace', '')}")
        return result

    def run(self, script: str, *arguments: Any) -> Any:
        """What the body of an async function gives; `args` are its arguments."""
        body = (
            "const done = arguments[arguments.length - 1]; const args = Array.from(arguments).slice(0, -1);"
            "(async () => {"
            + script
            + "})().then(value => done({value}), error => done({error: String(error), stack: error?.stack}));"
        )
        found = self.call(
            "WebDriver:ExecuteAsyncScript", {"script": body, "args": list(arguments), "newSandbox": False}
        )
        answer = found["value"]
        if "error" in answer:
            raise MarionetteError(f"{answer['error']}\n{answer['stack']}")
        return answer.get("value")

    def until(self, script: str, *arguments: Any, timeout_s: float = 20, text: str = "") -> Any:
        """Ask until the answer is true."""
        end = time.monotonic() + timeout_s
        found = None
        while time.monotonic() < end:
            if found := self.run(script, *arguments):
                return found
            time.sleep(0.1)
        raise AssertionError(f"{text or script}: never came, the last answer was {found!r}")

    def picture(self, file: Path) -> None:
        """Of the window, as PNG."""
        file.write_bytes(base64.b64decode(self.call("WebDriver:TakeScreenshot", {"full": False})["value"]))

    def _read(self) -> bytes:
        head = b""
        while not head.endswith(b":"):
            head += self._some(1)
            assert len(head) < _HEAD_MOST, head
        data = b""
        while len(data) < int(head[:-1]):
            data += self._some(int(head[:-1]) - len(data))
        return data

    def _some(self, most: int) -> bytes:
        got = self._socket.recv(most)
        if not got:
            raise MarionetteError("the program is gone")
        return got
