"""The lab's instances: made once, kept, moved to other ports, and its sample mail is good mail."""

import datetime as dt
import email
import email.policy
import re
from pathlib import Path

import dns.message
import dns.rcode
import dns.zone

from poterne.config.load import load
from poterne.lab import remotes, spoofer
from poterne.lab.dns import Zones
from poterne.lab.instances import organisations, prepare, zone
from poterne.lab.internet import above
from poterne.lab.letters import samples
from poterne.lab.lines import lines, table, thunderbird, write_mbsyncrc
from poterne.lab.remotes import REMOTES
from poterne.lab.world import World
from poterne.values.event import Event
from poterne.values.ids import TraceId


def test_an_instance_is_made_once_and_follows_the_ports_that_are_asked_for(tmp_path: Path) -> None:
    ours, _ = organisations(tmp_path, 20_000)
    prepare(ours, 12345, 12346)
    assert load(ours.settings).listener["mx"].port == 20_025
    ours.settings.write_text(ours.settings.read_text().replace("# max_recipients = 1000", "max_recipients = 777"))
    moved, _ = organisations(tmp_path, 21_000)
    prepare(moved, 12345, 12346)
    found = load(moved.settings)
    assert {name: listener.port for name, listener in found.listener.items()} == {
        name: listener.port for name, listener in moved.listeners.items()
    }
    assert found.smtp.max_recipients == 777
    before = moved.settings.read_text()
    prepare(moved, 12345, 12346)
    assert moved.settings.read_text() == before


def test_an_older_lab_gets_what_is_missing_and_keeps_what_was_changed(tmp_path: Path) -> None:
    ours, neighbour = organisations(tmp_path, 20_000)
    for org in (ours, neighbour):
        prepare(org, 12345, 12346)
    new = load(ours.settings)
    assert (new.queue.first_retry_s, new.queue.reply_s) == (60, 10)
    assert (ours.folder / new.outbound_tls.ca).resolve() == tmp_path / "internet" / "ca.pem"
    made = ours.settings.read_text()
    old = re.sub(r"(?m)^(ca|policy_port|first_retry_s|reply_s) = .*$", r"# \1 = 1", made)
    ours.settings.write_text(old.replace("# max_recipients = 1000", "max_recipients = 777"))
    prepare(ours, 12345, 12346)
    assert ours.settings.read_text() == made.replace("# max_recipients = 1000", "max_recipients = 777")
    # Without the tables even, as of a time before there was such a table.
    neighbour.settings.write_text(
        re.sub(r"(?ms)^\[(queue|outbound_tls)\]\n.*?(?=^\[)", "", neighbour.settings.read_text())
    )
    prepare(neighbour, 12345, 12347)
    found = load(neighbour.settings)
    assert (found.queue.first_retry_s, found.queue.mx_port) == (60, 20_025)
    assert (found.outbound_tls.ca, found.outbound_tls.policy_port) == ("../internet/ca.pem", 12347)
    # Once it is there, it is the user's.
    text = (
        neighbour.settings.read_text()
        .replace("first_retry_s = 60", "first_retry_s = 90")
        .replace("../internet/", "/my/")
    )
    neighbour.settings.write_text(text)
    prepare(neighbour, 12345, 12348)
    assert neighbour.settings.read_text() == text


def test_a_first_run_that_was_interrupted_is_finished_by_the_next(tmp_path: Path) -> None:
    ours, _ = organisations(tmp_path, 20_000)
    prepare(ours, 12345, 12346)
    (ours.folder / "populated").unlink()
    prepare(ours, 12345, 12346)  # what is there already is no error


def test_the_zones_can_be_read_and_name_our_ports(tmp_path: Path) -> None:
    for org in organisations(tmp_path, 20_000):
        text = dns.zone.from_text(zone(org), origin=f"{org.domain}.").to_text()
        assert f"_imaps._tcp 300 IN SRV 0 1 {org.port('imaps')} mail\n" in text
        assert "@ 300 IN MX 10 mail\n" in text


def test_all_organisations_say_who_may_send_for_them(tmp_path: Path) -> None:
    texts = {org.domain: zone(org) for org in organisations(tmp_path, 20_000)} | spoofer.zones()
    texts |= {
        remote.domain: remotes.zone(remote, 20_025, "127.0.0.1", "3 1 1 " + "5a" * 32) for remote in remotes.REMOTES
    }
    assert len(texts) == len(remotes.REMOTES) + 4
    for domain, text in texts.items():
        found = dns.zone.from_text(text, origin=f"{domain}.")
        for name, begins in (("@", '"v=spf1 '), ("_dmarc", '"v=DMARC1; p=')):
            records = found.get_rdataset(name, "TXT")
            assert records is not None
            assert [one.to_text().startswith(begins) for one in records] == [True], (domain, name)


def test_what_nobody_has_does_not_exist() -> None:
    names = Zones({**above(), **spoofer.zones()})

    def code(name: str) -> dns.rcode.Rcode:
        reply = names.answer(dns.message.make_query(name, "TXT").to_wire())
        assert reply is not None
        return reply.rcode()

    for name in ("nobody-has.test", "a.b.nobody-has.test", "_dmarc.test", "example.org", "org"):
        assert code(name) is dns.rcode.NXDOMAIN, name
    for name in ("impostor.test", "_dmarc.impostor.test", "test", "."):
        assert code(name) is dns.rcode.NOERROR, name


def test_what_became_of_forged_mail_is_one_row_each() -> None:
    forged = spoofer.forgeries("carol@voisin.test", "bob@poterne.test")
    taken = Event(1, "message.accepted", TraceId("abc"), detail={"verdict": "junk", "why": "display-name"})
    answers = [
        "550 5.7.26 " + "word " * 40,
        "250 2.0.0 Accepted as abc",
        "451 4.4.3 later",
        "250 2.0.0 Accepted as x",
        "250",
    ]
    found = list(spoofer.rows(forged, answers, [taken]))
    assert len(found) == len(forged) == len({one.shown for one in forged})
    assert found[0].endswith(" word …")
    assert len(found[0].splitlines()[1]) <= spoofer.TEXT_MOST + 8
    assert found[1] == f"  {forged[1].shown}\n      Junk (display-name)"
    assert found[2].endswith("\n      451 4.4.3 later")


def test_the_samples_are_good_mail() -> None:
    found = list(samples("carol@voisin.test", "alice@poterne.test", dt.datetime(2026, 11, 22, tzinfo=dt.UTC)))
    assert len({message["Message-ID"] for message in found}) == len(found) >= 4
    for message in found:
        wire = message.as_bytes(policy=email.policy.SMTP)
        assert all(len(line) <= 998 for line in wire.split(b"\r\n"))
        assert email.message_from_bytes(wire, policy=email.policy.default)["Subject"] == message["Subject"]


def test_the_lines_name_the_worlds_ports_and_nothing_outside(tmp_path: Path) -> None:
    world = World(tmp_path, 20_000, lambda _: None)
    text = "\n".join(line for _, line in lines(world, write_mbsyncrc(world, tmp_path))) + thunderbird(world)
    ports = {int(number) for number in re.findall(r"\b2\d{4}\b", text)}
    ours = {listener.port for listener in world.ours.listeners.values()}
    assert ours <= ports <= ours | {world.dns_port}
    assert set(re.findall(r"\d+\.\d+\.\d+\.\d+", text)) == {"127.0.0.1", "127.0.0.2", "127.0.0.3"}
    assert (tmp_path / "mbsyncrc").stat().st_mode & 0o077 == 0


def test_the_table_tells_who_is_not_there(tmp_path: Path) -> None:
    world = World(tmp_path, 20_000, lambda _: None)
    world.internet.running.append(REMOTES[0])
    world.internet.missing.update({"a.test": "one port", "b.test": "another", "c.test": "one port"})
    first, *others = table(world)
    assert re.fullmatch(r"  clear\.test +delivered .*", first)
    assert others == ["  not there: a.test, c.test: one port", "  not there: b.test: another"]


def test_an_older_lab_gets_the_listener_of_mail_programs(tmp_path: Path) -> None:
    ours, _ = organisations(tmp_path, 20_000)
    prepare(ours, 12345, 12346)
    made = load(ours.settings)
    ours.settings.write_text(re.sub(r"(?ms)^\[listener\.web\]\n.*?(?=^\[)", "", ours.settings.read_text()))
    assert "web" not in load(ours.settings).listener
    prepare(ours, 12345, 12346)
    assert load(ours.settings) == made
