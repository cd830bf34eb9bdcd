"""What `poterne check` says of who mail is from."""

import asyncio
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from poterne.app.stores import needs_no_migration, open_instance_store
from poterne.cli.check_authors import of_settings
from poterne.cli.check_routes import Line
from poterne.cli.main import cli
from poterne.config.inbound import Inbound
from poterne.config.load import load
from poterne.config.publish import Publish, Zone
from poterne.config.settings import Listener, Server, Settings
from poterne.store.sqlite.connection import connect
from poterne.values.watch import DnsFinding
from tests.support.server import DOMAIN, Instance

Check = Callable[..., list[Line]]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Instance(tmp_path_factory.mktemp("check") / "instance", accounts=("alice",)).folder


@pytest.fixture
def folder(template: Path, tmp_path: Path) -> Path:
    shutil.copytree(template, tmp_path / "instance")
    return tmp_path / "instance"


@pytest.fixture
def check(folder: Path) -> Check:
    def go(more: str = "", status: int = 0) -> list[Line]:
        file = folder / "poterne.toml"
        if more:
            table, _, rest = more.lstrip().partition("\n")
            text = file.read_text()
            file.write_text(
                text.replace(f"{table}\n", f"{table}\n{rest}", 1) if f"\n{table}\n" in text else text + more
            )
        done = CliRunner().invoke(cli, ["-c", str(file), "check", "--json"])
        assert done.exit_code == status, (done.output, done.exception)
        return [(row["outcome"], row["text"]) for row in json.loads(done.stdout)]

    return go


def of(lines: list[Line], word: str) -> list[Line]:
    return [line for line in lines if word in line[1]]


def poterne(folder: Path, *arguments: str) -> None:
    done = CliRunner().invoke(cli, ["-c", str(folder / "poterne.toml"), *arguments])
    assert done.exit_code == 0, done.output


def test_mail_that_nobody_verifies() -> None:
    mx = {"mx": Listener("mx", ["127.0.0.1"], 25)}
    unverified = Settings(listener=mx, inbound=Inbound(verify=False))
    ((outcome, text),) = of_settings(unverified, Path())
    assert (outcome, "NOT VERIFIED" in text) == ("warn", True)
    ((outcome, text),) = of_settings(Settings(listener=mx), Path())
    assert (outcome, text[:35]) == ("ok", "mail from strangers is verified (SP")
    assert not list(of_settings(Settings(), Path()))  # nobody brings any
    assert not list(of_settings(Settings(listener=mx, server=Server(role="mailbox")), Path()))  # the edge does it


def test_settings_that_do_not_do_what_they_say(tmp_path: Path) -> None:
    found = list(of_settings(Settings(zone={"a.test": Zone(mta_sts="enforce")}), tmp_path))
    assert [(one, "nobody serves the policy" in text) for one, text in found] == [("warn", True)]
    found = list(of_settings(Settings(publish=Publish(next_keys=["next.pem"])), tmp_path))
    assert [(one, "next.pem is not there" in text) for one, text in found] == [("fail", True)]
    found = list(of_settings(Settings(publish=Publish(addresses=["10.0.0.1", "5.45.100.25"])), tmp_path))
    assert [(one, text.split(":")[1]) for one, text in found] == [("warn", " 10.0.0.1")]


def test_the_life_of_a_key(check: Check, folder: Path) -> None:
    assert of(check(), "NO DKIM KEY: its mail leaves unsigned")[0][0] == "warn"
    poterne(folder, "dkim", "create", DOMAIN)
    assert of(check(), "NO DKIM KEY SIGNS YET")[0][0] == "warn"
    store = open_instance_store(folder / "data", load(folder / "poterne.toml"))
    try:
        keys = asyncio.run(store.dkim_keys(DOMAIN))
    finally:
        asyncio.run(store.close())
    new, rsa = sorted(keys, key=lambda key: key.algorithm)
    poterne(folder, "dkim", "activate", DOMAIN, new.selector, "--force")
    assert of(check(), f"{DOMAIN}: only {new.selector} signs, and many servers verify RSA keys alone")[0][0] == "warn"
    poterne(folder, "dkim", "activate", DOMAIN, rsa.selector, "--force")
    ((outcome, text),) = of(check(), f"{DOMAIN}: its mail is signed with")
    assert (outcome, rsa.selector in text, new.selector in text) == ("ok", True, True)
    assert of(check("\n[dkim]\nsign = false\n"), "WITHOUT A SIGNATURE")[0][0] == "warn"
    assert not of(check(), rsa.selector)


async def note(folder: Path, *findings: DnsFinding) -> None:
    store = open_instance_store(folder / "data", load(folder / "poterne.toml"))
    try:
        await store.set_dns_findings(DOMAIN, findings, [])
    finally:
        await store.close()


def test_what_dns_said(check: Check, folder: Path) -> None:
    assert of(check(), f"{DOMAIN}: its DNS was NEVER CHECKED")[0][0] == "warn"
    asyncio.run(note(folder, DnsFinding(DOMAIN, "D02", "ok", "", 1), DnsFinding(DOMAIN, "D22", "warn", "no rua=", 1)))
    found = check()
    assert of(found, "nothing was wrong in its DNS")[0][0] == "ok"
    assert of(found, "DMARC reports do not come as they should: no rua=")[0][0] == "warn"
    wrong = [DnsFinding(DOMAIN, f"D0{n}", "fail", f"text {n}", 1) for n in range(5)]
    asyncio.run(note(folder, *wrong))
    ((outcome, text),) = of(check(), "when the server last looked")
    assert (outcome, "text 0; text 1; text 2; and 2 more" in text) == ("warn", True)
    assert of(check("\n[publish]\nwatch = false\n"), "nobody looks after its DNS")[0][0] == "warn"


def test_reports_that_nobody_reads(check: Check, folder: Path) -> None:
    assert not of(check(), "is somebody's address")
    poterne(folder, "alias", "add", f"tls-reports@{DOMAIN}", f"alice@{DOMAIN}")
    ((outcome, text),) = of(check('\n[reports]\ndmarc_address = ""\n'), "is somebody's address")
    assert (outcome, "tls-reports@" in text, "[reports] tls_address" in text) == ("warn", True, True)
    assert of(check(), "nobody hears who forges your domains")[0][0] == "warn"


def test_zones_and_keys_that_are_not_there(check: Check) -> None:
    found = check('\n[zone."elsewhere.test"]\ndmarc = "reject"\n')
    assert of(found, '[zone."elsewhere.test"] has no effect')[0][0] == "warn"
    found = check('\n[publish]\nupdate_server = "127.0.0.1:1"\nupdate_key = "gone"\n', status=1)
    assert of(found, "gone can't be read")[0][0] == "fail"


def test_an_older_database_is_left_alone(check: Check, folder: Path) -> None:
    """The old server may still be running on it."""
    data = folder / "data"
    connection = connect(data, busy_ms=1000, cache_kib=256)
    connection.execute("DELETE FROM migration WHERE number = (SELECT max(number) FROM migration)").fetchall()
    left = connection.execute("SELECT count(*) FROM migration").fetchall()
    assert not needs_no_migration(data)
    assert of(check(), "the next start brings it up to date")[0][0] == "warn"
    assert connection.execute("SELECT count(*) FROM migration").fetchall() == left
    connection.close()


def test_a_damaged_database_is_one_of_the_findings(check: Check, folder: Path) -> None:
    for path in (folder / "data").glob("poterne.db*"):
        path.write_bytes(b"damaged" * 2000)
    found = check(status=1)
    assert of(found, "the store can't be read")[0][0] == "fail"
    assert of(found, "every setting is understood")
