"""What `poterne check` says of an edge, of routes and of relay rules."""

from pathlib import Path

import pytest

from poterne.cli.check_routes import Line, of_domains, of_passage
from poterne.config.route import Route
from poterne.config.settings import Relay, Server, Settings


def said(folder: Path, role: str = "edge", relay: dict[str, Relay] | None = None, **routes: Route) -> list[Line]:
    return list(of_passage(Settings(server=Server(role=role), route=routes, relay=relay or {}), folder))


def asked(**more: object) -> Route:
    made: dict[str, object] = {"verify": "call-forward", "inbound": True, **more}
    return Route(["example.org", ".example.org"], "mail.inside.example.org", **made)  # type: ignore[arg-type]


def test_the_roles(tmp_path: Path) -> None:
    assert said(tmp_path, "all-in-one") == []
    assert said(tmp_path, "mailbox") == [("ok", "role mailbox: SMTP is opened by listed servers only")]
    rule = Relay(["192.0.2.7"], ["example.org"], ["a.test"], 100)
    alone, _ = said(tmp_path, inside=asked())
    assert alone == (
        "ok",
        "role edge: no mailboxes here; mail comes in by route inside; nobody may send out through it without signing in",
    )
    both, _, relay = said(tmp_path, inside=asked(), relay={"inner": rule})
    assert both[1].endswith("mail comes in by route inside; mail goes out for relay inner")
    assert relay == (
        "warn",
        "relay inner: 192.0.2.7 from example.org to a.test, without signing in; 100 recipients an hour for each worker",
    )


def test_recipients_that_are_not_checked_are_warned_of(tmp_path: Path) -> None:
    _, (outcome, text) = said(tmp_path, inside=asked(verify="none"))
    assert outcome == "warn"
    assert "mail from anybody for example.org, .example.org goes to mail.inside.example.org port 25" in text
    assert "RECIPIENTS ARE NOT CHECKED" in text


def test_recipients_that_are_checked(tmp_path: Path) -> None:
    _, line = said(tmp_path, inside=asked())
    where = "mail from anybody for example.org, .example.org goes to mail.inside.example.org port 25, over verified TLS"
    assert line == ("ok", f"route inside: {where}; recipients: it is asked, and its answers are kept for 24 hours")
    (tmp_path / "people").write_text("# people\nann@example.org\n@all.example.org\n")
    _, (outcome, text) = said(tmp_path, inside=asked(verify="list", recipients_file="people"))
    assert (outcome, text.rpartition("; ")[2]) == ("ok", "recipients: those of people (2 entries)")
    _, (_, text) = said(tmp_path, inside=asked(verify="list", recipients_file="gone"))
    assert text.endswith("(No such file or directory)")


@pytest.mark.parametrize(("tls", "outcome"), [("verified", "ok"), ("required", "warn"), ("opportunistic", "ok")])
def test_a_certificate_that_nobody_looks_at_is_warned_of(tmp_path: Path, tls: str, outcome: str) -> None:
    assert [line[0] for line in said(tmp_path, "all-in-one", out=Route(["*"], "smart.test", tls=tls))] == [outcome]
    assert [line[0] for line in said(tmp_path, "all-in-one", inside=asked(tls=tls))] == [outcome]


def test_where_mail_that_leaves_goes(tmp_path: Path) -> None:
    lines = said(
        tmp_path,
        "all-in-one",
        smart=Route(["*"], "smart.test", 587),
        box=Route(["list.test"], "127.0.0.1", 24, "opportunistic", lmtp=True),
    )
    assert lines == [
        ("ok", "route smart: all other mail that may leave goes to smart.test port 587, over verified TLS"),
        (
            "ok",
            "route box: mail for list.test that may leave goes to 127.0.0.1 port 24 (LMTP), over TLS if it is offered",
        ),
    ]


def test_files_that_a_route_needs_are_looked_for(tmp_path: Path) -> None:
    """Without them its mail waits, and nothing says so before somebody looks at the queue."""
    smart = Route(["*"], "smart.test", ca="ca.pem", user="us", password_file="secret")
    _, *missing = said(tmp_path, "all-in-one", smart=smart)
    assert [(outcome, text.partition(": ")[2].split()[0]) for outcome, text in missing] == [
        ("fail", "ca"), ("fail", "password_file"),
    ]  # fmt: skip
    assert "No such file or directory" in missing[0][1]
    for name in ("ca.pem", "secret"):
        (tmp_path / name).write_text("x")
    assert len(said(tmp_path, "all-in-one", smart=smart)) == 1


def test_a_domain_in_two_places() -> None:
    settings = Settings(route={"inside": asked(), "out": Route(["example.net"], "a.test")})
    assert list(of_domains(settings, ["other.test", "example.net", "sub.example.org"])) == []
    ((outcome, text),) = of_domains(settings, ["example.org"])
    assert outcome == "fail"
    assert "its mail stays here: poterne domain remove example.org" in text
