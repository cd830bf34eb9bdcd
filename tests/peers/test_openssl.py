"""What openssl s_client gets: which versions and suites, whose certificate, what of renegotiation."""

import re
import subprocess

import pytest

from tests.support.peer_server import HOST, HOSTNAME, NAME, PeerServer, Ran, run
from tests.support.peer_tools import needs

pytestmark = needs("openssl")

SERVICES = {
    "mx": ["-starttls", "smtp"],
    "submission": ["-starttls", "smtp"],
    "submissions": [],
    "imaps": [],
    "imap": ["-starttls", "imap"],
    "pop3s": [],
    "pop3": ["-starttls", "pop3"],
}
WEAK = [
    *(
        "AES256-GCM-SHA384",
        "AES128-SHA",
        "ECDHE-ECDSA-AES256-SHA384",
        "ECDHE-ECDSA-AES128-SHA",
        "DHE-RSA-AES256-GCM-SHA384",
    ),
    *("NULL", "aNULL", "ARIA128", "CAMELLIA128", "ECDHE-ECDSA-AES256-CCM8"),
]
GOOD = ["ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-ECDSA-AES128-GCM-SHA256"]


def connect(server: PeerServer, service: str, *options: str, given: str = "", expect: int | None = 0) -> Ran:
    where = ["-connect", f"{HOST}:{server.ports[service]}", "-servername", HOSTNAME, "-CAfile", str(server.ca)]
    return run("openssl", "s_client", *where, *SERVICES[service], *options, given=given, expect=expect, timeout_s=20)


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("version", ["tls1_2", "tls1_3"])
def test_new_versions(server: PeerServer, service: str, version: str) -> None:
    said = connect(server, service, f"-{version}", "-verify_return_error", "-verify_hostname", NAME).out
    assert "Verify return code: 0 (ok)" in said
    assert re.search(rf"New, TLSv1\.{version[-1]}, Cipher is \w+", said)
    assert "Compression: NONE" in said
    assert "Peer signature type: ECDSA" in said
    if version == "tls1_2":
        assert "Secure Renegotiation IS supported" in said
        assert "Extended master secret: yes" in said


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("version", ["tls1", "tls1_1"])
def test_old_versions(server: PeerServer, service: str, version: str) -> None:
    # Without SECLEVEL=0 our own openssl would not even ask.
    said = connect(server, service, f"-{version}", "-cipher", "ALL:@SECLEVEL=0", expect=1).all
    assert "alert protocol version" in said, said
    assert "Cipher is (NONE)" in said


@pytest.mark.parametrize("suite", WEAK)
@pytest.mark.parametrize("service", ["mx", "imaps"])
def test_weak_suites(server: PeerServer, service: str, suite: str) -> None:
    said = connect(server, service, "-tls1_2", "-cipher", f"{suite}:@SECLEVEL=0", expect=1).all
    assert re.search("alert handshake failure|alert insufficient", said), said


@pytest.mark.parametrize("suite", GOOD)
def test_good_suites(server: PeerServer, suite: str) -> None:
    assert f"Cipher is {suite}" in connect(server, "mx", "-tls1_2", "-cipher", suite).out


def test_our_order_of_suites(server: PeerServer) -> None:
    said = connect(server, "mx", "-tls1_2", "-cipher", ":".join(reversed(GOOD))).out
    assert f"Cipher is {GOOD[0]}" in said


@pytest.mark.parametrize("group", ["X25519", "P-256", "P-384"])
def test_groups(server: PeerServer, group: str) -> None:
    assert "Verify return code: 0 (ok)" in connect(server, "imaps", "-groups", group).out


@pytest.mark.parametrize("name", [NAME, HOSTNAME])
def test_certificate_names(server: PeerServer, name: str) -> None:
    connect(server, "submissions", "-verify_return_error", "-verify_hostname", name)
    wrong = connect(server, "submissions", "-verify_return_error", "-verify_hostname", "other.test", expect=1)
    assert "hostname mismatch" in wrong.all.lower()


def test_a_stranger_s_ca_does_not_verify(server: PeerServer) -> None:
    where = ["-connect", f"{HOST}:{server.ports['imaps']}", "-verify_return_error"]
    said = run("openssl", "s_client", *where, "-CAfile", "/dev/null", expect=None)
    assert "Verify return code: 0" not in said.out


@pytest.mark.parametrize(("service", "alpn"), [("imaps", "imap"), ("pop3s", "pop3")])
def test_alpn(server: PeerServer, service: str, alpn: str) -> None:
    assert f"ALPN protocol: {alpn}" in connect(server, service, "-alpn", alpn).out
    web = connect(server, service, "-alpn", "h2,http/1.1", "-ign_eof", given="a NOOP\n", expect=None)
    assert "OK" not in web.out.rpartition("---")[2], "nothing is said to a browser that was led here"


@pytest.mark.parametrize("service", ["mx", "imaps", "pop3s"])
def test_renegotiation(server: PeerServer, service: str) -> None:
    """A line "R" makes s_client ask for a new handshake; the server says no and the client gives up."""
    where = ["-connect", f"{HOST}:{server.ports[service]}", "-CAfile", str(server.ca), "-tls1_2", *SERVICES[service]]
    client = subprocess.Popen(
        ["openssl", "s_client", *where],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert client.stdin is not None
    assert client.stdout is not None
    greeting = {"mx": "250 LIMITS", "imaps": "* OK", "pop3s": "+OK"}[service]
    while not (line := client.stdout.readline()).startswith(greeting):
        assert line, "no greeting"
    client.stdin.write("R\n")
    client.stdin.flush()
    said, _ = client.communicate(timeout=20)
    assert "RENEGOTIATING" in said
    assert "no renegotiation" in said, said


@pytest.mark.parametrize("service", ["submissions", "imaps"])
def test_a_session_is_resumed(server: PeerServer, service: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """… by the worker that gave the ticket: with two workers, within a few connections."""
    ticket = tmp_path_factory.mktemp("ticket") / "ticket"
    goodbye = "a LOGOUT\r\n" if service == "imaps" else "QUIT\r\n"
    connect(server, service, "-tls1_2", "-sess_out", str(ticket), given=goodbye)
    seen = [connect(server, service, "-tls1_2", "-sess_in", str(ticket), given=goodbye).out for _ in range(12)]
    assert any("Reused, TLSv1.2" in each for each in seen)


def test_a_line_after_tls(server: PeerServer) -> None:
    said = connect(server, "imaps", "-quiet", "-crlf", given="a CAPABILITY\nb LOGOUT\n").out
    assert re.search(r"^\* OK \[CAPABILITY .*AUTH=PLAIN.*\] ", said)
    assert "a OK" in said
    assert "b OK" in said
