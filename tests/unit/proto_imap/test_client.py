"""The client's side: any server's responses, in any pieces; what it says itself."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poterne.proto.core import PeerError, Signal
from poterne.proto.imap import client_commands as commands
from poterne.proto.imap.client import ClientCore, ClientEvent, Completed, Greeting, Lost, Untagged
from poterne.proto.imap.client_data import Fetched, fetched, internal_date, listed, name_of, namespaces
from poterne.proto.imap.client_reader import MAX_COLLECTED_BYTES, MAX_LINE_BYTES, STREAMED, BodyData, BodyStart
from poterne.values.secret import Secret

GREETING = b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] hello\r\n"


def events(data: bytes, cuts: tuple[int, ...] = (), core: ClientCore | None = None) -> list[ClientEvent]:
    """All that comes of it; pieces of one message are joined."""
    core = core or ClientCore()
    found: list[ClientEvent] = []
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    for start, end in pairwise(places):
        if start < end:
            core.receive(data[start:end])
        while not isinstance(event := core.next_event(), Signal):
            if isinstance(event, BodyData) and found and isinstance(found[-1], BodyData):
                found[-1] = BodyData(found[-1].data + event.data)
            else:
                found.append(event)
    return found


def data(line: bytes) -> Untagged:
    [_, event] = events(GREETING + line)
    assert isinstance(event, Untagged)
    return event


def test_a_message_comes_in_pieces() -> None:
    found = events(GREETING + b"* 3 FETCH (UID 9 BODY[] {11}\r\nab\r\n* 1 OK\n FLAGS (\\Seen))\r\n")
    assert found[1:3] == [BodyStart(11), BodyData(b"ab\r\n* 1 OK\n")]
    last = found[3]
    assert isinstance(last, Untagged)
    assert fetched(last.values) == Fetched(9, ("\\Seen",), body=STREAMED)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"* 1 FETCH (UID 2 BODY[] NIL)\r\n", Fetched(2)),
        (b'* 1 FETCH (UID 2 BODY[] "a\\"b")\r\n', Fetched(2, body=b'a"b')),
        (b'* 1 fetch (uid 2 body[] "" flags ())\n', Fetched(2, (), body=b"")),
        (b"* 1 FETCH (FLAGS (\\Seen $Junk) UID 7 RFC822.SIZE 12)\r\n", Fetched(7, ("\\Seen", "$Junk"), size=12)),
        (b'* 1 FETCH (UID 7 INTERNALDATE " 1-Jan-2026 00:30:00 +0130")\r\n', Fetched(7, at=1767222000, offset=90)),
        (b"* 1 FETCH (UID 7 X-GM-MSGID 1278455344230334865)\r\n", Fetched(7, google_id="1278455344230334865")),
        (b'* 1 FETCH (UID 7 INTERNALDATE "32-Foo-2026" RFC822.SIZE -1)\r\n', Fetched(7)),
        (b"* 1 FETCH (FLAGS ())\r\n", None),
        (b"* 1 FETCH nonsense\r\n", None),
        (b"* 1 FETCH ((UID 7)\r\n", None),
    ],
)
def test_fetched(line: bytes, expected: Fetched | None) -> None:
    assert fetched(data(line).values) == expected


def test_only_one_message_of_a_response_is_streamed() -> None:
    found = events(GREETING + b"* 1 FETCH (X {3}\r\nabc BODY[] {2}\r\nhi UID 4)\r\n")
    assert found[1:3] == [BodyStart(2), BodyData(b"hi")]
    last = found[3]
    assert isinstance(last, Untagged)
    assert last.values == [["X", b"abc", "BODY[]", STREAMED, "UID", "4"]]


def test_text_that_looks_like_a_literal_is_none() -> None:
    found = events(GREETING + b"* OK see {5}\r\n* BYE bye {9}\r\n")
    assert [event.kind for event in found[1:] if isinstance(event, Untagged)] == ["OK", "BYE"]


@pytest.mark.parametrize(
    ("line", "name", "separator"),
    [
        (b'* LIST (\\HasNoChildren) "." INBOX.Envoy&AOk-s\r\n', "INBOX.Envoyés", "."),
        (b'* LIST () "/" {5}\r\na"b\\c\r\n', 'a"b\\c', "/"),
        (b'* LIST () NIL "a b"\r\n', "a b", ""),
        (b'* LIST () "/" "caf\xc3\xa9"\r\n', "café", "/"),
        (b'* LIST () "/" "caf\xe9"\r\n', "café", "/"),
        (b'* LIST () "/" "a&AC4-b&-"\r\n', "a.b&", "/"),
        (b'* LIST () "/" "a&!!!-b"\r\n', "a&!!!-b", "/"),
        (b'* LIST () "/" "NIL"\r\n', "NIL", "/"),
    ],
)
def test_names(line: bytes, name: str, separator: str) -> None:
    found = listed(data(line).values)
    assert found is not None
    assert (found.name, found.separator) == (name, separator)


def test_no_name() -> None:
    assert listed(data(b"* LIST () NIL NIL\r\n").values) is None
    assert listed(data(b"* LIST\r\n").values) is None


def test_namespaces() -> None:
    found = data(b'* NAMESPACE (("INBOX." ".")) (("user." ".")) (("shared." ".")("#news." "."))\r\n')
    assert namespaces(found.values) == (["INBOX."], ["user.", "shared.", "#news."])
    assert namespaces(data(b"* NAMESPACE NIL NIL NIL\r\n").values) == ([], [])


@given(st.binary(max_size=60))
def test_any_name_is_some_text(wire: bytes) -> None:
    assert isinstance(name_of(wire), str)


@given(st.binary(max_size=40))
def test_any_date_is_one_or_none(text: bytes) -> None:
    internal_date(text)


WHOLE = (
    GREETING
    + b'* LIST (\\Sent) "/" {4}\r\na"{2\r\n* 1 FETCH (UID 1 BODY[] {10}\r\n12345\r\n{9} X)\r\n'
    + b'* 2 FETCH (UID 2 BODY[] "q" FLAGS (a))\r\n* OK [X] text {3}\r\n'
)


@given(st.lists(st.integers(0, 10_000), max_size=12))
def test_any_pieces(cuts: list[int]) -> None:
    assert events(WHOLE, tuple(cuts)) == events(WHOLE)


_PIECES = st.sampled_from(
    [
        b"* ",
        b"1 ",
        b"FETCH ",
        b"(",
        b")",
        b"{3}\r\n",
        b"{999999999999}\r\n",
        b'"',
        b"\\",
        b"\r\n",
        b"\n",
        b"BODY[] ",
        b"UID ",
        b"NIL",
        b"OK ",
        b"[",
        b"]",
        b"+ ",
        b"p1 ",
        b"~{2}\r\n",
        b"LIST ",
        b"\x00",
        b"\xff",
        b"BYE ",
    ]
)


@given(st.lists(st.one_of(_PIECES, st.binary(max_size=5)), max_size=40))
def test_whatever_a_server_says(pieces: list[bytes]) -> None:
    core = ClientCore()
    core.send(commands.plain("NOOP"))
    core.receive(GREETING + b"".join(pieces))
    core.receive(b"")
    with_limit = 0
    try:
        while not isinstance(event := core.next_event(), Signal):
            if isinstance(event, Untagged):
                fetched(event.values)
                listed(event.values)
                namespaces(event.values)
            with_limit += 1
            assert with_limit < 1000
    except PeerError:
        pass


@pytest.mark.parametrize(
    "flood",
    [
        b"* " + b"x" * (MAX_LINE_BYTES + 1),
        b"* " + b"x" * (MAX_LINE_BYTES + 1) + b"\r\n",
        b"* LIST () {%d}\r\n" % (MAX_COLLECTED_BYTES + 1),
        b"* 1 FETCH " + b"(" * 1000 + b"\r\n",
        b"* X" + b" {1}\r\na" * (MAX_COLLECTED_BYTES // 4),
    ],
)
def test_too_much(flood: bytes) -> None:
    with pytest.raises(PeerError):
        events(GREETING + flood)


def said(core: ClientCore) -> bytes:
    return b"".join(core.output())


def greeted() -> ClientCore:
    core = ClientCore()
    assert isinstance(events(GREETING, core=core)[0], Greeting)
    return core


def test_commands_are_pipelined_and_completed_in_any_order() -> None:
    core = greeted()
    core.send(commands.plain("NOOP"))
    core.send(commands.fetch(b"1:3", b"(UID)"))
    assert said(core) == b"p1 NOOP\r\np2 UID FETCH 1:3 (UID)\r\n"
    done = events(b"p2 NO [LIMIT] later\r\np1 OK done\r\n", core=core)
    assert [
        (each.command.name, each.status.word, each.status.code) for each in done if isinstance(each, Completed)
    ] == [
        ("UID", "NO", "LIMIT"),
        ("NOOP", "OK", ""),
    ]


def test_a_literal_waits_for_its_go_ahead() -> None:
    core = greeted()
    core.send(commands.with_strings("LOGIN", b'us"er', "pässword".encode()))
    core.send(commands.plain("NOOP"))
    assert said(core) == b'p1 LOGIN "us\\"er" {9}\r\n'
    events(b"+ go on\r\n", core=core)
    assert said(core) == "pässword\r\n".encode()
    events(b"p1 OK in\r\n", core=core)
    assert said(core) == b"p2 NOOP\r\n"
    assert core.capabilities == frozenset(), "they may be others now"


def test_a_refused_literal_is_not_sent() -> None:
    core = greeted()
    core.send(commands.with_strings("LOGIN", b"u", b"\xff"))
    core.send(commands.plain("NOOP"))
    said(core)
    events(b"p1 NO not you\r\n", core=core)
    assert said(core) == b"p2 NOOP\r\n"
    with pytest.raises(PeerError):
        events(b"+ now\r\n", core=core)


def test_plain_with_and_without_initial_response() -> None:
    response = commands.plain_response(b"admin", Secret("pw"), b"user")
    assert response.reveal() == b"user\0admin\0pw"
    core = greeted()
    core.send(commands.authenticate("PLAIN", response, initial=True))
    assert said(core) == b"p1 AUTHENTICATE PLAIN dXNlcgBhZG1pbgBwdw==\r\n"
    core = greeted()
    core.send(commands.authenticate("PLAIN", response, initial=False))
    assert said(core) == b"p1 AUTHENTICATE PLAIN\r\n"
    events(b"+ \r\n", core=core)
    assert said(core) == b"dXNlcgBhZG1pbgBwdw==\r\n"


def test_no_command_shows_its_secret() -> None:
    assert "hunter2" not in repr(commands.login(b"u", Secret("hunter2")))


def test_starttls_forgets_what_was_said_before() -> None:
    core = greeted()
    core.send(commands.plain("STARTTLS"))
    said(core)
    core.receive(b"p1 OK begin\r\n")
    assert isinstance(core.next_event(), Completed)
    assert core.next_event() is Signal.START_TLS
    core.tls_started()
    assert core.capabilities == frozenset()


def test_what_came_before_tls_is_an_attack() -> None:
    core = greeted()
    core.send(commands.plain("STARTTLS"))
    core.receive(b"p1 OK begin\r\n* OK [CAPABILITY LOGIN] injected\r\n")
    assert isinstance(core.next_event(), Completed)
    with pytest.raises(PeerError):
        core.tls_started()
    assert core.next_event() is Signal.CLOSED


def test_the_last_words_are_kept() -> None:
    core = greeted()
    core.receive(b"* BYE too many connections\r\n")
    core.receive(b"")
    assert isinstance(core.next_event(), Untagged)
    lost = core.next_event()
    assert isinstance(lost, Lost)
    assert lost.status is not None
    assert lost.status.text == "too many connections"


@pytest.mark.parametrize("line", [b"p9 OK who\r\n", b"nonsense\r\n", b"* \r\n", b"+\r\n"])
def test_no_imap(line: bytes) -> None:
    with pytest.raises(PeerError):
        events(GREETING + line)
