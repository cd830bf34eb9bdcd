"""What mail programs may be told of: nothing that is not open."""

from pathlib import Path

import pytest

from poterne.config import offered
from poterne.config.load import ConfigError, parse
from poterne.config.settings import Settings


def settings(*listeners: str, more: str = "") -> Settings:
    tables = (f'[listener.n{number}]\naddresses = ["192.0.2.1"]\n{text}' for number, text in enumerate(listeners))
    return parse('[server]\nhostname = "mail.d.test"\n' + more + "\n".join(tables), Path("poterne.toml"))


def listener(service: str, port: int, tls: str = "implicit", more: str = "") -> str:
    return f'service = "{service}"\nport = {port}\ntls = "{tls}"\n{more}\n'


def test_by_their_names() -> None:
    found = settings(
        listener("imap", 993),
        listener("pop3", 995),
        listener("submission", 465),
        listener("submission", 587, "starttls"),
        listener("mx", 25, "starttls"),
        listener("https", 443),
    )
    assert offered.ports(found) == {"imaps": 993, "pop3s": 995, "submissions": 465, "submission": 587}
    assert offered.web_port(found) == 443
    assert offered.hostname(found) == "mail.d.test"


def loopback(service: str, port: int, tls: str = "implicit", more: str = "") -> str:
    return f'[listener.l{port}]\naddresses = ["127.0.0.1", "::1"]\n' + listener(service, port, tls, more)


def test_what_only_this_machine_reaches_is_not_told_of_beside_what_others_reach() -> None:
    mixed = settings(
        listener("imap", 993), more=loopback("pop3", 995) + loopback("imap", 1993) + loopback("https", 443)
    )
    assert offered.ports(mixed) == {"imaps": 993}
    assert offered.web_port(mixed) == 443  # there is no other
    closed = settings(more=loopback("pop3", 995) + loopback("imap", 1993))
    assert offered.ports(closed) == {"pop3s": 995, "imaps": 1993}
    proxied = settings(listener("imap", 993), more=loopback("pop3", 995, more='proxies = ["127.0.0.1"]\n'))
    assert offered.ports(proxied) == {"imaps": 993, "pop3s": 995}


def test_what_everybody_may_use_goes_first() -> None:
    both = settings(listener("imap", 1993, more='allow = ["10.0.0.0/8"]'), listener("imap", 993))
    assert offered.ports(both) == {"imaps": 993}
    alone = settings(listener("imap", 1993, more='allow = ["10.0.0.0/8"]'))
    assert offered.ports(alone) == {"imaps": 1993}


def test_another_name() -> None:
    named = settings(listener("https", 8443), more='[clients]\nhostname = "imap.d.test"\n')
    assert offered.hostname(named) == "imap.d.test"
    assert offered.web_port(settings(listener("https", 8443), more="[clients]\nconfigure = false\n")) == 0
    with pytest.raises(ConfigError, match="not a full host name"):
        settings(more='[clients]\nhostname = "imap"\n')
