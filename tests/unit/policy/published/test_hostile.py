"""Whatever DNS says, each check ends, after a bounded number of questions, in findings that can be printed."""

import datetime as dt
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poterne.mailauth.mtasts.policy import Mode, Policy
from poterne.policy.published.asking import Check, PolicyFile, Subject
from poterne.policy.published.checks import CHECKS, run
from poterne.policy.published.finding import Finding
from poterne.policy.published.wanted import Facts, Selector, wanted
from poterne.values.dkim import KeyState
from poterne.values.dns import (
    AAAA,
    CAA,
    CNAME,
    MX,
    PTR,
    SRV,
    TLSA,
    TXT,
    A,
    Answer,
    Caa,
    Failure,
    Found,
    Kind,
    Mx,
    NoData,
    NxDomain,
    Srv,
    TempFail,
    Tlsa,
)

QUESTIONS_MOST = 2000
NAMES = st.sampled_from(["d.test", "mail.d.test", "x.test", "", "_dmarc.d.test", "a\\000b.test", "1.2.3.4"])
TEXTS = st.binary(max_size=80) | st.sampled_from(
    [
        b"v=spf1 include:x.test a:x.test mx -all",
        b"v=spf1 redirect=d.test",
        b"v=spf1 include:d.test +all",
        b"v=spf1 exists:%{i}.%{h}.x.test ptr a/0 ?all",
        b"v=spf1 ip4:0.0.0.0/0 ip6::/0",
        b"v=DMARC1; p=reject; rua=mailto:a@x.test,mailto:b@mail.d.test!10m",
        b"v=DMARC1; p=none; psd=y",
        b"v=STSv1; id=1;",
        b"v=TLSRPTv1; rua=mailto:a@b.test",
        b"v=DKIM1; p=",
        b"v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
    ]
)
VALUES: dict[Kind[object], st.SearchStrategy[object]] = {
    A: st.ip_addresses(v=4).map(str),
    AAAA: st.ip_addresses(v=6).map(str),
    CNAME: NAMES,
    PTR: NAMES,
    MX: st.builds(Mx, st.integers(0, 65_535), NAMES),
    TXT: TEXTS,
    TLSA: st.builds(Tlsa, st.integers(0, 5), st.integers(0, 3), st.integers(0, 3), st.binary(max_size=64)),
    SRV: st.builds(Srv, st.integers(0, 9), st.integers(0, 9), st.integers(0, 65_535), NAMES),
    CAA: st.builds(
        Caa, st.integers(0, 255), st.sampled_from(["issue", "issuewild", "iodef", "tbs"]), st.binary(max_size=40)
    ),
}
FACTS = Facts(
    "d.test",
    "mail.d.test",
    ("5.45.100.25", "2a01:4f8::25"),
    ((10, "mail.d.test"),),
    (
        Selector("s._domainkey.d.test", "v=DKIM1; p=", KeyState.ACTIVE),
        Selector("t._domainkey.d.test", "", KeyState.NEXT),
    ),
    (b"\1" * 32,),
    ("letsencrypt.org",),
    dmarc="reject",
    rua=("r@d.test",),
    tls_rua="t@d.test",
    policy=Policy(Mode.ENFORCE, 86_400, ("mail.d.test",)),
    ports={"imaps": 993},
    web_port=443,
)


def answers(kind: Kind[object]) -> st.SearchStrategy[Answer[object]]:
    found = st.builds(
        Found, st.lists(VALUES[kind], min_size=1, max_size=4).map(tuple), st.just("d.test"), st.booleans(), st.just(60)
    )
    failed = st.sampled_from(list(Failure)).map(TempFail)
    return (
        found
        | found
        | st.builds(NoData, st.booleans(), st.just(60))
        | st.builds(NxDomain, st.booleans(), st.just(60))
        | failed
    )


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.id)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_whatever_dns_says(check: Check, data: st.DataObject) -> None:
    file = data.draw(
        st.none() | st.builds(PolicyFile, st.binary(max_size=80), st.sampled_from(["", "status: 404"]), st.booleans())
    )
    facts = data.draw(st.sampled_from([FACTS, replace(FACTS, dkim=(), keys=(), issuers=(), policy=None, addresses=())]))
    subject = Subject(
        facts, wanted(facts), dt.datetime(2026, 11, 23, tzinfo=dt.UTC), ("9.9.9.9", "8.8.8.8"), ((b"no certificate",),), file, ("sub.d.test",), ("*.d.test",)
    )  # fmt: skip
    steps = run(check, subject)
    asked, found = 0, list[Finding]()
    try:
        questions = next(steps)
        while True:
            asked += len(questions)
            assert asked < QUESTIONS_MOST
            questions = steps.send([data.draw(answers(one.kind)) for one in questions])
    except StopIteration as end:
        found = end.value
    assert found
    for one in found:
        assert one.check == check.id
        for text in (one.text, *one.evidence, *one.remove, *(record.line for record in one.fix)):
            assert text.isprintable(), text
