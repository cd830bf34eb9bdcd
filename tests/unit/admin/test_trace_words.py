"""Each kind of event in words; nothing that a stranger wrote steers a terminal."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from poterne.admin.trace_words import HELD, KINDS, REASONS, moment, words
from poterne.policy.reasons import Reason
from poterne.values.event import Event
from poterne.values.ids import TraceId
from poterne.values.sending import HoldReason

Detail = dict[str, str | int | bool | None]
AT = 1_790_000_000
ENVELOPE: Detail = {"service": "mx", "from": "x@evil.test", "to": "a@ours.test b@ours.test", "size": 700}
CHECKED: Detail = {"author": "bank.test", "spf": "fail", "dkim": "none", "dmarc": "fail", "arc": "fail", "notes": "np"}
TRY: Detail = {"to": "b@far.test", "host": "mx.far.test", "reply": "450 later", "attempt": 2}


def event(kind: str, detail: Detail | None = None, reason: str = "", peer: str = "") -> Event:
    return Event(AT, kind, TraceId("t"), None, peer, reason, detail or {})


CASES = [
    (
        event("message.accepted", {**ENVELOPE, "local": 2, "queued": 0}, peer="192.0.2.9"),
        (
            "accepted from outside (192.0.2.9): from <x@evil.test> for <a@ours.test>, <b@ours.test>, 700 octets. "
            "So: delivered to 2 mailboxes"
        ),
    ),
    (
        event(
            "message.accepted", {**ENVELOPE, **CHECKED, "local": 1, "queued": 1, "verdict": "junk", "why": "spf-fail"}
        ),
        (
            "accepted from outside: from <x@evil.test> for <a@ours.test>, <b@ours.test>, 700 octets. Checks: author bank.test, "
            "SPF fail, DKIM none, DMARC fail, ARC fail, noted: np. So: to Junk of 1 mailbox and queued for 1 recipient "
            "elsewhere, since SPF says that this server may not send for the domain"
        ),
    ),
    (
        event("message.accepted", {"service": "submission", "from": "a@ours.test", "local": 0, "queued": 3}),
        "accepted from somebody who signed in: from <a@ours.test>. So: queued for 3 recipients elsewhere",
    ),
    (
        event("message.refused", {**ENVELOPE, **CHECKED, "recipients": 9, "code": 550}, "dmarc-reject", "192.0.2.9"),
        (
            "refused with 550 from outside (192.0.2.9): from <x@evil.test> for <a@ours.test>, <b@ours.test> and 7 more, "
            "700 octets. Checks: author bank.test, SPF fail, DKIM none, DMARC fail, ARC fail, noted: np. "
            "Reason: the author is not proven, and the domain asks to reject such mail"
        ),
    ),
    (
        event("message.deferred", {"service": "mx", "from": "", "recipients": 1, "code": 451}, "dns"),
        (
            "put off with 451, the sender tries again from outside: from <> for 1 recipient. "
            "Reason: DNS could not say now what the decision depends on"
        ),
    ),
    (
        event("message.deferred", {**TRY, "due_at": AT}, peer="192.0.2.1"),
        f'attempt 2 for <b@far.test> at mx.far.test [192.0.2.1] has to wait: "450 later"; next attempt {moment(AT)}',
    ),
    (
        event("message.held", {"service": "submission", "from": "a@ours.test", "incident": 4}, "burst"),
        (
            "held from somebody who signed in: from <a@ours.test>: more recipients in a minute than allowed. "
            "Decide: poterne hold show 4, release or purge"
        ),
    ),
    (
        event("message.sent", {**TRY, "reply": "250 ok", "tls": "TLSv1.3", "tls_verified": True}),
        'sent to <b@far.test> at mx.far.test, TLSv1.3, its name verified, attempt 2: "250 ok"',
    ),
    (event("message.delivered", TRY), "delivered to the mailbox of <b@far.test>, attempt 2"),
    (
        event("message.failed", {**TRY, "reply": "550 no", "told": True}),
        'given up for <b@far.test> at mx.far.test, attempt 2: "550 no"; the sender is told',
    ),
    (
        event("message.failed", {**TRY, "host": "", "told": False}),
        'given up for <b@far.test>, attempt 2: "450 later"; nobody may be told',
    ),
    (event("message.junk", {"messages": 1}), "1 message moved to Junk by the user"),
    (event("message.not-junk", {"messages": 2}), "2 messages moved out of Junk by the user"),
    (event("message.removed", {"count": 2}, "pop3", "::1"), "2 messages removed by the user over POP3 (::1)"),
    (
        event("message.expired", {"messages": 3, "folder": "Trash", "days": 30}, "the settings"),
        "3 messages deleted in Trash after 30 days: the settings",
    ),
    (
        event("message.undeleted", {"messages": 1, "folder": "INBOX", "address": "a@ours.test"}, "cli:root"),
        "1 message brought back into INBOX of <a@ours.test>, by cli:root",
    ),
    (
        event("forward.kept", {"origin": "forward:a@ours.test", "to": "a@ours.test"}),
        "a forward failed: the mail is put into the mailbox of <a@ours.test> instead",
    ),
    (
        event(
            "quarantine.released", {"address": "a@ours.test", "number": 7, "reason": "lookalike+known-list"}, "cli:ann"
        ),
        (
            "number 7 of the quarantine is released to the inbox of <a@ours.test> (kept since the author's domain looks like one "
            "served here (but: known-list)), by cli:ann"
        ),
    ),
    (
        event("quarantine.deleted", {"address": "a@ours.test", "number": 7}, "cli:ann"),
        "number 7 of the quarantine is deleted; it was for <a@ours.test>, by cli:ann",
    ),
    (
        event("hold.released", {"incident": 4, "origin": "account:a@ours.test", "recipients": 1}, "cli:ann"),
        "incident 4 of account:a@ours.test is released and goes its way: 1 recipient, by cli:ann",
    ),
    (
        event("hold.purged", {"incident": 4, "origin": "sender:shop", "recipients": 2}, "cli:ann"),
        "incident 4 of sender:shop is deleted: 2 recipients, by cli:ann",
    ),
    (
        event("queue.remove", {"domain": "far.test", "recipients": 2}, "cli:ann"),
        "in the queue 2 recipients removed for good (domain far.test), by cli:ann",
    ),
    (
        event("queue.removed", {"to": "b@far.test", "origin": "account:a@ours.test"}, "cli:ann"),
        "removed from the queue for <b@far.test>, and nobody was told, by cli:ann",
    ),
    (event("queue.retry", {"recipients": 1}), "in the queue 1 recipient to be tried now"),
    (event("queue.hold", {"id": 3, "recipients": 1}), "in the queue 1 recipient put on hold (id 3)"),
    (event("queue.release", {"recipients": 1}), "in the queue 1 recipient released"),
    (event("queue.fail", {"recipients": 1}), "in the queue 1 recipient given up"),
    (event("queue.pause", {"pause": "domain", "name": "far.test"}), "sending is paused: domain far.test"),
    (event("queue.resume", {"pause": "all", "name": ""}), "sending goes on: all"),
    (event("notice.held", {"incident": 4}), "the sender and postmaster are told by mail that incident 4 holds mail"),
    (
        event(
            "mailbox.shared",
            {"name": "INBOX", "owner": "a@ours.test", "address": "b@ours.test", "rights": "lr"},
            "cli:root",
        ),
        "mailbox INBOX of <a@ours.test>: <b@ours.test> may use it (lr), by cli:root",
    ),
    (
        event(
            "mailbox.shared", {"name": "X", "owner": "a@o.test", "address": "anyone", "rights": "", "by": "b@o.test"}
        ),
        "mailbox X of <a@o.test>: all of the domain may not use it any more, by <b@o.test>",
    ),
    (event("notice.quota", {"percent": 93, "threshold": 90}), "the user is told by mail that the mailbox is 93 % full"),
    (
        event("account.password", {"address": "a@ours.test"}, "cli:root"),
        "account password: address a@ours.test, by cli:root",
    ),
    (event("dns.changed"), "dns changed"),
]


@pytest.mark.parametrize(("one", "said"), CASES, ids=[one.kind for one, _ in CASES])
def test_in_words(one: Event, said: str) -> None:
    assert words(one) == said


def test_no_kind_reason_or_limit_without_words() -> None:
    assert {one.kind for one, _ in CASES} >= KINDS
    assert {reason.value for reason in Reason} == REASONS.keys()
    assert set(HoldReason) == HELD.keys()


EVIL = "a\x1b]0;x\x07\r\n\x9b31m\u202e\u2066b\x00"


@pytest.mark.parametrize("kind", [*sorted(KINDS), "other.kind", EVIL])
def test_strangers_texts_are_harmless(kind: str) -> None:
    detail: Detail = dict.fromkeys(
        (*ENVELOPE, *CHECKED, *TRY, "why", "verdict", "origin", "name", "folder", EVIL), EVIL
    )
    for more in (detail, {key: value for key, value in detail.items() if key != "service"}):
        said = words(Event(AT, kind, TraceId("t"), None, EVIL, EVIL, more))
        assert said.isprintable(), ascii(said)


@example("", {}, "")
@given(
    st.sampled_from([*sorted(KINDS), "x", ""]),
    st.dictionaries(
        st.sampled_from([*ENVELOPE, *CHECKED, *TRY, "recipients", "local", "due_at", "incident", "number", "x"]),
        st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text(max_size=500),
    ),
    st.text(max_size=300),
)
def test_always_one_bounded_line(kind: str, detail: Detail, reason: str) -> None:
    said = words(Event(AT, kind, TraceId("t"), None, reason, reason, detail))
    assert said
    assert len(said.splitlines()) <= 1
    assert len(said) < 10_000
