"""OpenDKIM, OpenDMARC and policyd-spf beside a private Postfix, as Debian 12 ships them: who is inbound mail from?

Postfix asks policyd-spf at RCPT, which puts its result above the message; then two milters: OpenDKIM verifies, OpenDMARC reads
what both said, refuses what the author's domain wants refused, and notes each message for its reports, as Poterne does.
Nothing is traced or logged beyond errors. Libraries find their name server in /etc/resolv.conf: these programs see one of
their own there, in a mount namespace; the machine's stays as it is.
"""

import os
import pwd
import shutil
from dataclasses import dataclass
from pathlib import Path

from bench.sut import DOMAIN, Resolver, UnavailableError

INSTALL = "apt-get install --no-install-recommends opendkim opendmarc postfix-policyd-spf-python publicsuffix unbound"
_OPENDKIM, _OPENDMARC = Path("/usr/sbin/opendkim"), Path("/usr/sbin/opendmarc")
_POLICYD_SPF = Path("/usr/bin/policyd-spf")
_SUFFIXES = Path("/usr/share/publicsuffix/public_suffix_list.dat")
_NOBODYS = "192.0.2.1"  # instead of 127.0.0.1: what comes over loopback is verified like all else
_OPENDKIM_CONFIG = """\
Mode v
Socket local:{folder}/opendkim.sock
PidFile {folder}/opendkim.pid
UserID opendkim
UMask 000
AuthservID mx.{domain}
InternalHosts refile:{nobodys}
Nameservers {address}
Syslog no
"""
_OPENDMARC_CONFIG = """\
Socket local:{folder}/opendmarc.sock
PidFile {folder}/opendmarc.pid
UserID opendmarc
UMask 000
AuthservID mx.{domain}
TrustedAuthservIDs mx.{domain},spf.{domain}
RejectFailures true
IgnoreHosts {folder}/nobodys
HistoryFile {folder}/history
PublicSuffixList {suffixes}
Syslog false
"""
_SPF_CONFIG = """\
debugLevel = 0
TestOnly = 1
HELO_reject = Fail
Mail_From_reject = Fail
PermError_reject = False
TempError_Defer = False
skip_addresses = {nobodys}/32
Header_Type = AR
Authserv_Id = spf.{domain}
"""


@dataclass(frozen=True, slots=True)
class Verifiers:
    """How to run them, and what Postfix is told of them."""

    commands: list[list[str]]
    main: str
    master: str
    recipient_restrictions: str


def write_verifiers(folder: Path, resolver: Resolver) -> Verifiers:
    """Write their configurations. Raises `UnavailableError`."""
    _check_available(resolver)
    folder.mkdir(parents=True)
    runs: list[Path] = []
    for user in ("opendkim", "opendmarc"):
        run, account = folder / user, pwd.getpwnam(user)
        run.mkdir()
        os.chown(run, account.pw_uid, account.pw_gid)
        runs.append(run)
    dkim, dmarc = runs
    names = {"domain": DOMAIN, "address": resolver.address}
    (folder / "opendkim.conf").write_text(_OPENDKIM_CONFIG.format(folder=dkim, nobodys=folder / "nobodys", **names))
    (folder / "nobodys").write_text(f"{_NOBODYS}\n")
    (dmarc / "nobodys").write_text(f"{_NOBODYS}\n")
    (folder / "opendmarc.conf").write_text(_OPENDMARC_CONFIG.format(folder=dmarc, suffixes=_SUFFIXES, **names))
    (folder / "policyd-spf.conf").write_text(_SPF_CONFIG.format(nobodys=_NOBODYS, **names))
    (folder / "resolv.conf").write_text(f"nameserver {resolver.address}\n")
    script = folder / "with-names"
    script.write_text(f'#!/bin/sh\nmount --bind "{folder}/resolv.conf" /etc/resolv.conf && exec "$@"\n')
    script.chmod(0o755)
    return Verifiers(
        commands=[
            inside_names(folder, [str(_OPENDKIM), "-f", "-x", str(folder / "opendkim.conf")]),
            inside_names(folder, [str(_OPENDMARC), "-f", "-c", str(folder / "opendmarc.conf")]),
        ],
        main=f"smtpd_milters = unix:{dkim}/opendkim.sock, unix:{dmarc}/opendmarc.sock\n"
        "milter_default_action = tempfail\npolicyd-spf_time_limit = 3600\n",
        master=f"policyd-spf unix - n n - 0 spawn user=nobody argv={_POLICYD_SPF} {folder}/policyd-spf.conf\n",
        recipient_restrictions=", check_policy_service unix:private/policyd-spf",
    )


def inside_names(folder: Path, command: list[str]) -> list[str]:
    """The command with the resolv.conf of the verifiers in that folder: what it starts sees it too."""
    return ["/usr/bin/unshare", "--mount", "--propagation", "private", str(folder / "with-names"), *command]


def _check_available(resolver: Resolver) -> None:
    missing = [str(each) for each in (_OPENDKIM, _OPENDMARC, _POLICYD_SPF, _SUFFIXES) if not each.exists()]
    if missing:
        raise UnavailableError(f"{', '.join(missing)} not installed; on Debian: {INSTALL}")
    if shutil.which("unshare") is None:
        raise UnavailableError("unshare is missing; on Debian: apt-get install util-linux")
    if resolver.port != 53:
        raise UnavailableError("the names of this run are not at port 53, where resolv.conf looks for them")
