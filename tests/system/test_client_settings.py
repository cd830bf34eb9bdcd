"""How mail programs are set up, from a real server: who is answered, what is said, and that nobody learns who exists."""

import os
import plistlib
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from cryptography.hazmat.primitives.serialization import pkcs7

from poterne.proto.autoconfig import outlook, page
from tests.support.commands import command
from tests.support.outbound import Authority
from tests.support.server import ADDRESS, DOMAIN, Instance, free_port

HOST = f"mail.{DOMAIN}"
AUTOCONFIG, AUTODISCOVER = f"autoconfig.{DOMAIN}", f"autodiscover.{DOMAIN}"
XML = "/mail/config-v1.1.xml"
WELL_KNOWN = "/.well-known/autoconfig/mail/config-v1.1.xml"
PROFILE = "/apple/mail.mobileconfig"
OUTLOOK = "/autodiscover/autodiscover.xml"
ALICE, NOBODY = f"alice@{DOMAIN}", f"nobody@{DOMAIN}"


class Served:
    def __init__(self, instance: Instance, port: int, authority: Authority) -> None:
        self.instance, self.port, self.authority = instance, port, authority

    def ask(
        self, path: str, host: str = HOST, method: str = "GET", more: str = "", body: str = ""
    ) -> tuple[int, dict[str, str], bytes]:
        context = ssl.create_default_context(cafile=str(self.authority.file))
        raw = socket.create_connection((ADDRESS, self.port), timeout=10)
        length = f"Content-Length: {len(body.encode())}\r\n" if body else ""
        with raw, context.wrap_socket(raw, server_hostname=AUTOCONFIG if host.startswith("autoc") else HOST) as link:
            link.sendall(f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n{length}{more}\r\n{body}".encode())
            out = b""
            while got := link.recv(65_536):
                out += got
        head, _, text = out.partition(b"\r\n\r\n")
        first, *lines = head.decode("ascii").split("\r\n")
        return int(first.split()[1]), {n.lower(): v for n, v in (line.split(": ", 1) for line in lines)}, text

    def outlook(self, address: str, schema: str = outlook.SCHEMA, path: str = OUTLOOK) -> bytes:
        body = (
            f"<Autodiscover><Request><EMailAddress>{address}</EMailAddress>"
            f"<AcceptableResponseSchema>{schema}</AcceptableResponseSchema></Request></Autodiscover>"
        )
        status, fields, text = self.ask(path, AUTODISCOVER, "POST", body=body)
        assert status == 200
        assert fields["content-type"] == "text/xml"
        return text


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("clients")
    authority = Authority(folder)
    authority.context(HOST, AUTOCONFIG, AUTODISCOVER, DOMAIN)
    port = free_port()
    instance = Instance(folder / "instance")
    file = folder / f"{HOST}2.pem"
    with instance.settings.open("a") as more:
        more.write(f'\n[listener.web]\nservice = "https"\naddresses = ["{ADDRESS}"]\nport = {port}\ntls = "implicit"\n')
        more.write(f'[certificate.main]\nchain = "{file}"\nkey = "{file}"\n')
    instance.start()
    try:
        yield Served(instance, port, authority)
    finally:
        instance.stop()


def code(text: bytes) -> str | None:
    space = "{http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006}"
    return ET.fromstring(text).findtext(f"{space}Response/{space}Error/{space}ErrorCode")


@pytest.mark.parametrize(
    ("host", "path"),
    [
        (AUTOCONFIG, f"{XML}?emailaddress=alice%40{DOMAIN}"),
        (AUTOCONFIG, XML),
        (AUTOCONFIG, f"{XML}?emailaddress="),
        (DOMAIN, f"{WELL_KNOWN}?emailaddress=alice%40{DOMAIN}"),
        (DOMAIN, WELL_KNOWN),
        (f"autoconfig.{HOST}", f"{XML}?emailaddress=alice%40{DOMAIN}"),  # by way of the MX record
        (HOST, f"{XML}?x=y&emailaddress={NOBODY}"),
    ],
)
def test_mozilla(served: Served, host: str, path: str) -> None:
    status, fields, text = served.ask(path, host)
    assert status == 200
    assert fields["content-type"] == "text/xml"
    assert fields["x-content-type-options"] == "nosniff"
    root = ET.fromstring(text)
    assert root.findtext("emailProvider/domain") == DOMAIN
    ports = served.instance.ports
    assert [(one.get("type"), one.findtext("port")) for one in root[0] if one.tag.endswith("Server")] == [
        ("imap", str(ports["imaps"])),
        ("pop3", str(ports["pop3s"])),
        ("smtp", str(ports["submissions"])),
        ("smtp", str(ports["submission"])),
    ]


@pytest.mark.parametrize(
    ("host", "path", "method", "status"),
    [
        (HOST, XML, "GET", 404),  # of which domain?
        (HOST, f"{XML}?emailaddress=a@elsewhere.test", "GET", 404),
        (AUTOCONFIG, f"{XML}?emailaddress=a@elsewhere.test", "GET", 404),
        (AUTOCONFIG, f"{XML}?emailaddress=%ff@{DOMAIN}", "GET", 404),
        (AUTOCONFIG, f"{XML}?emailaddress=a@{DOMAIN}&emailaddress=b@{DOMAIN}", "GET", 404),
        (AUTOCONFIG, XML + "?" + "a&" * 40, "GET", 404),
        (AUTOCONFIG, XML + "/", "GET", 404),
        (AUTOCONFIG, XML.upper(), "GET", 404),
        (AUTOCONFIG, XML, "POST", 405),
        (AUTOCONFIG, XML, "HEAD", 200),
        (AUTOCONFIG, "/", "GET", 200),
        (HOST, "/", "GET", 200),
        (HOST, "/", "DELETE", 405),
        (DOMAIN, "/", "GET", 404),
        (AUTODISCOVER, "/", "GET", 404),
        ("elsewhere.test", "/", "GET", 404),
        ("autoconfig.elsewhere.test", XML, "GET", 404),
        (f"autoconfig.autoconfig.{DOMAIN}", XML, "GET", 404),
        (ADDRESS, "/", "GET", 404),
        (HOST, PROFILE, "GET", 404),
        (HOST, f"{PROFILE}?emailaddress=a@elsewhere.test", "GET", 404),
        (HOST, f"{PROFILE}?emailaddress={ALICE}", "POST", 405),
        (AUTODISCOVER, OUTLOOK, "PUT", 405),
        (AUTODISCOVER, "/autodiscover/autodiscover.json?Email=a", "GET", 404),
        ("elsewhere.test", OUTLOOK, "POST", 404),
    ],
)
def test_status(served: Served, host: str, path: str, method: str, status: int) -> None:
    found, fields, text = served.ask(path, host, method)
    assert found == status
    assert fields["connection"] == "close"
    assert b"elsewhere" not in text
    assert "default-src 'none'" in fields["content-security-policy"]
    assert fields["referrer-policy"] == "no-referrer"
    if status == 405:
        assert fields["allow"] == ("GET, HEAD, POST" if path == OUTLOOK else "GET, HEAD")


@pytest.mark.parametrize("path", [OUTLOOK, "/Autodiscover/Autodiscover.xml", "/AutoDiscover/AutoDiscover.xml"])
def test_outlook(served: Served, path: str) -> None:
    text = served.outlook(ALICE, path=path)
    space = {"o": outlook.SCHEMA}
    names = ET.fromstring(text).findall("o:Response/o:Account/o:Protocol/o:LoginName", space)
    assert [one.text for one in names] == [ALICE] * 3
    ports = [one.text for one in ET.fromstring(text).findall(".//o:Port", space)]
    assert ports == [str(served.instance.ports[name]) for name in ("imaps", "pop3s", "submissions")]


def test_what_outlook_is_refused(served: Served) -> None:
    assert code(served.outlook("a@elsewhere.test")) == "500"
    assert code(served.outlook("no address")) == "500"
    mobile = "http://schemas.microsoft.com/exchange/autodiscover/mobilesync/responseschema/2006"
    assert code(served.outlook(ALICE, mobile)) == "601"
    for method, body in (("GET", ""), ("POST", ""), ("POST", "<!DOCTYPE x><x/>"), ("POST", "<")):
        status, _, text = served.ask(OUTLOOK, AUTODISCOVER, method, body=body)
        assert (status, code(text)) == (200, "600")
    assert served.ask(OUTLOOK, AUTODISCOVER, "POST", more="Content-Length: 9000\r\n")[0] == 413
    status, _, text = served.ask(f"{OUTLOOK}?Email={ALICE}", AUTODISCOVER)
    assert (status, code(text)) == (200, None)


def unsigned(text: bytes) -> bytes:
    """What is inside the signature."""
    assert len(pkcs7.load_der_pkcs7_certificates(text)) == 1
    return text[text.index(b"<?xml") : text.index(b"</plist>") + 8]


def test_apple(served: Served) -> None:
    status, fields, text = served.ask(f"{PROFILE}?emailaddress=alice%40{DOMAIN}", more="Accept-Language: fr-FR\r\n")
    assert status == 200
    assert fields["content-type"] == "application/x-apple-aspen-config"
    assert fields["content-disposition"] == f'attachment; filename="{DOMAIN}.mobileconfig"'
    whole = plistlib.loads(unsigned(text))
    assert whole["PayloadDisplayName"] == f"Messagerie de {DOMAIN}"
    assert whole["PayloadContent"][0]["EmailAddress"] == ALICE


def test_page(served: Served) -> None:
    status, fields, text = served.ask("/", more="Accept-Language: fr\r\n")
    assert status == 200
    assert fields["content-language"] == "fr"
    assert fields["vary"] == "Accept-Language"
    assert fields["content-security-policy"] == page.POLICY
    assert "Configurer votre logiciel" in text.decode()
    assert "Set up your mail program" in served.ask("/", AUTOCONFIG)[2].decode()
    status, _, text = served.ask(f"/?emailaddress={ALICE}")
    assert status == 200
    assert PROFILE.encode() in text
    status, _, text = served.ask("/?emailaddress=<script>@elsewhere.test")
    assert status == 404
    assert b"not an address of this server" in text
    assert b"script" not in text


def test_nobody_learns_who_exists(served: Served) -> None:
    """Whatever is asked, and however it ends: the answers differ in the address that was asked for."""

    def told(address: str) -> list[tuple[int, str, bytes]]:
        answers = [
            served.ask(f"{XML}?emailaddress={address}", AUTOCONFIG),
            served.ask(f"/?emailaddress={address}"),
            served.ask(f"{OUTLOOK}?email={address}", AUTODISCOVER),
            served.ask(f"{PROFILE}?emailaddress={address}"),
        ]
        return [(status, fields["content-type"], text) for status, fields, text in answers]

    alice, nobody = told(ALICE), told(f"alicf@{DOMAIN}")
    for one, other in zip(alice[:3], nobody[:3], strict=True):
        assert one == (*other[:2], other[2].replace(b"alicf", b"alice"))
    assert (alice[3][:2], len(unsigned(alice[3][2]))) == (nobody[3][:2], len(unsigned(nobody[3][2])))


def test_who_comes_by_way_of_a_log_finds_no_address(served: Served) -> None:
    served.ask(f"{XML}?emailaddress=somebody%40{DOMAIN}", AUTOCONFIG)
    served.instance.wait_event("https.answered")
    assert "somebody" not in served.instance.log.read_text()


def test_the_command(served: Served, tmp_path: Path) -> None:
    poterne = served.instance.poterne
    shown = poterne("client", ALICE).stdout
    for text in (
        HOST,
        str(served.instance.ports["imaps"]),
        "SSL/TLS",
        "normal password",
        f"https://{HOST}:{served.port}/",
    ):
        assert text in shown
    assert '"user_name": "' + ALICE in poterne("client", ALICE, "--json").stdout
    file = tmp_path / "alice.mobileconfig"
    assert "written, signed" in poterne("client", ALICE, "--profile", str(file)).stderr
    assert plistlib.loads(unsigned(file.read_bytes()))["PayloadContent"][0]["EmailAddress"] == ALICE
    for kind, hint in (("apple", "camera"), ("thunderbird", "Android")):
        assert hint in poterne("client", ALICE, "--qr", kind).stdout
    assert "nobody signs in as" in poterne("client", NOBODY, status=1).stderr
    assert "poterne domain add" in poterne("client", "a@elsewhere.test", status=1).stderr
    assert "not a mail address" in poterne("client", "alice", status=1).stderr
    assert command(["client", "--help"]).returncode == 0
    assert "what mail programs connect to" in poterne("check", status=0).stdout


def test_it_can_be_switched_off(tmp_path: Path) -> None:
    authority, port = Authority(tmp_path), free_port()
    authority.context(HOST)
    instance = Instance(tmp_path / "instance", chosen={"clients": {"configure": False}, "server": {"workers": 1}})
    file = tmp_path / f"{HOST}2.pem"
    with instance.settings.open("a") as more:
        more.write(f'\n[listener.web]\nservice = "https"\naddresses = ["{ADDRESS}"]\nport = {port}\ntls = "implicit"\n')
        more.write(f'[certificate.main]\nchain = "{file}"\nkey = "{file}"\n')
    instance.start()
    try:
        quiet = Served(instance, port, authority)
        assert quiet.ask("/")[0] == 404
        assert quiet.ask(OUTLOOK, method="POST")[0] == 404
        assert quiet.ask("/.well-known/mta-sts.txt")[0] == 404
        assert "can't find this by themselves" in instance.poterne("client", ALICE).stdout
    finally:
        instance.stop()


def test_a_code_needs_a_terminal_that_can_show_it(served: Served) -> None:
    words = [sys.executable, "-m", "poterne", "-c", str(served.instance.settings), "client", ALICE, "--qr", "apple"]
    env = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    refused = subprocess.run(words, env=env, capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert "a terminal in iso8859-1 can't show it" in refused.stderr
    assert "Traceback" not in refused.stderr
