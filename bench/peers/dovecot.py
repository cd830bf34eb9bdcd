"""A private Dovecot: LMTP on a Unix socket, IMAP and POP3 inside TLS, accounts in a file with a hash that costs nothing.

Tuned as a careful administrator would: processes are kept and reused (`service_count`), authentication is cached, the login
processes hold many connections each. Durability stays Dovecot's default (`mail_fsync = optimized`: deliveries and APPEND
are synced, flag changes are not). `default_model` leaves the process model as Debian ships it.
"""

import grp
import os
import pwd
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.certificate import Certificate
from bench.sut import HOST, PASSWORD

BINARY = Path("/usr/sbin/dovecot")
MAIL_LOCATION = {
    "maildir": "maildir:~/Maildir",
    "mdbox": "mdbox:~/mdbox",
    "sdbox": "sdbox:~/sdbox",
}
_MAIL_USER = "mail"  # Debian's own account for mail files

_CONFIG = """\
base_dir = {run}
state_dir = {state}
instance_name = bench
protocols = imap pop3 lmtp
listen = {host}
log_path = {log}
info_log_path = /dev/null
login_log_format_elements =
default_internal_user = dovecot
default_login_user = dovenull
default_vsz_limit = 2G
default_process_limit = 4000
default_client_limit = 8000
ssl = {ssl}
ssl_cert = <{certificate}
ssl_key = <{key}
ssl_min_protocol = TLSv1.2
disable_plaintext_auth = no
auth_mechanisms = plain
auth_username_format = %Ln
auth_cache_size = 10M
auth_cache_ttl = 1 hour
auth_failure_delay = 0
mail_location = {mail_location}
mail_fsync = optimized
first_valid_uid = 1
first_valid_gid = 1
mail_max_userip_connections = 5000
maildir_very_dirty_syncs = yes
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%Ln {accounts}
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={homes}/%Ln allow_all_users=yes
}}
namespace inbox {{
  inbox = yes
  separator = /
}}
service stats {{
  unix_listener stats-writer {{
    mode = 0666
  }}
}}
service lmtp {{
  unix_listener {lmtp} {{
    user = postfix
    group = postfix
    mode = 0660
  }}
{lmtp_model}}}
service auth {{
  unix_listener {auth} {{
    user = postfix
    group = postfix
    mode = 0660
  }}
}}
service imap-login {{
  inet_listener imap {{
    port = 0
  }}
  inet_listener imaps {{
    port = {imaps}
    ssl = {implicit_tls}
  }}
{login_model}}}
service pop3-login {{
  inet_listener pop3 {{
    port = 0
  }}
  inet_listener pop3s {{
    port = {pop3s}
    ssl = {implicit_tls}
  }}
{login_model}}}
service imap {{
  process_limit = 4000
{imap_model}}}
service pop3 {{
{imap_model}}}
"""
_TUNED_LOGIN = "  service_count = 0\n  process_min_avail = 2\n  client_limit = 4000\n"
_TUNED_IMAP = "  service_count = 10000\n  process_min_avail = 2\n"
_TUNED_LMTP = "  service_count = 0\n  process_min_avail = 4\n"


@dataclass(frozen=True, slots=True)
class DovecotPlan:
    """Where a private Dovecot lives and listens."""

    folder: Path
    certificate: Certificate
    imaps: int
    pop3s: int
    lmtp_socket: Path
    auth_socket: Path
    storage: str  # a key of MAIL_LOCATION
    default_model: bool = False
    tls: bool = True


def write_dovecot(plan: DovecotPlan, accounts: Sequence[str]) -> list[str]:
    """Write the configuration and the folders; the command that runs this Dovecot in the foreground."""
    user = pwd.getpwnam(_MAIL_USER)
    gid = grp.getgrnam(_MAIL_USER).gr_gid
    homes, state = plan.folder / "homes", plan.folder / "state"
    for each in (plan.folder, state):
        each.mkdir(parents=True, exist_ok=True)
    homes.mkdir()
    os.chown(homes, user.pw_uid, gid)
    passwords = plan.folder / "accounts"
    passwords.write_text("".join(f"{name}:{PASSWORD}\n" for name in accounts), encoding="ascii")
    tuned = not plan.default_model
    config = plan.folder / "dovecot.conf"
    config.write_text(
        _CONFIG.format(
            run=plan.folder / "run",
            state=state,
            host=HOST,
            log=plan.folder / "dovecot.log",
            certificate=plan.certificate.certificate,
            key=plan.certificate.key,
            mail_location=MAIL_LOCATION[plan.storage],
            accounts=passwords,
            uid=user.pw_uid,
            gid=gid,
            homes=homes,
            lmtp=plan.lmtp_socket,
            auth=plan.auth_socket,
            imaps=plan.imaps,
            pop3s=plan.pop3s,
            ssl="required" if plan.tls else "no",
            implicit_tls="yes" if plan.tls else "no",
            login_model=_TUNED_LOGIN if tuned else "",
            imap_model=_TUNED_IMAP if tuned else "",
            lmtp_model=_TUNED_LMTP if tuned else "",
        ),
        encoding="ascii",
    )
    return [str(BINARY), "-F", "-c", str(config)]
