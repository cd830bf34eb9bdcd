"""No settings file can open the relay: every way to try is refused when it is read, with its own reason and a remedy."""

from pathlib import Path

import pytest

from poterne.config.load import ConfigError, Problem, load, parse
from poterne.values.relay import RelayRule, RelayRuleError, RuleFault

PATH = Path("poterne.toml")
MX = '[server]\nhostname = "mail.example.org"\n[listener.mx]\nservice = "mx"\nport = 25\naddresses = ["203.0.113.25"]\n'
DOMAINS = 'sender_domains = ["example.org"]'
RATE = "per_hour = 100"


def rule(hosts: str, domains: str = DOMAINS, rate: str = RATE, more: str = "") -> str:
    return f"[relay.erp]\nhosts = {hosts}\n{domains}\n{rate}\n{more}\n"


def problems(text: str) -> list[Problem]:
    try:
        parse(text, PATH)
    except ConfigError as error:
        return error.problems
    return []


def test_a_narrow_rule_is_read() -> None:
    settings = parse(
        MX
        + rule(
            '["192.0.2.7", "10.1.2.0/29", "2001:db8:0:ff00::/56", "fd00:1::5"]',
            more='recipient_domains = ["partner.example"]',
        ),
        PATH,
    )
    assert settings.relay["erp"].per_hour == 100
    assert settings.relay["erp"].recipient_domains == ["partner.example"]


ALLTWO = '["' + '", "'.join(f"192.0.{high}.{low}" for high in (2, 3) for low in range(1, 255)) + '"]'

OPEN = [
    (rule("[]"), "hosts", "is empty"),
    (rule('["0.0.0.0/0"]'), "hosts", '"0.0.0.0/0" is every address there is'),
    (rule('["::/0"]'), "hosts", '"::/0" is every address there is'),
    (rule('["::ffff:0.0.0.0/96"]'), "hosts", '"0.0.0.0/0" is every address there is'),
    (rule('["0.0.0.0/1", "128.0.0.0/1"]'), "hosts", '"128.0.0.0/1" is a public network broader than /24'),
    (rule('["192.0.2.0/23"]'), "hosts", '"192.0.2.0/23" is a public network broader than /24'),
    (rule('["2001:db8::/48"]'), "hosts", '"2001:db8::/48" is a public network broader than /56'),
    (rule('["192.0.2.0/24", "192.0.3.0/24"]'), "hosts", 'together: "192.0.2.0/23" is a public network broader than /24'),
    (rule('["192.0.2.0/24", "198.51.100.0/24"]'), "hosts", "holds 512 addresses"),
    (rule(ALLTWO), "hosts", "holds 508 addresses"),
    (rule('["10.0.0.0/8"]'), "hosts", '"10.0.0.0/8" is a whole private network'),
    (rule('["192.168.0.0/16"]'), "hosts", '"192.168.0.0/16" is a whole private network'),
    (rule('["fd00::/48"]'), "hosts", '"fd00::/48" is a whole private network'),
    (rule('["172.17.0.1"]'), "hosts", "the usual gateway of a container network"),
    (rule('["172.18.0.0/24"]'), "hosts", "the usual gateway of a container network"),
    (rule('["127.0.0.1"]'), "hosts", '"127.0.0.1/32" is this machine'),
    (rule('["127.0.0.0/8"]'), "hosts", '"127.0.0.0/8" is this machine'),
    (rule('["::1"]'), "hosts", '"::1/128" is this machine'),
    (rule('["::ffff:127.0.0.1"]'), "hosts", '"127.0.0.1/32" is this machine'),
    (rule('["169.254.1.0/24"]'), "hosts", "plugged into the same link"),
    (rule('["fe80::1"]'), "hosts", "plugged into the same link"),
    (rule('["100.64.3.0/24"]'), "hosts", "customers of a provider"),
    (rule('["64:ff9b::192.0.2.0/120"]'), "hosts", "any stranger may stand behind it"),
    (rule('["2002:c000:0204::1"]'), "hosts", "any stranger may stand behind it"),
    (rule('["0.0.0.0"]'), "hosts", "addresses that no host has"),
    (rule('["224.0.0.0/24"]'), "hosts", "addresses that no host has"),
    (rule('["*"]'), "hosts", '"*" is not a network'),
    (rule('["any"]'), "hosts", "is a name, not a network"),
    (rule('["crm.example.org"]'), "hosts", "is a name, not a network"),
    (rule('["10.0.0.1/8"]'), "hosts", "has bits set behind its prefix"),
    (rule('["10.0.0.0/255.0.0.0"]'), "hosts", "has no prefix length"),
    (rule('["10.0.0.0/0.255.255.255"]'), "hosts", "has no prefix length"),
    (rule('["192.0.2.1-192.0.2.255"]'), "hosts", "is not a network"),
    (rule('["fe80::1%eth0"]'), "hosts", "names an interface"),
    (rule('["192.0.2.7"]', "sender_domains = []"), "sender_domains", "is empty"),
    (rule('["192.0.2.7"]', ""), "sender_domains", "is empty"),
    (rule('["192.0.2.7"]', 'sender_domains = ["*"]'), "sender_domains", '"*" stands for any domain'),
    (rule('["192.0.2.7"]', 'sender_domains = ["*.example.org"]'), "sender_domains", "stands for any domain"),
    (rule('["192.0.2.7"]', 'sender_domains = [".org"]'), "sender_domains", "stands for any domain"),
    (rule('["192.0.2.7"]', 'sender_domains = [""]'), "sender_domains", "stands for any domain"),
    (rule('["192.0.2.7"]', 'sender_domains = ["org"]'), "sender_domains", "is not one organisation's domain"),
    (rule('["192.0.2.7"]', 'sender_domains = ["a@example.org"]'), "sender_domains", "is not a domain"),
    (rule('["192.0.2.7"]', 'sender_domains = ["exa mple.org"]'), "sender_domains", "is not a domain"),
    (rule('["192.0.2.7"]', more='recipient_domains = ["*"]'), "recipient_domains", "stands for any domain"),
    (rule('["192.0.2.7"]', rate=""), "per_hour", "is missing"),
    (rule('["192.0.2.7"]', rate="per_hour = 0"), "per_hour", "0 is too small"),
    (rule('["192.0.2.7"]', rate="per_hour = 1_000_000_000"), "per_hour", "is too large"),
    (rule('["203.0.113.25"]'), "hosts", "an address of this server"),
    (rule('["203.0.113.0/27"]'), "hosts", "an address of this server"),
    (rule('["192.0.2.7"]') + '[relay.b]\nhosts = ["192.0.2.0/28"]\n' + f"{DOMAINS}\n{RATE}\n", "relay.b.hosts", "has a rule already, [relay.erp]"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "key", "what"), OPEN, ids=[f"{n}-{what[:40]}" for n, (_, _, what) in enumerate(OPEN)])
def test_a_rule_that_would_open_the_relay_is_refused(text: str, key: str, what: str) -> None:
    found = problems(MX + text)
    assert found, "it was accepted"
    assert len({problem.key for problem in found}) == 1, found
    problem = found[0]
    assert problem.key == (key if "." in key else f"relay.erp.{key}")
    assert any(what in each.what for each in found), found
    assert all(each.remedy and each.line > MX.count("\n") for each in found)


def test_the_ways_have_reasons_of_their_own() -> None:
    assert len({what for _, _, what in OPEN}) >= 15
    words = {problem.what for text, _, _ in OPEN for problem in problems(MX + text)}
    assert len(words) >= 30


def test_a_relay_host_that_is_a_proxy_is_refused() -> None:
    proxied = MX + 'proxies = ["10.0.0.4", "10.0.0.5"]\n'
    found = problems(proxied + rule('["10.0.0.0/29"]'))
    assert [problem.what for problem in found] == [
        '"10.0.0.0/29" is or holds a proxy of a listener: every stranger comes through it'
    ]
    assert not problems(proxied + rule('["10.0.0.9"]'))


def test_without_a_listener_for_servers_a_rule_means_nothing() -> None:
    found = problems('[server]\nhostname = "mail.example.org"\n' + rule('["192.0.2.7"]'))
    assert [problem.what for problem in found] == ["no listener has service mx"]


@pytest.mark.parametrize(
    "proxies",
    ["0.0.0.0/0", "::/0", "10.0.0.0/8", "192.0.2.0/31", "2001:db8::/64", "127.0.0.0/8", "100.64.0.0/24", "fe80::/64"],
)
def test_nobody_can_claim_to_be_anybody_but_single_proxies(proxies: str) -> None:
    found = problems(MX + f'proxies = ["{proxies}"]\n')
    assert [problem.key for problem in found] == ["listener.mx.proxies"]
    assert "could claim to be anybody" in found[0].what
    assert found[0].line == MX.count("\n") + 1


@pytest.mark.parametrize(
    ("lists", "what"),
    [
        ("", "everybody may open SMTP here"),
        ("allow = []\n", "everybody may open SMTP here"),
        ('deny = ["192.0.2.0/24"]\n', "everybody may open SMTP here"),
        ('allow = ["0.0.0.0/0"]\n', "is a whole public or unknown network"),
        ('allow = ["::/0"]\n', "is a whole public or unknown network"),
        ('allow = ["192.0.2.7", "192.0.0.0/16"]\n', "is a whole public or unknown network"),
    ],
)
def test_an_inside_server_names_who_may_open_smtp(lists: str, what: str) -> None:
    inside = MX.replace("[listener", 'role = "mailbox"\n[listener')
    found = problems(inside + lists)
    assert [problem.key for problem in found] == ["listener.mx.allow"]
    assert what in found[0].what
    assert not problems(inside + 'allow = ["192.0.2.7", "10.0.0.0/8"]\n')


def test_an_edge_has_somebody_behind_it_and_nothing_to_read() -> None:
    edge = MX.replace("[listener", 'role = "edge"\n[listener', 1)
    [found] = problems(edge)
    assert (found.key, "no [route.NAME] is inbound" in found.what) == ("server.role", True)
    route = '[route.inside]\ndomains = ["example.org"]\nhost = "inside.example.org"\ninbound = true\nverify = "call-forward"\n'
    assert problems(edge + route) == []
    reading = '[listener.imaps]\nservice = "imap"\nport = 993\ntls = "implicit"\n'
    [found] = problems(edge + reading + route)
    assert (found.key, "no mailboxes to read" in found.what) == ("listener.imaps.service", True)


def test_the_rule_itself_cannot_be_made() -> None:
    with pytest.raises(RelayRuleError) as caught:
        RelayRule("x", ("0.0.0.0/0",), frozenset(), 0)
    assert {fault.why for fault in caught.value.faults} == {
        RuleFault.EVERYBODY,
        RuleFault.NO_SENDER_DOMAINS,
        RuleFault.NO_RATE,
    }


# -- files of networks -------------------------------------------------------------------------------------------------


def test_files_of_networks_are_added(tmp_path: Path) -> None:
    (tmp_path / "poterne.toml").write_text(
        MX + 'allow = ["192.0.2.7"]\nallow_file = "servers"\ndeny_file = "bad/list"\n'
    )
    (tmp_path / "servers").write_text("# ours\n10.0.0.0/24  # inside\n\n  2001:db8::/56\r\n")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "list").write_text("198.51.100.0/24")
    mx = load(tmp_path / "poterne.toml").listener["mx"]
    assert mx.allow == ["192.0.2.7", "10.0.0.0/24", "2001:db8::/56"]
    assert mx.deny == ["198.51.100.0/24"]


@pytest.mark.parametrize(
    ("content", "line", "what"),
    [
        (b"10.0.0.0/24\n10.0.0.1/24\nhost.example\n", 2, "has bits set behind its prefix"),
        (b"# nobody yet\n\n", 0, "holds no network"),
        (b"\xff\n", 0, "can't be read (it is not UTF-8)"),
        (None, 0, "can't be read (No such file or directory)"),
    ],
)
def test_a_file_that_says_nothing_or_nonsense_is_refused(
    tmp_path: Path, content: bytes | None, line: int, what: str
) -> None:
    """An allow list that came out empty would let everybody in."""
    (tmp_path / "poterne.toml").write_text(MX + 'allow_file = "servers"\n')
    if content is not None:
        (tmp_path / "servers").write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "poterne.toml")
    problem = caught.value.problems[0]
    assert what in problem.what
    assert problem.key == "listener.mx.allow_file"
    assert problem.path == tmp_path / ("servers" if line else "poterne.toml")
    assert problem.line == (line or MX.count("\n") + 1)
    assert len(caught.value.problems) == (2 if line else 1)
