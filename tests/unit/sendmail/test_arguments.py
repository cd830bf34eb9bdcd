"""The command line of sendmail, as programs write it."""

import pytest

from poterne.sendmail.arguments import Mode, Request, parse
from poterne.sendmail.exits import EX_USAGE, Failure


def asked(*words: str, name: str = "sendmail") -> Request:
    return parse(name, words)


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["a@x.test"], {"recipients": ("a@x.test",)}),
        (["-i", "a@x.test", "b@x.test"], {"recipients": ("a@x.test", "b@x.test"), "dot_ends": False}),
        (["-t"], {"from_header": True}),
        (["-ti"], {"from_header": True, "dot_ends": False}),
        (["-t", "-i"], {"from_header": True, "dot_ends": False}),  # PHP
        (["-t", "-oi"], {"from_header": True, "dot_ends": False}),
        (["-t", "-oi", "-oem", "-odb", "-om"], {"from_header": True, "dot_ends": False}),
        (["-t", "-o", "i"], {"from_header": True, "dot_ends": False}),
        (["-t", "-OIgnoreDots=true"], {"from_header": True, "dot_ends": False}),
        (["-t", "-OIgnoreDots=false", "-O", "DeliveryMode=q"], {"from_header": True, "dot_ends": True}),
        (["-fa@x.test", "b@x.test"], {"sender": "a@x.test", "recipients": ("b@x.test",)}),
        (["-f", "a@x.test", "b@x.test"], {"sender": "a@x.test", "recipients": ("b@x.test",)}),
        (["-tif", "a@x.test"], {"sender": "a@x.test", "from_header": True, "dot_ends": False}),
        (["-tifa@x.test"], {"sender": "a@x.test", "from_header": True, "dot_ends": False}),
        (["-r", "a@x.test", "b@x.test"], {"sender": "a@x.test", "recipients": ("b@x.test",)}),
        (["-f", "", "b@x.test"], {"sender": "", "recipients": ("b@x.test",)}),
        (["-f<>", "b@x.test"], {"sender": "<>", "recipients": ("b@x.test",)}),
        (["-F", "Some Body", "b@x.test"], {"name": "Some Body", "recipients": ("b@x.test",)}),
        # Debian's cron
        (["-i", "-FCronDaemon", "-B8BITMIME", "-oem", "root"], {"name": "CronDaemon", "dot_ends": False, "recipients": ("root",)}),
        (["-bm", "b@x.test"], {"recipients": ("b@x.test",)}),
        (["--", "-b@x.test"], {"recipients": ("-b@x.test",)}),
        (["b@x.test", "-i", "c@x.test"], {"recipients": ("b@x.test", "c@x.test"), "dot_ends": False}),
        (["-v", "-n", "-m", "-U", "-G", "b@x.test"], {"recipients": ("b@x.test",)}),
        (["-d0.1", "-C/etc/x", "-X", "/tmp/x", "-Lx", "-hq", "-p", "x", "-Am", "-em", "b@x.test"], {"recipients": ("b@x.test",)}),
        (["--socket", "/s", "b@x.test"], {"socket": "/s", "recipients": ("b@x.test",)}),
        (["--socket=/s", "-t"], {"socket": "/s", "from_header": True}),
        (["-N", "success,failure", "-R", "hdrs", "-V", "id+1", "b@x.test"],
         {"notify": "SUCCESS,FAILURE", "ret": "HDRS", "envid": "id+1", "recipients": ("b@x.test",)}),
        (["-Nnever", "-Rfull", "b@x.test"], {"notify": "NEVER", "ret": "FULL", "recipients": ("b@x.test",)}),
    ],
)  # fmt: skip
def test_letters(words: list[str], wanted: dict[str, object]) -> None:
    expected = Request(Mode.LETTER)._asdict() | wanted
    assert asked(*words)._asdict() == expected


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ([], "nobody to send to"),
        (["-i"], "nobody to send to"),
        (["-f"], "-f needs a value"),
        (["-tf"], "-f needs a value"),
        (["--socket"], "--socket needs a value"),
        (["-Z", "b@x.test"], "there is no option -Z"),
        (["--wat"], "there is no option --wat"),
        (["-bd"], "poterne serve"),
        (["-bv", "b@x.test"], "not for this program"),
        (["-b", "", "b@x.test"], "not for this program"),
        (["-N", "sometimes", "b@x.test"], "-N takes"),
        (["-R", "half", "b@x.test"], "-R takes"),
    ],
)
def test_wrong_use(words: list[str], text: str) -> None:
    with pytest.raises(Failure, match=text) as failed:
        asked(*words)
    assert failed.value.status == EX_USAGE


@pytest.mark.parametrize(
    ("name", "words", "text"),
    [
        ("sendmail", ["-bp"], "poterne queue list"),
        ("mailq", [], "poterne queue list"),
        ("sendmail", ["-q"], "poterne queue list"),
        ("sendmail", ["-q15m"], "poterne queue list"),
        ("sendmail", ["-bi"], "poterne alias"),
        ("sendmail", ["-I"], "poterne alias"),
        ("newaliases", [], "poterne alias"),
    ],
)
def test_what_is_the_servers_business(name: str, words: list[str], text: str) -> None:
    request = asked(*words, name=name)
    assert request.mode is Mode.NOTHING
    assert text in request.note


def test_smtp_on_standard_input_and_help() -> None:
    assert asked("-bs").mode is Mode.DIALOGUE
    assert asked("-bs", "--socket=/s").socket == "/s"
    assert "Status:" in asked("--help").note
