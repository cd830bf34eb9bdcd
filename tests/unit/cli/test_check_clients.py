"""What `poterne check` says of mail programs."""

from pathlib import Path

import pytest

from poterne.cli.check_clients import of_clients
from poterne.config.load import parse
from poterne.config.settings import Settings
from poterne.net.tls import CertificateFiles
from tests.support.outbound import Authority


def settings(port: int = 0, more: str = "", service: str = "imap") -> Settings:
    web = f'[listener.web]\nservice = "https"\nport = {port}\ntls = "implicit"\n' if port else ""
    imap = f'[listener.imaps]\nservice = "{service}"\nport = 993\ntls = "implicit"\n'
    return parse(f'[server]\nhostname = "mail.d.test"\n{more}{imap}{web}', Path("poterne.toml"))


@pytest.mark.parametrize(
    ("values", "names", "texts"),
    [
        (settings(), ("mail.d.test",), ["by hand"]),
        (settings(service="submission", more="[clients]\nconfigure = false\n"), ("mail.d.test",), []),
        (settings(443), ("mail.d.test", "autoconfig.d.test", "autodiscover.d.test"), []),
        (settings(443), ("*.d.test",), []),
        (settings(443), ("mail.d.test",), ["autoconfig.d.test and autodiscover.d.test"]),
        (settings(443), ("mail.d.test", "autoconfig.d.test"), ["no certificate is for autodiscover.d.test,"]),
        (settings(8443), ("*.d.test",), ["on port 443, and they are served on 8443"]),
    ],
    ids=range(7),
)
def test_check(tmp_path: Path, values: Settings, names: tuple[str, ...], texts: list[str]) -> None:
    Authority(tmp_path).context("one", *names)
    file = tmp_path / "one2.pem"
    found = list(of_clients(values, ["d.test"], [CertificateFiles(file, file)]))
    assert [outcome for outcome, _ in found] == ["warn"] * len(texts)
    for (_, text), part in zip(found, texts, strict=True):
        assert part in text
    missing = CertificateFiles(tmp_path / "none.pem", file)
    assert len(list(of_clients(values, ["d.test"], [missing]))) >= len(texts)  # told, not raised


def test_an_edge_has_nothing_to_tell() -> None:
    route = '[route.in]\ndomains = ["far.test"]\nhost = "inner.d.test"\ninbound = true\n'
    edge = parse(f'[server]\nhostname = "mail.d.test"\nrole = "edge"\n{route}', Path("poterne.toml"))
    assert list(of_clients(edge, ["d.test"], [])) == []
