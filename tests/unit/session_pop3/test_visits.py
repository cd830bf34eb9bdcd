"""One session of a mailbox at a time, and not too often: in this worker and in others."""

import subprocess
import sys
from pathlib import Path

import pytest

from poterne.session.pop3.visits import Refusal, Visits
from poterne.store.errors import UnavailableError
from poterne.values.ids import AccountId

ANN, BEN = AccountId(1), AccountId(2)
AT = 1_790_000_000
OTHER = """
import sys
from pathlib import Path
from poterne.session.pop3.visits import Visits
visits = Visits(Path(sys.argv[1]), exclusive=sys.argv[2] == "1", delay_s=int(sys.argv[3]))
for line in sys.stdin:
    what, account, now = line.split()
    if what == "begin":
        found = visits.begin(int(account), int(now))
        print(found.value if found else "ok", flush=True)
    else:
        visits.end(int(account))
        print("ended", flush=True)
"""


class Other:
    """Another worker."""

    def __init__(self, path: Path, exclusive: bool, delay_s: int) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", OTHER, str(path), str(int(exclusive)), str(delay_s)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def say(self, what: str, account: int, now: int = AT) -> str:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{what} {account} {now}\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def kill(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


def test_without_either_there_is_no_file(tmp_path: Path) -> None:
    visits = Visits(tmp_path / "v", exclusive=False, delay_s=0)
    assert visits.begin(ANN, AT) is None
    assert visits.begin(ANN, AT) is None
    visits.end(ANN)
    assert not (tmp_path / "v").exists()


def test_one_at_a_time(tmp_path: Path) -> None:
    visits = Visits(tmp_path / "v", exclusive=True, delay_s=0)
    assert visits.begin(ANN, AT) is None
    assert visits.begin(ANN, AT) is Refusal.IN_USE
    assert visits.begin(BEN, AT) is None
    visits.end(ANN)
    visits.end(ANN)
    assert visits.begin(ANN, AT) is None
    visits.close()


def test_other_workers_and_their_death(tmp_path: Path) -> None:
    visits = Visits(tmp_path / "v", exclusive=True, delay_s=0)
    other = Other(tmp_path / "v", exclusive=True, delay_s=0)
    try:
        assert other.say("begin", ANN) == "ok"
        assert visits.begin(ANN, AT) is Refusal.IN_USE
        assert visits.begin(BEN, AT) is None
        assert other.say("begin", BEN) == "in-use"
        assert other.say("end", ANN) == "ended"
        assert visits.begin(ANN, AT) is None
        assert other.say("begin", ANN) == "in-use"
        visits.end(BEN)
        assert other.say("begin", BEN) == "ok"
    finally:
        other.kill()
    assert visits.begin(BEN, AT) is None
    visits.close()


def test_not_too_often(tmp_path: Path) -> None:
    visits = Visits(tmp_path / "v", exclusive=False, delay_s=60)
    other = Other(tmp_path / "v", exclusive=False, delay_s=60)
    try:
        assert visits.begin(ANN, AT) is None
        assert visits.begin(ANN, AT + 59) is Refusal.TOO_SOON
        assert other.say("begin", ANN, AT + 59) == "too-soon"
        assert visits.begin(BEN, AT + 1) is None
        assert other.say("begin", ANN, AT + 60) == "ok"
        assert visits.begin(ANN, AT + 61) is Refusal.TOO_SOON
        assert visits.begin(ANN, AT - 9_999) is None  # the clock was set back: nobody is kept out for years
    finally:
        other.kill()
    visits.close()


def test_too_soon_leaves_no_lock_behind(tmp_path: Path) -> None:
    visits = Visits(tmp_path / "v", exclusive=True, delay_s=60)
    assert visits.begin(ANN, AT) is None
    visits.end(ANN)
    assert visits.begin(ANN, AT + 1) is Refusal.TOO_SOON
    assert visits.begin(ANN, AT + 60) is None
    visits.close()


def test_a_file_that_can_t_be_made(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError):
        Visits(tmp_path / "none" / "v", exclusive=True, delay_s=0).begin(ANN, AT)
