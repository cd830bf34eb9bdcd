"""A report by SMTP to the address of a domain, read, and shown."""

import json
import smtplib
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from poterne.cli.main import cli
from poterne.config.reports import Reports
from poterne.queue.domains import LocalDomains
from poterne.queue.report_reader import ReportReader
from poterne.store.interface import Store
from tests.support.lines import Lines
from tests.support.server import DOMAIN, Instance
from tests.unit.mailauth.reports_in.test_hostile import attached, mail
from tests.unit.mailauth.reports_in.written import blown, gz, head, record, report


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Instance]:
    instance = Instance(tmp_path / "instance").start()
    yield instance
    instance.stop()


async def _read(store: Store) -> int:
    return await ReportReader(store, Reports(), LocalDomains(store, time.time), clock=time.time, log=Lines()).read()


def test_by_smtp(server: Instance) -> None:
    begin = (int(time.time()) // 86_400 - 1) * 86_400
    about = DOMAIN.encode()
    text = report(record("192.0.2.25", 40), begin=begin, end=begin + 86_399, domain=about).replace(
        b"example.org", about
    )
    bomb = blown(head(domain=about), b" " * (1 << 20), 1024)
    with smtplib.SMTP("127.0.0.1", server.ports["mx"], "reporter.test", timeout=20) as client:
        for octets in (gz(text), gz(text), bomb):
            letter = mail(attached(octets)).replace(
                b"MIME-Version", b"Date: Mon, 21 Sep 2026 06:00:00 +0000\r\nMIME-Version", 1
            )
            assert client.sendmail("reports@org.example", [f"dmarc-reports@{DOMAIN}"], letter) == {}
    assert server.stop() == 0
    assert server.with_store(_read) == 3
    asked = ["-c", str(server.settings), "report", "dmarc", DOMAIN, "--json"]
    done = CliRunner().invoke(cli, asked)
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["total"]["messages"] == 40
    assert [one["reports"] for one in found["reporters"]] == [1]
    (unreadable,) = server.with_store(lambda store: store.events(kind="report.unreadable"))
    assert unreadable.reason == "bomb"
    assert server.with_store(_read) == 0
