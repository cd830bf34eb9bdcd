"""Settings files: what is right is read, what is wrong is told with file, line, key and remedy, all at once."""

import dataclasses
import tomllib
import typing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poterne.config import render
from poterne.config.fields import Doc, doc_of
from poterne.config.load import ConfigError, Problem, load, parse
from poterne.config.settings import Listener, Settings

PATH = Path("poterne.toml")
ROOT = Path(__file__).resolve().parents[3]
HOST = '[server]\nhostname = "mail.example.org"\n'


def problems(text: str) -> list[Problem]:
    with pytest.raises(ConfigError) as caught:
        parse(text, PATH)
    return caught.value.problems


def attempt(text: str) -> Settings | list[Problem]:
    try:
        return parse(text, PATH)
    except ConfigError as error:
        return error.problems


def only(text: str) -> Problem:
    found = problems(text)
    assert len(found) == 1, found
    return found[0]


def tables() -> list[tuple[str, type]]:
    hints = typing.get_type_hints(Settings)
    found = []
    for field in dataclasses.fields(Settings):
        hint = hints[field.name]
        found.append((field.name, typing.get_args(hint)[1] if typing.get_origin(hint) is dict else hint))
    return found


def settings_of(kind: type) -> list[tuple["dataclasses.Field[object]", Doc, object]]:
    hints = typing.get_type_hints(kind)
    return [(f, doc_of(f), hints[f.name]) for f in dataclasses.fields(kind)]


ALL = [(name, kind, field, doc, hint) for name, kind in tables() for field, doc, hint in settings_of(kind)]


@pytest.mark.parametrize(("table", "kind", "field", "doc", "hint"), ALL, ids=[f"{t}.{f.name}" for t, _, f, _, _ in ALL])
def test_every_setting_has_a_doc_a_default_and_sensible_bounds(
    table: str, kind: type, field: "dataclasses.Field[object]", doc: Doc, hint: object
) -> None:
    assert doc.doc.endswith("."), doc.doc
    assert not doc.why or doc.why.endswith(".")
    assert not doc.risk or doc.risk.endswith(".")
    default = getattr(kind(), field.name)
    if hint is int:
        assert doc.minimum is not None
        assert doc.maximum is not None
        assert doc.minimum < doc.maximum < 2**62
        required = doc.minimum > 0 and default == 0  # there is no default, as for a port
        assert required or doc.minimum <= default <= doc.maximum
    if doc.choices:
        assert default in doc.choices or default == ""


def test_every_setting_is_used() -> None:
    code = "\n".join(p.read_text() for p in (ROOT / "src").rglob("*.py") if "config/settings.py" not in str(p))
    for table, _, field, _, _ in ALL:
        if table in {"listener", "relay", "certificate"} or field.name not in {"address", "key", "data"}:
            assert f".{field.name}" in code, f"{table}.{field.name} changes nothing"


def test_the_reference_page_is_up_to_date() -> None:
    assert (ROOT / "docs" / "config.md").read_text() == render.reference(), "run: make docs"
    for _, _, field, doc, _ in ALL:
        assert f"### `{field.name}`" in render.reference()
        assert doc.doc in render.reference()


def test_a_minimal_file_is_enough_and_means_the_defaults() -> None:
    assert parse(HOST, PATH) == dataclasses.replace(
        Settings(), server=dataclasses.replace(Settings().server, hostname="mail.example.org")
    )


@pytest.mark.parametrize(
    ("text", "line", "key", "what", "remedy"),
    [
        (HOST + "wrokers = 3", 3, "server.wrokers", "unknown setting", 'did you mean "workers"?'),
        (HOST + "zzz = 3", 3, "server.zzz", "unknown setting", "docs/config.md lists every setting"),
        (HOST + "[smpt]\nx = 1", 3, "smpt", "unknown setting", 'did you mean "smtp"?'),
        (HOST + 'workers = "2"', 3, "server.workers", "is a string, not a whole number", "write it as a whole number"),
        (HOST + "workers = 2.0", 3, "server.workers", "is a number with a point", "a whole number"),
        (HOST + "workers = true", 3, "server.workers", "is true or false, not a whole number", "a whole number"),
        (HOST + "workers = 2026-11-22", 3, "server.workers", "of another kind", "a whole number"),
        (HOST + "workers = -1", 3, "server.workers", "-1 is too small", "the least is 0"),
        (HOST + "workers = 1_000_000", 3, "server.workers", "is too large", "the most is 256"),
        (HOST + "data = []", 3, "server.data", "is a list, not a string", "write it as a string"),
        (HOST + 'data = ""', 3, "server.data", "can't be the data folder", 'for example "data"'),
        (HOST + 'data = "/"', 3, "server.data", "can't be the data folder", 'for example "data"'),
        (HOST + 'loop = "trio"', 3, "server.loop", '"trio" is not possible', '"auto", "uvloop", "asyncio"'),
        (HOST + "[imap]\nidle_timeout_s = 60", 4, "imap.idle_timeout_s", "60 is too small", "the least is 1800"),
        (HOST + '[tls]\nminimum_version = "1.1"', 4, "tls.minimum_version", "not possible", '"1.2", "1.3"'),
        (HOST + "tls = 3", 3, "server.tls", "unknown setting", "take the line out"),
        ("smtp = 3\n" + HOST, 1, "smtp", "is not a table", "write [smtp] and its settings below"),
        ("listener = 3\n" + HOST, 1, "listener", "is not a table", "write [listener.NAME]"),
        (HOST + '[metrics]\naddress = "0.0.0.0"', 4, "metrics.address", "not a loopback address", "tunnel"),
        (HOST + '[metrics]\naddress = "here"', 4, "metrics.address", "not a loopback address", "127.0.0.1"),
        (HOST + '[certificate.a]\nchain = "x"', 3, "certificate.a.key", "is missing", "name the PEM file"),
        ('[server]\nhostname = "mail"', 2, "server.hostname", "not a full host name", "with its domain"),
        ('[server]\nhostname = "192.0.2.7"', 2, "server.hostname", "not a full host name", "with its domain"),
        ('[server]\nhostname = "Mail.Example.org"', 2, "server.hostname", "not a full host name", "lower case"),
        ("", 0, "server.hostname", "not a full host name", "mail.example.org"),
        (HOST + "x = ", 3, "syntax", "Invalid value", "correct the TOML syntax"),
    ],
)
def test_what_is_wrong_names_line_key_and_remedy(text: str, line: int, key: str, what: str, remedy: str) -> None:
    found = only(text)
    assert (found.path, found.line, found.key) == (PATH, line, key)
    assert what in found.what
    assert remedy in found.remedy
    assert str(found).startswith(f"poterne.toml:{line}: {key}: " if line else f"poterne.toml: {key}: ")


LISTENER = HOST + "[listener.a]\n"


@pytest.mark.parametrize(
    ("text", "key", "what"),
    [
        (LISTENER + "port = 25", "listener.a.service", "is missing"),
        (LISTENER + 'service = "imap"', "listener.a.port", "is missing"),
        (LISTENER + 'service = "http"\nport = 80', "listener.a.service", '"http" is not possible'),
        (LISTENER + 'service = "imap"\nport = 143\ntls = "none"', "listener.a.tls", '"none" is not possible'),
        (LISTENER + 'service = "imap"\nport = 143\naddresses = []', "listener.a.addresses", "is empty"),
        (LISTENER + 'service = "imap"\nport = 143\naddresses = ["localhost"]', "listener.a.addresses", "not an IP address"),
        (LISTENER + 'service = "imap"\nport = 143\naddresses = "::1"', "listener.a.addresses", "not a list of strings"),
        (LISTENER + 'service = "imap"\nport = 143\naddresses = [1]', "listener.a.addresses", "holds something else"),
        (LISTENER + 'service = "imap"\nport = 143\naddresses = ["ff02::1"]', "listener.a.addresses", "nothing can listen"),
        (LISTENER + 'service = "mx"\nport = 25\ntls = "implicit"', "listener.a.tls", "implicit TLS to an MX"),
        (LISTENER + 'service = "imap"\nport = 143\nrequire_tls = true', "listener.a.require_tls", "is for service mx"),
        (LISTENER + 'service = "imap"\nport = 143\naddresses = ["0.0.0.0", "127.0.0.1"]', "listener.a.addresses", "single ones too"),
        (LISTENER + 'service = "imap"\nport = 143\n[listener.b]\nservice = "pop3"\nport = 143', "listener.b.port", "taken by [listener.a]"),
        (
            LISTENER
            + 'service = "imap"\nport = 143\naddresses = ["::1"]\n[listener.b]\nservice = "pop3"\nport = 143\naddresses = ["0::1"]',
            "listener.b.port",
            "taken by [listener.a]",
        ),
        (
            LISTENER
            + 'service = "imap"\nport = 143\naddresses = ["::"]\n[listener.b]\nservice = "pop3"\nport = 143\naddresses = ["2001:db8::1"]',
            "listener.b.port",
            "taken by [listener.a]",
        ),
        (
            LISTENER + 'service = "imap"\nport = 9100\naddresses = ["0.0.0.0"]\n[metrics]\nport = 9100',
            "listener.a.port",
            "taken by [metrics]",
        ),
    ],
)  # fmt: skip
def test_dangerous_listeners_are_refused(text: str, key: str, what: str) -> None:
    found = [problem for problem in problems(text) if problem.key == key]
    assert found, problems(text)
    assert what in found[0].what
    assert found[0].line > 2


def test_one_port_for_ipv4_and_ipv6_is_fine() -> None:
    parse(
        LISTENER
        + 'service = "imap"\nport = 143\naddresses = ["0.0.0.0"]\n[listener.b]\nservice = "imap"\nport = 143\naddresses = ["::"]',
        PATH,
    )


def test_all_problems_come_at_once_in_the_order_of_lines() -> None:
    found = problems(
        '[server]\nhostname = "x"\nwrokers = 1\n[smtp]\nmax_messages = "many"\n[pop3]\nidle_timeout_s = 1\n'
    )
    assert [problem.line for problem in found] == [2, 3, 5, 7]
    assert len(str(ConfigError(found)).splitlines()) == 8


def test_a_value_of_the_wrong_type_is_told_once() -> None:
    assert len(problems(LISTENER + 'service = "imap"\nport = "143"')) == 1


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist\n    → make an instance with: poterne setup DOMAIN"):
        load(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="can't be read"):
        load(tmp_path)
    (tmp_path / "latin.toml").write_bytes(b"[server]\nhostname = '\xe9'\n")
    with pytest.raises(ConfigError, match="it is UTF-8 text"):
        load(tmp_path / "latin.toml")


# -- lines -------------------------------------------------------------------------------------------------------------


def test_lines_behind_long_values_are_right() -> None:
    text = (
        '[server]  # ] "\nhostname = "mail.example.org" # [smtp]\n'
        '[listener.a]\naddresses = [ # "[\n  "127.0.0.1", # ]\n  "::1",\n]\nservice = """\n[smtp]\nmax_messages = 1\n"""\n'
        'port = 143\nprot = 1\n[ "listener" . b ]\nnope = 2\n'
    )
    found = {problem.key: problem.line for problem in problems(text)}
    assert found["listener.a.prot"] == 13
    assert found["listener.b.nope"] == 15
    assert found["listener.a.service"] == 8


KEY = st.text(st.sampled_from("abc-_1"), min_size=1, max_size=6)
NOISE = st.sampled_from(
    ["", "# [x]", "a = 1", 'b = "[x]" # c', "c = [", "]", '"x",', "d = '''", "'''", 'e = """', '"""', "[t]", "[[u]]", "f.g = {h = 1}"]
)  # fmt: skip


@given(st.lists(st.one_of(NOISE, st.text(max_size=20)), max_size=30))
def test_any_text_is_settings_or_a_config_error(lines: list[str]) -> None:
    read = attempt("\n".join(lines))
    if not isinstance(read, Settings):
        assert read
        assert all(0 <= problem.line <= "\n".join(lines).count("\n") + 1 for problem in read)


VALUE = st.one_of(
    st.integers(-5, 2**40),
    st.booleans(),
    st.text(max_size=10),
    st.floats(allow_nan=False),
    st.lists(st.text(max_size=4), max_size=3),
)


@given(
    st.dictionaries(
        st.sampled_from([name for name, _ in tables()]),
        st.dictionaries(st.sampled_from([f.name for _, _, f, _, _ in ALL] + ["unknown"]), VALUE, max_size=4),
        max_size=4,
    )
)
def test_settings_are_in_their_bounds_or_the_right_line_is_named(raw: dict[str, dict[str, object]]) -> None:
    lines, where = [], {}
    for table, values in raw.items():
        lines.append(f"[{table}]")
        for key, value in values.items():
            written = repr(value) if isinstance(value, float) else render.toml_value(value)
            lines.append(f"{key} = {written}")
            where[f"{table}.{key}"] = len(lines)
    settings = attempt("\n".join(lines))
    if not isinstance(settings, Settings):
        for problem in settings:
            assert problem.remedy
            if problem.key in where:
                assert problem.line == where[problem.key]
        return
    for table, _, field, doc, hint in ALL:
        if table in {"listener", "relay", "certificate"}:
            continue
        value = getattr(getattr(settings, table), field.name)
        assert type(value) is hint
        if hint is int:
            assert doc.minimum is not None
            assert doc.maximum is not None
            assert doc.minimum <= value <= doc.maximum


# -- writing -----------------------------------------------------------------------------------------------------------


@given(st.one_of(st.text(), st.integers(-(2**62), 2**62), st.booleans(), st.lists(st.text())))
def test_rendered_values_are_read_back(value: object) -> None:
    assert tomllib.loads(f"x = {render.toml_value(value)}")["x"] == value


@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8), st.integers(1, 65535), max_size=4
    ),
    st.integers(0, 256),
    st.sampled_from(["en", "fr"]),
)
def test_the_file_of_a_new_instance_is_read_back(ports: dict[str, int], workers: int, language: str) -> None:
    listeners = {
        name: Listener(service="imap", addresses=[f"127.0.1.{number}"], port=port)
        for number, (name, port) in enumerate(ports.items())
    }
    text = render.instance("mail.example.org", listeners, {"server": {"workers": workers, "language": language}}, {})
    settings = parse(text, PATH)
    assert settings.listener == listeners
    assert (settings.server.workers, settings.server.language) == (workers, language)


def test_the_file_of_a_new_instance_shows_every_default_as_a_comment() -> None:
    text = render.instance("mail.example.org", {}, {}, {})
    uncommented = "\n".join(line.removeprefix("# ") if " = " in line else line for line in text.splitlines()[2:])
    assert parse(uncommented, PATH) == parse(text, PATH)
    for table, _, field, _, _ in ALL:
        if table not in {"listener", "relay", "route", "certificate", "zone"}:
            assert f"{field.name} = " in text
