"""`poterne dns` in this process, on an instance."""

import json
from pathlib import Path

import dns.zone
import pytest
from click.testing import CliRunner, Result

from poterne.cli.main import cli
from tests.support.outbound import Authority
from tests.support.server import DOMAIN, Instance

FOUR = "5.45.100.25"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    top = tmp_path_factory.mktemp("cli")
    Authority(top).context(f"mail.{DOMAIN}")
    made = Instance(
        top / "instance", accounts=(), chosen={"publish": {"addresses": [FOUR], "exchangers": [f"10 mail.{DOMAIN}"]}}
    )
    file = top / f"mail.{DOMAIN}2.pem"
    with made.settings.open("a") as more:
        more.write(f'[certificate.main]\nchain = "{file}"\nkey = "{file}"\n')
    return made.folder


def run(folder: Path, *arguments: str, status: int = 0) -> Result:
    done = CliRunner().invoke(cli, ["-c", str(folder / "poterne.toml"), "dns", *arguments])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == status, (done.stdout, done.stderr)
    return done


def test_the_zone(folder: Path) -> None:
    text = run(folder, DOMAIN).stdout
    assert f"{DOMAIN}. 3600 IN MX 10 mail.{DOMAIN}.\n" in text
    assert f'{DOMAIN}. 3600 IN TXT "v=spf1 mx ip4:{FOUR} -all"\n' in text
    assert f'_dmarc.{DOMAIN}. 3600 IN TXT "v=DMARC1; p=none; np=reject; rua=mailto:dmarc-reports@{DOMAIN}"\n' in text
    assert f"_25._tcp.mail.{DOMAIN}. 3600 IN TLSA 3 1 1 " in text
    assert f";   25.100.45.5.in-addr.arpa. 3600 IN PTR mail.{DOMAIN}.\n" in text
    assert "_mta-sts" not in text  # nobody serves a policy
    assert "; No DKIM key" in text
    assert "SOA" not in text


def test_the_zone_with_name_servers_is_complete(folder: Path) -> None:
    text = run(folder, DOMAIN, "--zone", "--ns", "ns1.other.test", "--ns", "ns2.other.test.").stdout
    zone = dns.zone.from_text(text, origin=DOMAIN)
    found = zone.find_rdataset("@", "NS")
    assert {one.to_text() for one in found} == {"ns1.other.test.", "ns2.other.test."}


def test_name_servers_that_are_none_or_need_addresses(folder: Path) -> None:
    assert "is not a domain" in run(folder, DOMAIN, "--ns", "bad name!", status=1).stderr
    assert "is not a full domain" in run(folder, DOMAIN, "--ns", "ns1", status=1).stderr
    note = f"; ns1.{DOMAIN} is in this zone: add its A and AAAA records"
    assert note in run(folder, DOMAIN, "--ns", f"ns1.{DOMAIN}").stdout
    assert note not in run(folder, DOMAIN, "--ns", "ns1.other.test").stdout
    for wrong in (
        ("--lines", "--ns", "ns1.other.test"),
        ("--yes",),
        ("--check", "--yes"),
        ("--json", "--ns", "n.test"),
    ):
        assert "goes with" in run(folder, DOMAIN, *wrong, status=2).stderr


def test_the_first_policy_is_explained(folder: Path) -> None:
    assert "; Leave DMARC at p=none until the reports show" in run(folder, DOMAIN).stdout


def test_lines_and_json(folder: Path) -> None:
    lines = run(folder, DOMAIN, "--lines").stdout.splitlines()
    assert f"{DOMAIN}\tTXT\tv=spf1 mx ip4:{FOUR} -all" in lines
    rows = json.loads(run(folder, DOMAIN, "--json").stdout)
    assert [f"{one['name']}\t{one['type']}\t{one['value']}" for one in rows] == lines
    assert {one["inside"] for one in rows if one["type"] == "PTR"} == {False}


def test_a_domain_that_is_not_ours(folder: Path) -> None:
    assert "poterne domain add other.test" in run(folder, "other.test", status=1).stderr
    assert run(folder, "not a domain", status=1).stderr
    assert "other.test" in run(folder, "other.test", "--check", status=1).stderr


def test_without_dns_nothing_is_well(folder: Path) -> None:
    """The name server of tests does not answer: nothing that depends on it is called well, or wrong."""
    found = json.loads(run(folder, DOMAIN, "--check", "--json", status=1).stdout)
    by_check = {one["check"]: one["outcome"] for one in found}
    assert by_check.pop("D14") == "fail"  # there is no key at all, which needs no DNS to know
    assert {check: one for check, one in by_check.items() if one != "unknown"} == {"D15": "ok", "D23": "ok"}
    shown = run(folder, DOMAIN, "--check", status=1).stdout
    assert "D02.dns" in shown
    assert "poterne dkim create" in shown


def test_updates_need_a_server(folder: Path) -> None:
    assert "[publish] update_server" in run(folder, DOMAIN, "--update", status=1).stderr
