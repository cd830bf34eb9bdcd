"""The socket of `[sendmail]` beside the ports: all or nothing, and each refusal with its remedy."""

import socket
import time
from pathlib import Path

import pytest

from poterne.app.context import StartError
from poterne.app.ports import Ports
from poterne.config.settings import Listener


def test_it_comes_and_goes_with_the_settings(tmp_path: Path) -> None:
    ports = Ports()
    ports.rebind({}, tmp_path / "one")
    assert (len(ports), ports.local is not None, (tmp_path / "one").is_socket()) == (1, True, True)
    same = ports.local
    ports.rebind({}, tmp_path / "one")
    assert ports.local is same
    ports.rebind({}, tmp_path / "two")
    assert not (tmp_path / "one").exists()
    assert (tmp_path / "two").is_socket()
    ports.rebind({})
    assert (len(ports), ports.local, list(tmp_path.iterdir())) == (0, None, [])


def test_when_a_port_is_taken_the_socket_stays_as_it_was(tmp_path: Path) -> None:
    ports = Ports()
    ports.rebind({}, tmp_path / "one")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listener = Listener(service="mx", addresses=["127.0.0.1"], port=taken.getsockname()[1])
        with pytest.raises(StartError, match="the port is taken"):
            ports.rebind({"mx": listener}, tmp_path / "two")
    assert [path.name for path in tmp_path.iterdir()] == ["one"]
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(tmp_path / "one"))
    ports.rebind({})


def test_somebody_elses_name_is_not_taken_away(tmp_path: Path) -> None:
    ports = Ports()
    ports.rebind({}, tmp_path / "s")
    (tmp_path / "s").unlink()
    (tmp_path / "s").write_text("theirs")
    ports.rebind({})
    assert (tmp_path / "s").read_text() == "theirs"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("none/s", "does not exist: make it for the server's user"),
        ("file", "is there already and is no socket"),
        ("x" * 101, "too long"),
        ("live", "another program answers there"),
    ],
)
def test_refusals(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / "file").write_text("")
    other = Ports()
    other.rebind({}, tmp_path / "live")
    began = time.monotonic()
    with pytest.raises(StartError, match=text):
        Ports().rebind({}, tmp_path / name, patience_s=0.1)
    assert time.monotonic() - began < 1
    other.rebind({})
