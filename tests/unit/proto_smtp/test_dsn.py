"""What delivery status notifications need of the envelope (RFC 3461), as it is sent on."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poterne.proto.smtp import command
from poterne.proto.smtp.events import Bad, Notify, RcptTo
from poterne.proto.smtp.params import notify_text, orcpt_text
from poterne.proto.smtp.path import Path
from poterne.proto.smtp.settings import Offer

OFFER = Offer(dsn=True)


def rcpt(params: str, *, smtputf8: bool = False) -> RcptTo:
    event = command.rcpt(f"TO:<a@b.example> {params}".encode(), OFFER, smtputf8=smtputf8, esmtp=True)
    assert isinstance(event, RcptTo), event
    return event


@pytest.mark.parametrize(
    ("given_text", "kept"),
    [
        ("", ""),
        ("NOTIFY=NEVER", "NEVER"),
        ("notify=delay,Success", "SUCCESS,DELAY"),
        ("NOTIFY=FAILURE", "FAILURE"),
        ("NOTIFY=DELAY,FAILURE,SUCCESS", "SUCCESS,FAILURE,DELAY"),
    ],
)
def test_notify_in_one_order(given_text: str, kept: str) -> None:
    assert notify_text(rcpt(given_text)) == kept


@pytest.mark.parametrize(
    ("given_text", "kept"),
    [
        ("", ""),
        ("ORCPT=rfc822;Bob@B.example", "rfc822;Bob@B.example"),
        ("ORCPT=RFC822;a+2Bb+3Dc+20d@e.example", "rfc822;a+2Bb+3Dc+20d@e.example"),
        ("ORCPT=rfc822;+41@b.example", "rfc822;A@b.example"),
        ("ORCPT=x-local;#7", "x-local;#7"),
        (r"ORCPT=utf-8;\x{E9}t\x{E9}@b.example", r"utf-8;\x{E9}t\x{E9}@b.example"),
    ],
)
def test_orcpt_as_it_is_sent_on(given_text: str, kept: str) -> None:
    assert orcpt_text(rcpt(given_text)) == kept


def test_orcpt_in_utf8_leaves_in_ascii() -> None:
    event = rcpt("ORCPT=utf-8;été@b.example", smtputf8=True)
    assert event.orcpt == ("utf-8", "été@b.example")
    assert orcpt_text(event) == r"utf-8;\x{E9}t\x{E9}@b.example"


@pytest.mark.parametrize(
    "params",
    [
        "NOTIFY=", "NOTIFY", "NOTIFY=NEVER,FAILURE", "NOTIFY=FAILURE,FAILURE", "NOTIFY=SOMETIMES", "NOTIFY=,", "NOTIFY=FAILURE,",
        "NOTIFY=NEVER NOTIFY=NEVER", "ORCPT", "ORCPT=rfc822", "ORCPT=;a@b", "ORCPT=rfc822;", "ORCPT=rfc822;a+0Ab", "ORCPT=rfc822;a+0ab",
        "ORCPT=rfc822;a+b", "ORCPT=rfc822;a=b", "ORCPT=rf_c;a", "ORCPT=rfc822;" + "a" * 501, "ORCPT=utf-8;é@b.example",
        r"ORCPT=utf-8;\x{D800}@b.example", r"ORCPT=utf-8;\x{0A}@b.example",
    ],
)  # fmt: skip
def test_what_is_refused(params: str) -> None:
    event = command.rcpt(f"TO:<a@b.example> {params}".encode(), OFFER, smtputf8=False, esmtp=True)
    assert isinstance(event, Bad)
    assert event.reply.code == 501


@pytest.mark.parametrize(
    "params", ["RET=", "RET", "RET=ALL", "ENVID", "ENVID=", "ENVID=a+0Db", "ENVID=" + "a" * 101, "RET=FULL RET=FULL"]
)
def test_what_is_refused_of_mail(params: str) -> None:
    event = command.mail(f"FROM:<a@b.example> {params}".encode(), OFFER, tls=False, esmtp=True)
    assert isinstance(event, Bad)
    assert event.reply.code == 501


def test_nothing_of_it_where_it_is_not_offered() -> None:
    for line in (b"FROM:<a@b.example> RET=FULL", b"FROM:<a@b.example> ENVID=x"):
        event = command.mail(line, Offer(dsn=False), tls=False, esmtp=True)
        assert isinstance(event, Bad)
        assert event.reply.code == 555
    refused = command.rcpt(b"TO:<a@b.example> NOTIFY=NEVER", Offer(dsn=False), smtputf8=False, esmtp=True)
    assert isinstance(refused, Bad)
    assert refused.reply.code == 555


@given(st.sets(st.sampled_from(Notify)), st.sampled_from(["rfc822", "utf-8", "x400"]), st.text(max_size=200))
def test_what_is_sent_on_is_one_parameter_each(notify: set[Notify], kind: str, address: str) -> None:
    event = RcptTo(Path("a@b.example", None), frozenset(notify), (kind, address))
    assert re.fullmatch(r"[A-Z,]*", notify_text(event))
    text = orcpt_text(event)
    assert re.fullmatch(r"[!-<>-~]*", text), "no space, no =, ASCII only"
    assert len(text) <= 507


@given(
    st.text(
        st.characters(min_codepoint=0x20, max_codepoint=0x10FFFF, exclude_categories=("Cc", "Cs", "Zl", "Zp")),
        min_size=1,
        max_size=40,
    )
)
def test_a_round_trip_changes_nothing(address: str) -> None:
    kind = "rfc822" if address.isascii() else "utf-8"
    text = orcpt_text(RcptTo(Path("a@b.example", None), frozenset(), (kind, address)))
    assert rcpt(f"ORCPT={text}").orcpt == (kind, address)
