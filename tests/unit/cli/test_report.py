"""`poterne report` in this process: files and mails to rows of a real store, and from there to what a person reads."""

import asyncio
import contextlib
import json
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from poterne.cli.main import cli
from poterne.cli.report_text import _REFUSED, sparkline
from poterne.lab.dns import Zones
from poterne.mailauth.reports_in.outcome import Fault
from tests.support.name_server import zones_served
from tests.support.server import DOMAIN, Instance
from tests.unit.mailauth.reports_in.test_hostile import attached, mail
from tests.unit.mailauth.reports_in.written import gz, record, report, zipped

Run = Callable[..., Result]
RECORD = f"v=DMARC1; p=none; pct=50; rua=mailto:dmarc-reports@{DOMAIN}"
ZONES = {
    DOMAIN: f"""@ 3600 IN SOA ns hostmaster 1 2 3 4 5
@ IN NS ns
ns IN A 127.0.0.1
@ IN MX 10 mail
mail IN A 192.0.2.25
_dmarc IN TXT "{RECORD.replace(";", chr(92) + ";")}"
""",
    "test": "@ 3600 IN SOA ns h 1 2 3 4 5\n@ IN NS ns\nns IN A 127.0.0.1\n",
    "51.198.in-addr.arpa": """@ 3600 IN SOA ns.test. h.test. 1 2 3 4 5
@ IN NS ns.test.
5.100 IN PTR out.sendgrid.net.
6.100 IN PTR liar.sendgrid.net.
""",
    "sendgrid.net": """@ 3600 IN SOA ns h 1 2 3 4 5
@ IN NS ns
ns IN A 127.0.0.1
out IN A 198.51.100.5
liar IN A 198.51.100.99
""",
}


@contextlib.contextmanager
def name_server() -> Iterator[int]:
    """In a thread of its own: commands have their own event loop."""
    started, ended = threading.Event(), threading.Event()
    ports: list[int] = []

    async def serve() -> None:
        async with zones_served(Zones(ZONES)) as port:
            ports.append(port)
            started.set()
            await asyncio.to_thread(ended.wait)

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    try:
        assert started.wait(10)
        yield ports[0]
    finally:
        ended.set()
        thread.join()


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with name_server() as found:
        yield found


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory, port: int) -> Path:
    chosen = {"dns": {"servers": [f"127.0.0.1:{port}"]}}
    return Instance(tmp_path_factory.mktemp("cli") / "instance", accounts=("alice",), chosen=chosen).folder


@pytest.fixture
def folder(template: Path, tmp_path: Path) -> Path:
    shutil.copytree(template, tmp_path / "instance")
    return tmp_path / "instance"


@pytest.fixture
def run(folder: Path) -> Run:
    def go(*arguments: str, status: int = 0) -> Result:
        done = CliRunner().invoke(cli, ["-c", str(folder / "poterne.toml"), "report", *arguments])
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert done.exit_code == status, (done.stdout, done.stderr)
        return done

    return go


def today() -> int:
    return int(time.time()) // 86_400


def written(folder: Path, days: int, *records: bytes, first_ago: int = 1, reporter: bytes = b"org.example") -> Path:
    """A file for each day."""
    into = folder / reporter.decode()
    into.mkdir(exist_ok=True)
    for ago in range(first_ago, first_ago + days):
        begin = (today() - ago) * 86_400
        text = report(*records, report_id=b"r%d" % begin, begin=begin, end=begin + 86_399, domain=DOMAIN.encode())
        text = text.replace(b"example.org", DOMAIN.encode()).replace(b"org.example", reporter)
        (into / f"{begin}.xml.gz").write_bytes(gz(text))
    return into


def test_from_files_to_the_next_step(run: Run, tmp_path: Path) -> None:
    good = written(tmp_path, 20, record("192.0.2.25", 40))
    said = run("import", str(good))
    assert "20 new, 0 known already" in said.stdout
    assert "0 new, 20 known already" in run("import", str(good)).stdout

    shown = run("dmarc", DOMAIN).stdout
    assert "messages      800" in shown
    assert "our servers" in shown
    assert "pass DMARC    100.0 %" in shown
    assert "safe now" in shown
    assert f'TXT "v=DMARC1; p=quarantine; t=y; rua=mailto:dmarc-reports@{DOMAIN}"' in shown
    assert f"published     {RECORD}" in shown
    assert "pct-below-100" in shown
    assert "org.example: 20" in shown
    run("dmarc", DOMAIN, "--next")

    run("import", str(written(tmp_path, 4, record("198.51.100.6", 30, b"fail", b"fail"), reporter=b"two.example")))
    run("import", str(written(tmp_path, 4, record("198.51.100.6", 30, b"fail", b"fail"), reporter=b"three.example")))
    shown = run("dmarc", DOMAIN, "--next", status=3).stdout
    assert "not safe yet" in shown
    assert "--not-ours 198.51.100.0/24" in shown
    assert "safe now" in run("dmarc", DOMAIN, "--next", "--not-ours", "198.51.100.0/24").stdout
    assert '"hello" is' in run("dmarc", DOMAIN, "--not-ours", "hello", status=1).stderr


def test_json_and_names(run: Run, tmp_path: Path) -> None:
    rows = [record("192.0.2.25", 40), record("198.51.100.5", 7, b"fail"), record("198.51.100.6", 9, b"fail")]
    run("import", str(written(tmp_path, 3, *rows)))
    run("import", str(written(tmp_path, 1, record("192.0.2.25", 5), first_ago=35)))
    found = json.loads(run("dmarc", DOMAIN, "--json", "--names").stdout)
    assert found["total"] == {
        "messages": 168, "pass": 168, "fail": 0, "dkim": 120, "spf": 168, "quarantined": 0, "rejected": 0,
    }  # fmt: skip
    assert found["before"]["messages"] == 5
    sources = {one["source"]: (one["kind"], one["messages"], one["names"]) for one in found["sources"]}
    assert sources == {
        "our servers": ("ours", 120, []),
        "SendGrid": ("service", 21, ["out.sendgrid.net"]),
        "198.51.100.0/24": ("unknown", 27, []),  # its name does not lead back to it
    }
    assert (found["published"], found["next"]["now"], found["next"]["safe"]) == (RECORD, "none", False)
    assert [one["word"] for one in found["next"]["blockers"]] == ["too-few-days"]
    assert len(found["days"]) == 3


def test_the_policy_of_the_domain_above(run: Run, folder: Path) -> None:
    """To publish p=none there would take its protection away."""
    done = CliRunner().invoke(cli, ["-c", str(folder / "poterne.toml"), "domain", "add", f"sub.{DOMAIN}"])
    assert done.exit_code == 0, done.stderr
    shown = run("dmarc", f"sub.{DOMAIN}").stdout
    assert f"the policy of {DOMAIN} applies" in shown
    found = json.loads(run("dmarc", f"sub.{DOMAIN}", "--json").stdout)
    assert (found["inherited_from"], found["next"]["now"], found["next"]["next"]) == (DOMAIN, "none", "testing")
    assert found["next"]["record"] == f"v=DMARC1; p=quarantine; t=y; rua=mailto:dmarc-reports@sub.{DOMAIN}"


def test_dns_that_does_not_answer(run: Run, folder: Path, tmp_path: Path) -> None:
    config = folder / "poterne.toml"
    lines = [
        'servers = ["127.0.0.1:1"]' if line.startswith("servers = ") else line
        for line in config.read_text().splitlines()
    ]
    config.write_text("\n".join(lines))
    run("import", str(written(tmp_path, 1, record())))
    assert "the policy in force is not known" in run("dmarc", DOMAIN).stdout
    assert json.loads(run("dmarc", DOMAIN, "--json").stdout)["next"] is None
    run("dmarc", DOMAIN, "--next", status=3)


def test_nothing_yet_and_no_domain_of_ours(run: Run) -> None:
    shown = run("dmarc", DOMAIN).stdout
    assert "No report tells of any message" in shown
    assert "Nobody has reported yet." in shown
    assert "No report about TLS has come" in run("tls", DOMAIN).stdout
    assert "No report has come yet." in run("list").stdout
    for what in ("dmarc", "tls"):
        assert "is no domain of this server" in run(what, "other.example", status=1).stderr
        run(what, "no domain", status=1)


def test_tls(run: Run, tmp_path: Path) -> None:
    begin = time.strftime("%Y-%m-%dT00:00:00Z", time.gmtime(time.time() - 86_400))
    failure = {"result-type": "certificate-expired", "receiving-mx-hostname": f"mx.{DOMAIN}", "failed-session-count": 3}
    policy = {
        "policy": {"policy-type": "sts", "policy-domain": DOMAIN},
        "summary": {"total-successful-session-count": 40, "total-failure-session-count": 3},
        "failure-details": [failure],
    }
    text = {
        "organization-name": "big.example", "report-id": "1", "policies": [policy],
        "date-range": {"start-datetime": begin, "end-datetime": begin.replace("T00:00", "T23:59")},
    }  # fmt: skip
    file = tmp_path / "a.json"
    file.write_text(json.dumps(text))
    assert "1 new" in run("import", str(file)).stdout
    shown = run("tls", DOMAIN).stdout
    assert "1 reports: 40 sessions met the policy, 3 did not." in shown
    assert "certificate-expired" in shown
    found = json.loads(run("tls", DOMAIN, "--json").stdout)
    assert (found["succeeded"], found["failed"], found["failures"][0]["server"]) == (40, 3, f"mx.{DOMAIN}")
    (one,) = json.loads(run("list", "--json").stdout)
    assert (one["domain"], one["kind"], one["reporter"], one["reports"]) == (DOMAIN, "tls", "big.example", 1)


def test_all_that_can_be_imported(run: Run, tmp_path: Path) -> None:
    def text(number: int, about: str = DOMAIN) -> bytes:
        begin = (today() - 2) * 86_400
        made = report(report_id=b"i%d" % number, begin=begin, end=begin + 86_399, domain=about.encode())
        return made.replace(b"example.org", about.encode())

    box = tmp_path / "box" / "deep"
    box.mkdir(parents=True)
    (box / "1.xml").write_bytes(text(1))
    (box / "2.zip").write_bytes(zipped(("a.xml", text(2))))
    (box / "3.eml").write_bytes(mail(attached(gz(text(3)))))
    (box / "4.eml").write_bytes(mail(attached(gz(text(4)))).replace(b"\r\n", b"\n"))
    letters = [mail(attached(gz(text(number)))).replace(b"\r\n", b"\n") for number in (5, 6, 7)]
    mbox = b"".join(b"From a@b Mon Jan  1 00:00:00 2026\n" + one + b"\n>From x\n\n" for one in letters)
    (box / "mbox").write_bytes(mbox)
    (box / "other.xml").write_bytes(text(8, "other.example"))
    (box / "empty").write_bytes(b"")
    (box / "notes.txt").write_bytes(b"hello\n")
    (box / "large").write_bytes(b"x" * (10 * 1024 * 1024 + 1))
    (box / ".hidden").write_bytes(text(9))
    (found,) = json.loads(run("import", "--json", str(tmp_path / "box")).stdout)
    problems = {Path(one["file"]).name: one["why"] for one in found.pop("problems")}
    assert problems == {
        "other.xml": "not-ours", "empty": "no-report", "notes.txt": "no-report", "large": "too-large",
    }  # fmt: skip
    assert found == {"documents": 11, "new": 7, "duplicates": 0, "failures": 0, "refused": 4}
    said = run("import", str(box / "notes.txt"), status=1)
    assert "no report about a domain of ours was found" in said.stderr
    assert "notes.txt: holds no report" in said.stderr
    assert "other.xml: is about a domain that is not served here" in run("import", str(box), status=0).stderr
    run("import", str(box / "nothing"), status=2)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_cannot_be_read(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "a.xml"
    file.write_bytes(report())
    file.chmod(0)
    assert "Permission denied" in run("import", str(file), status=1).stderr


def test_sparkline() -> None:
    assert sparkline([]) == sparkline([0, 0]) == ""
    assert sparkline([1, 0, 8, 4]) == "▂ █▅"
    assert sparkline([1] * 120) == "█" * 60
    assert len(sparkline([0, *[1] * 3650])) <= 60


def test_each_word_for_what_is_not_kept_has_a_text() -> None:
    assert {fault.value for fault in Fault} | {"not-ours"} == set(_REFUSED)


def test_the_commands_are_named(run: Run) -> None:
    shown = CliRunner().invoke(cli, ["report", "--help"]).stdout
    assert all(name in shown for name in ("dmarc", "tls", "list", "import"))
