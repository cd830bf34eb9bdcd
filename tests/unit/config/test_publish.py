"""`[publish]` and `[zone.DOMAIN]`: what is refused, with its remedy."""

from pathlib import Path

import pytest

from poterne.config.load import ConfigError, parse
from poterne.config.publish import Publish, exchangers

HEAD = '[server]\nhostname = "mail.d.test"\n'


def refused(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse(HEAD + text, Path("poterne.toml"))
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('[publish]\naddresses = ["mail.d.test"]', "publish.addresses"),
        ('[publish]\nexchangers = ["mail.d.test"]', "publish.exchangers"),
        ('[publish]\nexchangers = ["70000 mail.d.test"]', "publish.exchangers"),
        ('[publish]\naddresses = ["0.0.0.0"]', "is not the address of a server"),
        ('[publish]\naddresses = ["ff02::1"]', "is not the address of a server"),
        ('[publish]\nspf = ["-all"]', "publish.spf"),
        ('[publish]\nspf = ["include"]', "is not an SPF mechanism"),
        ('[publish]\nspf = ["exists:"]', "is not an SPF mechanism"),
        ('[publish]\nspf = ["ip4:banana"]', "is not an SPF mechanism"),
        ('[publish]\nspf = ["ip4"]', "is not an SPF mechanism"),
        ('[publish]\nspf = ["ip4:192.0.2.1/99"]', "is not an SPF mechanism"),
        ('[publish]\nspf = ["ip4:192.0.2.0/255.255.255.0"]', "is not an SPF mechanism"),
        ('[publish]\nspf = ["ip6:192.0.2.1"]', "is not an SPF mechanism"),
        ('[publish]\nspf = ["ip4:0.0.0.0/0"]', "a good part of the Internet"),
        ('[publish]\nspf = ["+ip6:2000::/3"]', "a good part of the Internet"),
        ('[zone.d.test]\ndmarc = "none"', 'write [zone."d.test"]'),
        ('[zone.d.co.test]\ndmarc = "none"', 'write [zone."d.co.test"]'),
        ('[zone]\ndmarc = "none"', 'write [zone."example.org"]'),
        ('[publish]\nspf = ["include:a.test -all"]', "publish.spf"),
        ('[publish]\ncaa = ["Let\'s Encrypt"]', "publish.caa"),
        ('[publish]\nupdate_server = "ns.d.test"\nupdate_key = "k"', "publish.update_server"),
        ('[publish]\nupdate_server = "192.0.2.53"', "publish.update_key"),
        ('[zone."Example.org"]\ndmarc = "none"', "zone.Example.org"),
        ('[zone."not a domain"]\ndmarc = "none"', "zone.not a domain"),
        ('[zone."d.test"]\ndmarc = "strict"', "zone.d.test.dmarc"),
        ('[zone."d.test"]\ndmarc_rua = ["nobody"]', "zone.d.test.dmarc_rua"),
        ('[zone."d.test"]\nspf = ["all"]', "zone.d.test.spf"),
        ('[zone."d.test"]\nmta_sts_max_age_s = 60', "zone.d.test.mta_sts_max_age_s"),
        ('[listener.h]\nservice = "https"\nport = 443', "listener.h.tls"),
    ],
)
def test_refused(text: str, what: str) -> None:
    told = refused(text)
    assert what in told
    assert "→" in told


def test_taken() -> None:
    settings = parse(
        HEAD
        + '[publish]\naddresses = ["5.45.100.25"]\nspf = ["include:_spf.a.test", "ip4:192.0.2.1/24", "?ip4:0.0.0.0/0", "ip6:2001:db8::/32", "a", "mx:a.test", "exists:%{i}.a.test"]\n'
        'exchangers = ["10 a.test", "20 b.test"]\ncaa = ["letsencrypt.org; validationmethods=dns-01"]\n'
        '[zone."d.test"]\ndmarc = "reject"\n[listener.h]\nservice = "https"\nport = 443\ntls = "implicit"\n',
        Path("poterne.toml"),
    )
    assert exchangers(settings.publish, "mail.d.test") == ((10, "a.test"), (20, "b.test"))
    assert exchangers(Publish(), "mail.d.test") == ((10, "mail.d.test"),)
