"""Routes that would send in the clear, tell a password, relay for everybody or come back to us are refused at load."""

from pathlib import Path

import pytest

from poterne.config.load import ConfigError, parse

BASE = """
[server]
hostname = "mail.example.org"
[listener.mx]
service = "mx"
port = 25
addresses = ["0.0.0.0", "::"]
[listener.inside]
service = "mx"
port = 2525
addresses = ["192.0.2.1", "127.0.0.1"]
"""


def problems(*lines: str, more: str = "") -> dict[str, str]:
    try:
        parse(BASE + "[route.r]\n" + "\n".join(lines) + "\n" + more, Path("poterne.toml"))
    except ConfigError as error:
        return {problem.key: problem.what for problem in error.problems if problem.remedy}
    return {}


GOOD = ('domains = ["example.net"]', 'host = "mail.inside.test"')
STAR = ('domains = ["*"]', 'host = "smart.test"')


@pytest.mark.parametrize(
    "lines",
    [
        GOOD,
        ('domains = ["example.net", ".example.net"]', 'host = "192.168.1.5"', "port = 2525"),
        ('domains = ["a.test"]', 'host = "127.0.0.1"', 'tls = "opportunistic"', "port = 2526"),
        ('domains = ["a.test"]', 'host = "localhost"', "port = 24", "lmtp = true", 'tls = "opportunistic"'),
        (*GOOD, 'tls = "required"'),
        (*GOOD, 'ca = "inside.pem"', "inbound = true", 'verify = "call-forward"'),
        (*GOOD, "inbound = true", 'verify = "list"', 'recipients_file = "people"'),
        (*STAR, "port = 465", "implicit_tls = true", 'user = "us"', 'password_file = "secret"'),
    ],
)
def test_sound_routes(lines: tuple[str, ...]) -> None:
    assert problems(*lines) == {}


@pytest.mark.parametrize(
    ("lines", "key", "what"),
    [
        (('host = "a.test"',), "domains", "is empty"),
        (('domains = ["example..net"]', 'host = "a.test"'), "domains", "is not a domain"),
        (('domains = ["*.example.net"]', 'host = "a.test"'), "domains", "is not a domain"),
        (('domains = ["a.test", "A.test"]', 'host = "b.test"'), "domains", "has a route already"),
        (('domains = ["a.test"]',), "host", "is missing"),
        (('domains = ["a.test"]', 'host = "a.test:25"'), "host", "is no host"),
        (('domains = ["a.test"]', 'host = "[192.0.2.9]"'), "host", "is no host"),
        (('domains = ["a.test"]', 'host = "0.0.0.0"'), "host", "nothing can be sent"),
        (('domains = ["a.test"]', 'host = "mail.example.org"'), "host", "is this server"),
        (('domains = ["a.test"]', 'host = "127.0.0.1"'), "host", "is this server"),
        (('domains = ["a.test"]', 'host = "::1"'), "host", "is this server"),
        (('domains = ["a.test"]', 'host = "localhost"', "port = 2525"), "host", "is this server"),
        (('domains = ["a.test"]', 'host = "192.0.2.1"', "port = 2525"), "host", "is this server"),
        ((*GOOD, 'tls = "opportunistic"'), "tls", "could go in the clear"),
        (('domains = ["a.test"]', 'host = "192.168.1.5"', 'tls = "opportunistic"'), "tls", "could go in the clear"),
        ((*GOOD, 'tls = "none"'), "tls", "is not possible"),
        ((*GOOD, 'tls = "required"', 'user = "u"', 'password_file = "p"'), "user", "would be told to whoever"),
        (
            ('domains = ["a.test"]', 'host = "127.0.0.1"', "port = 26", 'tls = "opportunistic"', 'user = "u"', 'password_file = "p"'),
            "user",
            "would be told to whoever",
        ),
        ((*GOOD, 'user = "u"'), "user", "is there without password_file"),
        ((*GOOD, 'password_file = "p"'), "password_file", "is there without user"),
        ((*GOOD, 'tls = "required"', 'ca = "x.pem"'), "ca", "is not looked at"),
        ((*GOOD, "lmtp = true"), "port", "not spoken on port 25"),
        ((*STAR, "port = 24", "lmtp = true"), "lmtp", "not elsewhere"),
        ((*STAR, "inbound = true"), "inbound", "an open relay"),
        ((*STAR, 'verify = "call-forward"'), "verify", "an open relay"),
        ((*GOOD, 'verify = "call-forward"'), "verify", "takes none"),
        ((*GOOD, "inbound = true", 'verify = "list"'), "recipients_file", "is missing"),
        ((*GOOD, "inbound = true", 'recipients_file = "x"'), "recipients_file", "is not read"),
    ],
)  # fmt: skip
def test_dangerous_routes(lines: tuple[str, ...], key: str, what: str) -> None:
    assert what in problems(*lines)[f"route.r.{key}"]


def test_a_domain_has_one_route() -> None:
    found = problems(*GOOD, more='[route.s]\ndomains = ["Example.NET"]\nhost = "other.test"\n')
    assert "has a route already, [route.r]" in found["route.s.domains"]


def test_source_addresses_are_addresses() -> None:
    found = problems(*GOOD, more='[queue]\nsource_v4 = "2001:db8::1"\nsource_v6 = "mail"\n')
    assert set(found) == {"queue.source_v4", "queue.source_v6"}
