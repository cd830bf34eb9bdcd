"""LMTP trusts who delivers, so a listener that would let strangers deliver by it is refused when the settings are read."""

from pathlib import Path

import pytest

from poterne.config.load import ConfigError, parse
from poterne.config.settings import Settings

HOST = '[server]\nhostname = "mail.example.org"\n'


def read(*lines: str) -> Settings:
    text = HOST + '[listener.delivery]\nservice = "lmtp"\n' + "".join(f"{line}\n" for line in lines)
    return parse(text, Path("poterne.toml"))


@pytest.mark.parametrize(
    "allow", ['["127.0.0.1"]', '["::1"]', '["10.1.2.3", "192.168.7.0/24"]', '["fd12:3456::/48"]', '["172.16.0.0/12"]']
)
def test_servers_inside_may_deliver(allow: str) -> None:
    listener = read("port = 24", f"allow = {allow}").listener["delivery"]
    assert listener.service == "lmtp"


REFUSED = [
    (("port = 24",), "allow", "everybody may deliver here"),
    (("port = 24", "allow = []"), "allow", "everybody may deliver here"),
    (("port = 25", 'allow = ["127.0.0.1"]'), "port", "must not be spoken there"),
    (("port = 24", 'allow = ["192.0.2.7"]'), "allow", '"192.0.2.7/32" is public or unknown'),
    (("port = 24", 'allow = ["127.0.0.1", "0.0.0.0/0"]'), "allow", '"0.0.0.0/0" is public or unknown'),
    (("port = 24", 'allow = ["2001:db8::1"]'), "allow", "is public or unknown"),
    (("port = 24", 'allow = ["169.254.0.0/16"]'), "allow", "is public or unknown"),
    (("port = 24", 'allow = ["100.64.0.1"]'), "allow", "is public or unknown"),
    (("port = 24", 'allow = ["127.0.0.1"]', 'allow_file = "more"'), "allow_file", "looked at one by one"),
    (("port = 24", 'allow = ["127.0.0.1"]', "require_tls = true"), "require_tls", "the others require TLS always"),
]


@pytest.mark.parametrize(("lines", "key", "what"), REFUSED)
def test_what_would_let_strangers_deliver_is_refused(lines: tuple[str, ...], key: str, what: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(*lines)
    (problem,) = caught.value.problems
    assert problem.key == f"listener.delivery.{key}"
    assert what in problem.what
    assert problem.remedy
