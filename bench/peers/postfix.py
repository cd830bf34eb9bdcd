"""A private Postfix: SMTP with STARTTLS on a loopback port, recipients checked in a map, delivery to LMTP on a Unix socket.

Own configuration, queue and data folders; no chroot; no DNS client, no name service, nothing that leaves the machine.
"""

import os
import pwd
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.certificate import Certificate
from bench.peers.verifiers import Verifiers
from bench.sut import DOMAIN, HOST

BINARY = Path("/usr/sbin/postfix")
_MASTER_BINARY = "/usr/lib/postfix/sbin/master"

_MAIN = """\
compatibility_level = 3.6
queue_directory = {queue}
data_directory = {data}
mail_owner = postfix
setgid_group = postdrop
maillog_file_prefixes = {folder}
maillog_file = {log}
myhostname = mx.{domain}
mydomain = {domain}
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = {host}
inet_protocols = ipv4
smtpd_peername_lookup = no
smtp_dns_support_level = disabled
smtp_host_lookup = native
alias_maps =
alias_database =
local_recipient_maps =
virtual_mailbox_domains = {domain}
virtual_mailbox_maps = hash:{recipients}
virtual_transport = lmtp:unix:{lmtp}
virtual_destination_recipient_limit = 100
lmtp_destination_concurrency_limit = 20
smtpd_relay_restrictions = reject_unauth_destination
smtpd_recipient_restrictions = reject_unauth_destination{restrictions}
smtpd_client_connection_count_limit = 0
smtpd_client_event_limit_exceptions = static:all
in_flow_delay = 0
message_size_limit = 104857600
virtual_mailbox_limit = 0
mailbox_size_limit = 0
smtpd_tls_security_level = may
smtpd_tls_cert_file = {certificate}
smtpd_tls_key_file = {key}
smtpd_tls_session_cache_database =
smtpd_tls_loglevel = 0
smtpd_banner = $myhostname ESMTP
disable_vrfy_command = yes
biff = no
relayhost = [{host}]:{relay_port}
smtp_tls_security_level = encrypt
smtp_tls_connection_reuse = {reuse}
smtpd_sasl_type = dovecot
smtpd_sasl_path = {auth}
smtpd_sasl_security_options = noanonymous
"""
_MASTER = """\
{host}:{port} inet n - n - 100 smtpd
{host}:{submissions} inet n - n - 100 smtpd
  -o smtpd_tls_wrappermode=yes
  -o smtpd_sasl_auth_enable=yes
  -o smtpd_relay_restrictions=permit_sasl_authenticated,reject
  -o smtpd_recipient_restrictions=
  -o mynetworks=
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
tlsproxy unix - - n - 0 tlsproxy
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
local unix - n n - - local
virtual unix - n n - - virtual
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


@dataclass(frozen=True, slots=True)
class PostfixPlan:
    """Where a private Postfix lives and listens."""

    folder: Path
    certificate: Certificate
    port: int
    lmtp_socket: Path
    auth_socket: Path
    """Of Dovecot, which checks the passwords of those who submit."""
    submissions: int
    relay_port: int
    """On this machine; mail for other domains goes there, with STARTTLS."""
    reuse: bool = False
    """TLS connections carry several messages."""
    verifiers: Verifiers | None = None
    """Of who inbound mail is from."""


def write_postfix(plan: PostfixPlan, accounts: Sequence[str]) -> list[str]:
    """Write the configuration and the folders; the command that runs this Postfix in the foreground."""
    owner = pwd.getpwnam("postfix")
    verifiers = plan.verifiers or Verifiers([], "", "", "")
    config, queue, data = plan.folder / "etc", plan.folder / "queue", plan.folder / "data"
    for each in (config, queue, data):
        each.mkdir(parents=True)
    os.chown(data, owner.pw_uid, owner.pw_gid)
    recipients = config / "recipients"
    recipients.write_text("".join(f"{name}@{DOMAIN} {name}\n" for name in accounts), encoding="ascii")
    (config / "main.cf").write_text(
        _MAIN.format(
            queue=queue,
            data=data,
            folder=plan.folder,
            log=plan.folder / "postfix.log",
            domain=DOMAIN,
            host=HOST,
            recipients=recipients,
            lmtp=plan.lmtp_socket,
            auth=plan.auth_socket,
            relay_port=plan.relay_port,
            reuse="yes" if plan.reuse else "no",
            certificate=plan.certificate.certificate,
            key=plan.certificate.key,
            restrictions=verifiers.recipient_restrictions,
        )
        + verifiers.main,
        encoding="ascii",
    )
    (config / "master.cf").write_text(
        _MASTER.format(host=HOST, port=plan.port, submissions=plan.submissions) + verifiers.master, encoding="ascii"
    )
    for command in (
        ["/usr/sbin/postmap", "-c", str(config), f"hash:{recipients}"],
        [str(BINARY), "-c", str(config), "check"],
    ):
        subprocess.run(command, check=True, capture_output=True)
    return [_MASTER_BINARY, "-c", str(config), "-s"]  # what "postfix start-fg" runs, without the shell around it
