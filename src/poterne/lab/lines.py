"""Ready-to-paste lines: real tools against the lab."""

import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

from poterne.lab import spoofer
from poterne.lab.instances import ADDRESS, PASSWORD, WEB
from poterne.lab.world import World


def write_mbsyncrc(world: World, folder: Path) -> Path:
    """A configuration that lets mbsync copy alice's mailbox both ways into a Maildir beside it."""
    ours = world.ours
    maildir = folder / "maildir-alice"
    maildir.mkdir(exist_ok=True)
    path = folder / "mbsyncrc"
    path.write_text(
        f"IMAPAccount lab\nHost localhost\nPort {ours.port('imaps')}\nUser {ours.accounts[0]}\nPass {PASSWORD}\n"
        f"SSLType IMAPS\nCertificateFile {ours.ca}\n\n"
        f"IMAPStore there\nAccount lab\n\n"
        f"MaildirStore here\nPath {maildir}/\nInbox {maildir}/INBOX\nSubFolders Verbatim\n\n"
        f"Channel all\nFar :there:\nNear :here:\nPatterns *\nCreate Both\nExpunge Both\nSyncState *\n"
    )
    path.chmod(0o600)
    return path


def lines(world: World, mbsyncrc: Path) -> Iterator[tuple[str, str]]:
    """(what it shows, the command) for each tool."""
    ours, neighbour = world.ours, world.neighbour
    alice, bob, carol = ours.accounts[0], ours.accounts[1], neighbour.accounts[0]
    ca = shlex.quote(str(ours.ca))
    mx = f"{ADDRESS}:{ours.port('mx')}"
    stranger = f"swaks --server {mx} --local-interface {neighbour.address} -tls --helo {neighbour.hostname}"
    forger = f"swaks --server {mx} --local-interface {spoofer.ADDRESS} -tls --helo {spoofer.HELO}"
    as_alice = f"swaks --server {ADDRESS}:{ours.port('submission')} -tls -au {alice} -ap {PASSWORD} --from {alice}"
    yield (
        "a stranger's server brings mail (MX, STARTTLS)",
        f"{stranger} --from {carol} --to {alice}",
    )
    yield (
        "… and is refused as a relay",
        f"{stranger} --from {carol} --to someone@elsewhere.test",
    )
    yield (
        "a user submits (587, STARTTLS; 465 is --tlsc -p " + str(ours.port("submissions")) + ")",
        f"{as_alice} --to {bob}",
    )
    yield (
        "… and writes to the neighbour: DNS says where, the queue brings it (to nobody@ it comes back as a notice)",
        f"{as_alice} --to {carol}",
    )
    yield (
        "… and to a stranger of the table above",
        f"{as_alice} --to anyone@clear.test",
    )
    yield (
        "a spoofer writes in the neighbour's name, and is refused (in bob's, too)",
        f"{forger} --from x@{spoofer.DOMAIN} --header 'From: {carol}' --to {alice}",
    )
    yield (
        "how mail would travel, with DANE and MTA-STS",
        f"{_poterne()} -c {shlex.quote(str(ours.settings))} queue route-test anyone@dane.test",
    )
    yield ("what waits to go out, and why", f"{_poterne()} -c {shlex.quote(str(ours.settings))} queue list")
    yield (
        "what is kept apart until somebody decides",
        f"{_poterne()} -c {shlex.quote(str(ours.settings))} quarantine list",
    )
    yield (
        "read it over IMAP",
        f"curl -s --cacert {ca} --user {bob}:{PASSWORD} 'imaps://localhost:{ours.port('imaps')}/INBOX;MAILINDEX=1'",
    )
    yield (
        "read it over POP3",
        f"curl -s --cacert {ca} --user {bob}:{PASSWORD} pop3s://localhost:{ours.port('pop3s')}/1",
    )
    yield (
        "speak IMAP by hand (then: a login " + alice + " " + PASSWORD + ")",
        f"openssl s_client -quiet -crlf -CAfile {ca} -connect {ADDRESS}:{ours.port('imaps')}",
    )
    host, web = f"autoconfig.{ours.domain}", ours.port(WEB)
    yield (
        "what mail programs are told",
        f"curl -s --cacert {ca} --resolve {host}:{web}:{ADDRESS} 'https://{host}:{web}/mail/config-v1.1.xml?emailaddress={alice}'",
    )
    yield (
        "… and people",
        f"{_poterne()} -c {shlex.quote(str(ours.settings))} client {alice}",
    )
    yield "copy the mailbox both ways, again and again", f"mbsync -c {shlex.quote(str(mbsyncrc))} -a"
    yield (
        "ask the lab's name server",
        f"dig @{ADDRESS} -p {world.dns_port} {ours.domain} MX",
    )


def _poterne() -> str:
    """The command that this is, also where it is not on the PATH."""
    beside = Path(sys.executable).with_name("poterne")
    return shlex.quote(str(beside)) if beside.exists() else f"{shlex.quote(sys.executable)} -m poterne"


def table(world: World) -> Iterator[str]:
    """The remote organisations, one line each."""
    internet = world.internet
    for remote in internet.running:
        yield f"  {remote.domain:<16} {remote.expected}"
    reasons: dict[str, list[str]] = {}
    for domain, reason in internet.missing.items():
        reasons.setdefault(reason, []).append(domain)
    for reason, domains in reasons.items():
        yield f"  not there: {', '.join(domains)}: {reason}"


def thunderbird(world: World) -> str:
    """What to type into Thunderbird (or any other program)."""
    ours = world.ours
    imaps, pop3s, submissions, submission = (
        ours.port(name) for name in ("imaps", "pop3s", "submissions", "submission")
    )
    return (
        f"Thunderbird: account {ours.accounts[0]} (or {ours.accounts[1]}), password {PASSWORD}\n"
        f"    incoming IMAP localhost port {imaps} SSL/TLS, or POP3 port {pop3s} SSL/TLS\n"
        f"    outgoing SMTP localhost port {submissions} SSL/TLS, or port {submission} STARTTLS; normal password\n"
        f"    trust the lab's CA first: Settings, Certificates, Authorities, Import: {ours.ca}"
    )
