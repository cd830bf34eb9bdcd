"""What `poterne dns` says, in a real name server: served exactly so, found to be right, and written there by signed updates."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import pytest

from tests.support.name_server import free_dns_port
from tests.support.outbound import Authority
from tests.support.peer_knot import BINARY, KEY_FILE, knot
from tests.support.published import zone_text
from tests.support.server import ADDRESS, DOMAIN, Instance, free_port

pytestmark = [
    pytest.mark.peers,
    pytest.mark.skipif(not Path(BINARY).exists(), reason="knot is not installed (see .ci/peers)"),
]
REVERSE = "0.0.127.in-addr.arpa"


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    folder = tmp_path_factory.mktemp("dns")
    authority, port, dns_port = Authority(folder), free_port(), free_dns_port()
    (folder / "tsig.key").write_text(KEY_FILE)
    (folder / "tsig.key").chmod(0o600)
    made = Instance(
        folder / "instance",
        chosen={
            "dns": {"servers": [f"127.0.0.1:{dns_port}"]},
            "publish": {
                "addresses": [ADDRESS],
                "caa": ["letsencrypt.org"],
                "update_server": f"127.0.0.1:{dns_port}",
                "update_key": str(folder / "tsig.key"),
            },
            "outbound_tls": {"ca": str(authority.file), "policy_port": port},
            "queue": {"private_mx": True},
        },
    )
    with made.settings.open("a") as more:
        more.write(
            f'\n[listener.policies]\nservice = "https"\naddresses = ["{ADDRESS}"]\nport = {port}\ntls = "implicit"\n'
        )
        for name in (f"mail.{DOMAIN}", f"mta-sts.{DOMAIN}"):
            authority.context(name)
            file = folder / f"{name}2.pem"
            more.write(f'[certificate."{name}"]\nchain = "{file}"\nkey = "{file}"\n')
        more.write(f'[zone."{DOMAIN}"]\nmta_sts = "enforce"\ndmarc = "reject"\n')
    made.poterne("dkim", "create", DOMAIN)
    made.start()
    made.dns_port = dns_port  # type: ignore[attr-defined]  # of this test only
    try:
        yield made
    finally:
        made.stop()


def dns_port(instance: Instance) -> int:
    return int(instance.dns_port)  # type: ignore[attr-defined]  # see above


def records(instance: Instance) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(instance.poterne("dns", DOMAIN, "--json").stdout)
    return found


def canonical(kind: str, data: str) -> str:
    return dns.rdata.from_text(
        dns.rdataclass.IN, dns.rdatatype.from_text(kind), data, origin=dns.name.root, relativize=False
    ).to_text()


def reverse_zone(instance: Instance) -> str:
    lines = [f"{one['name']}. 60 IN PTR {one['data']}" for one in records(instance) if one["type"] == "PTR"]
    assert lines
    return zone_text(REVERSE, lines)


def wanted(instance: Instance) -> dict[tuple[str, str], set[str]]:
    found: dict[tuple[str, str], set[str]] = {}
    for one in records(instance):
        if one["inside"]:
            kind = str(one["type"])
            found.setdefault((str(one["name"]), kind), set()).add(canonical(kind, str(one["data"])))
    return found


def test_the_zone_is_served_and_found_right(instance: Instance, tmp_path: Path) -> None:
    text = instance.poterne("dns", DOMAIN, "--zone", "--ns", f"ns.{DOMAIN}").stdout
    glue = f"ns.{DOMAIN}. 60 IN A 127.0.0.1\n"
    with knot(tmp_path, {DOMAIN: text + glue, REVERSE: reverse_zone(instance)}, dns_port(instance)) as server:
        served = server.zone(DOMAIN)
        for extra in ((DOMAIN, "SOA"), (DOMAIN, "NS"), (f"ns.{DOMAIN}", "A")):
            served.pop(extra)
        assert served == wanted(instance)
        for key in json.loads(instance.poterne("dkim", "list", DOMAIN, "--json").stdout):
            instance.poterne("dkim", "activate", DOMAIN, key["selector"])
        found = json.loads(instance.poterne("dns", DOMAIN, "--check", "--json", status=3).stdout)
    assert {one["id"] for one in found if one["outcome"] != "ok"} == {"D02.laboratory", "D27.resolver"}, found
    assert all(one["outcome"] in {"ok", "unknown"} for one in found)
    assert any(one["check"] == "D16" and one["outcome"] == "ok" for one in found)  # it signed, and verified


@pytest.mark.skipif(shutil.which("nsd-checkzone") is None, reason="nsd is not installed (see .ci/peers)")
def test_another_name_server_takes_the_zone(instance: Instance, tmp_path: Path) -> None:
    text = instance.poterne("dns", DOMAIN, "--zone", "--ns", f"ns.{DOMAIN}").stdout
    (tmp_path / "zone").write_text(text + f"ns.{DOMAIN}. 60 IN A 127.0.0.1\n")
    done = subprocess.run(
        ["nsd-checkzone", DOMAIN, str(tmp_path / "zone")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "error" not in done.stderr.lower()


def test_updates(instance: Instance, tmp_path: Path) -> None:
    theirs = [
        f'{DOMAIN}. 60 IN TXT "verification=of-somebody"',
        f'{DOMAIN}. 60 IN TXT "v=spf1 include:old.test -all"',
        f"{DOMAIN}. 60 IN MX 20 other.{DOMAIN}.",
        f"other.{DOMAIN}. 60 IN A 127.0.0.7",
        f"ns.{DOMAIN}. 60 IN A 127.0.0.1",
    ]
    zones = {DOMAIN: zone_text(DOMAIN, theirs), REVERSE: reverse_zone(instance)}
    with knot(tmp_path, zones, dns_port(instance)) as server:
        before = server.zone(DOMAIN)
        shown = instance.poterne("dns", DOMAIN, "--update", status=1).stdout
        assert server.zone(DOMAIN) == before
        assert '- example.test. TXT "v=spf1 include:old.test -all"' in shown
        assert '= example.test. TXT "verification=of-somebody"' in shown
        assert "= example.test. MX 20 other.example.test." in shown
        assert "? 1.0.0.127.in-addr.arpa." in shown
        assert "with --yes writes it" in shown
        done = json.loads(instance.poterne("dns", DOMAIN, "--update", "--yes", "--json").stdout)
        assert done["written"] is True
        after = server.zone(DOMAIN)
        for key, data in wanted(instance).items():
            assert data <= after[key], key
        texts = after[DOMAIN, "TXT"]
        assert '"verification=of-somebody"' in texts
        assert not any("old.test" in text for text in texts)
        assert canonical("MX", f"20 other.{DOMAIN}.") in after[DOMAIN, "MX"]
        again = instance.poterne("dns", DOMAIN, "--update").stdout
        assert "has all of ours" in again
        assert server.zone(DOMAIN) == after
    (event,) = instance.with_store(lambda store: store.events(kind="dns.updated"))
    assert event.detail["domain"] == DOMAIN


def test_updates_that_are_refused(instance: Instance, tmp_path: Path) -> None:
    key = instance.folder.parent / "tsig.key"
    lines = [f"ns.{DOMAIN}. 60 IN A 127.0.0.1", f"mta-sts.{DOMAIN}. 60 IN A 127.0.0.8"]
    with knot(tmp_path, {DOMAIN: zone_text(DOMAIN, lines)}, dns_port(instance)):
        shown = instance.poterne("dns", DOMAIN, "--update", status=1).stdout
        assert f"! mta-sts.{DOMAIN}. 3600 IN CNAME mail.{DOMAIN}." in shown
        try:
            key.write_text(KEY_FILE.replace("poterne-test", "another"))
            assert "key" in instance.poterne("dns", DOMAIN, "--update", "--yes", status=1).stderr
            key.chmod(0o644)
            assert "chmod 600" in instance.poterne("dns", DOMAIN, "--update", status=1).stderr
            key.chmod(0o600)
            key.write_text("nothing")
            assert "tsig-keygen" in instance.poterne("dns", DOMAIN, "--update", status=1).stderr
        finally:
            key.chmod(0o600)
            key.write_text(KEY_FILE)
    assert "update_server" in instance.poterne("dns", DOMAIN, "--update", status=1).stderr  # nobody answers
