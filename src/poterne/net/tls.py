"""TLS contexts and the certificates behind them.

Theory of operation. A *service* (smtp, submission, imap, pop3) has one `ssl.SSLContext` for each certificate, because the
ALPN answer and the session ticket keys belong to the context: a ticket or session of one service means nothing to another.
The default certificate's context takes the handshake; its SNI callback switches to the context of the name asked for.

`Certificates.reload` builds a complete new set and swaps one reference, so that a handshake sees the old set or the new one;
whatever is wrong with the new files, the old set stays.

ALPN (ALPACA, RFC 9325 §3.7): the standard library cannot answer `no_application_protocol`. So we also "support" the foreign
names, after our own: a client that offers only foreign names gets one of them, `foreign_alpn` sees it right after the
handshake, and the connection ends before a byte of it is read.
"""

import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn, final

from cryptography import x509

TLS12_SUITES: Final = (
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-GCM-SHA256:"
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-CHACHA20-POLY1305:ECDHE-RSA-AES128-GCM-SHA256"
)
"""ECDHE with AEAD only (RFC 9325 §4.2). TLS 1.3 suites are all acceptable and keep OpenSSL's order."""

SERVICE_ALPN: Final[Mapping[str, tuple[str, ...]]] = {
    "imap": ("imap",),
    "pop3": ("pop3",),
    "managesieve": ("managesieve",),
    "https": ("http/1.1",),
}
"""Names registered at IANA; SMTP has none."""

TICKETS: Final[Mapping[str, int]] = {"submission": 0}
"""Of TLS 1.3. Scripts and phones that submit a message don't come back with it: making one is a sixth of the handshake."""

FOREIGN_ALPN: Final = (
    *("h2", "http/1.1", "http/1.0", "http/0.9", "h3", "spdy/3.1", "spdy/3", "spdy/2", "spdy/1", "acme-tls/1", "webrtc"),
    *(
        "ftp",
        "imap",
        "pop3",
        "managesieve",
        "xmpp-client",
        "xmpp-server",
        "irc",
        "nntp",
        "sip/2",
        "mqtt",
        "dot",
        "stun.turn",
    ),
    *("smb", "postgresql", "sunrpc", "coap", "co", "nnsp", "tds/8.0", "radius/1.0", "radius/1.1", "ntske/1"),
)
"""Protocols that a client may have been lured away from."""


@final
class ServerSslObject(ssl.SSLObject):
    """Remembers the server name that the client asked for, which the standard library shows only to the SNI callback."""

    sni: str | None = None


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """A PEM chain (leaf first) and its unencrypted PEM key. `names`: server names it answers for; "*.example.org" too."""

    chain: Path
    key: Path
    names: tuple[str, ...] = ()


class CertificateError(Exception):
    """A certificate file cannot be used. `path` says which, the text why; it is for the administrator, never for a peer."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


@final
class Certificates:
    """The server contexts for all services, replaceable while connections run.

    The first of `files` is the default: its names matter only if they are listed. Several entries may share names
    (an ECDSA and an RSA pair): they become one context, and OpenSSL picks what the client can verify.
    Raises CertificateError if a file cannot be used. Reads files: call it where that may block.
    """

    def __init__(self, files: Iterable[CertificateFiles], services: Iterable[str]) -> None:
        self._services = tuple(services)
        self._files = tuple(files)
        self._contexts = _build(self._files, self._services)

    def context(self, service: str) -> ssl.SSLContext:
        """The context for the next handshake of this service; do not keep it, so that a reload takes effect."""
        return self._contexts[service]

    def reload(self, files: Iterable[CertificateFiles] | None = None) -> None:
        """Read the files again (or other ones). New handshakes use them at once, running connections go on.

        Raises CertificateError, and keeps what was in use, if anything is wrong.
        """
        new_files = self._files if files is None else tuple(files)
        contexts = _build(new_files, self._services)
        self._files, self._contexts = new_files, contexts


def _build(files: tuple[CertificateFiles, ...], services: tuple[str, ...]) -> dict[str, ssl.SSLContext]:
    if not files:
        raise ValueError("a TLS server needs at least one certificate")
    groups: dict[frozenset[str], list[CertificateFiles]] = {}
    for entry in files:
        groups.setdefault(frozenset(name.lower() for name in entry.names), []).append(entry)
    return {service: _service_context(service, groups) for service in services}


def _service_context(service: str, groups: Mapping[frozenset[str], list[CertificateFiles]]) -> ssl.SSLContext:
    """The context that takes the handshakes of a service; the first group is the default."""
    by_name: dict[str, ssl.SSLContext] = {}
    default: ssl.SSLContext | None = None
    for names, pairs in groups.items():
        context = server_context(pairs, alpn=SERVICE_ALPN.get(service, ()), tickets=TICKETS.get(service, 1))
        by_name.update(dict.fromkeys(names, context))
        default = default or context
    if default is None:  # `_build` refuses an empty list
        raise ValueError("no certificate")

    def choose(tls: ssl.SSLObject | ssl.SSLSocket, name: str | None, _context: ssl.SSLContext) -> None:
        # A name we do not know gets the default certificate: MX hosts are reached by many names (RFC 7817, RFC 6125 is
        # the client's business), and an alert would make senders fall back to plaintext.
        if name is None:
            return
        if isinstance(tls, ServerSslObject):
            tls.sni = name[:255]
        wanted = name.lower()
        found = by_name.get(wanted) or by_name.get("*." + wanted.partition(".")[2])
        if found is not None and found is not tls.context:
            tls.context = found

    default.sni_callback = choose
    return default


def server_context(
    pairs: Iterable[CertificateFiles], *, alpn: tuple[str, ...] = (), tickets: int = 1
) -> ssl.SSLContext:
    """A server context with our policy: TLS 1.2 and 1.3, ECDHE and AEAD, no compression, no renegotiation.

    `tickets`: how many a client of TLS 1.3 gets to resume with.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _harden(context)
    context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE | ssl.OP_SINGLE_ECDH_USE | ssl.OP_NO_RENEGOTIATION
    context.sslobject_class = ServerSslObject
    # One ticket is enough to resume; each costs the handshake time and memory. Keys are the context's own.
    context.num_tickets = tickets
    context.set_alpn_protocols([*alpn, *(name for name in FOREIGN_ALPN if name not in alpn)])
    for pair in pairs:
        _load(context, pair)
    return context


def _load(context: ssl.SSLContext, pair: CertificateFiles) -> None:
    def no_password() -> NoReturn:
        raise ValueError("the key is encrypted; a server needs one without a password")

    for path in (pair.chain, pair.key):
        try:
            if not path.read_bytes().strip():
                raise CertificateError(path, "the file is empty")
        except OSError as error:
            raise CertificateError(path, error.strerror or "cannot be read") from error
    try:
        context.load_cert_chain(pair.chain, pair.key, password=no_password)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise CertificateError(pair.key, f"the key does not belong to the certificate {pair.chain}") from error
        raise CertificateError(pair.chain, f"not a usable PEM certificate and key ({error.reason})") from error
    except (OSError, ValueError) as error:
        raise CertificateError(pair.key, str(error)) from error


def client_context(*, verify: bool = True, ca_file: Path | None = None, ca_pem: str = "") -> ssl.SSLContext:
    """A client context. `verify`: the chain (against `ca_file`, or what was read of one, else the system's anchors) and the name.

    Not verified is opportunistic TLS (RFC 7435): encrypted against listeners, not against impostors.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _harden(context)
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif ca_file is not None:
        try:
            context.load_verify_locations(cadata=ca_pem) if ca_pem else context.load_verify_locations(ca_file)
        except (OSError, ssl.SSLError) as error:
            raise CertificateError(ca_file, "not a readable PEM file of certificates") from error
    else:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    return context


def _harden(context: ssl.SSLContext) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.maximum_version = ssl.TLSVersion.TLSv1_3
    context.options |= ssl.OP_NO_COMPRESSION
    context.set_ciphers(TLS12_SUITES)


def foreign_alpn(service: str, selected: str | None) -> bool:
    """Whether the negotiated ALPN name shows a client that wants to speak another protocol."""
    return selected is not None and selected not in SERVICE_ALPN.get(service, ())


@final
class ClientContexts:
    """Client contexts, each made once: that takes 20 ms with the system's anchors. For the event loop's thread only.

    Sessions and tickets belong to a context, so that a verified connection never resumes an unverified one.
    """

    def __init__(self) -> None:
        self._made: dict[tuple[bool, Path | None, bool], tuple[int, ssl.SSLContext]] = {}

    def get(self, *, verify: bool, ca_file: Path | None = None, check_name: bool = True) -> ssl.SSLContext:
        """As `client_context`; `check_name` False: only the chain is verified, and the caller compares the names.

        A CA file that changed is read again. Raises CertificateError.
        """
        changed = 0
        if ca_file is not None:
            try:
                changed = ca_file.stat().st_mtime_ns
            except OSError as error:
                raise CertificateError(ca_file, error.strerror or "cannot be read") from error
        key = (verify, ca_file, check_name)
        made = self._made.get(key)
        if made is not None and made[0] == changed:
            return made[1]
        context = client_context(verify=verify, ca_file=ca_file)
        context.hostname_checks_common_name = False  # RFC 9525 §2
        if not check_name:
            context.check_hostname = False
        self._made[key] = (changed, context)
        return context


def certificate_covers(certificate: bytes, names: Iterable[str]) -> bool:
    """Whether a certificate (DER) is for one of these DNS names: subjectAltName only, RFC 9525 §6.3.

    A wildcard is the whole left-most label, stands for one label, and not right under a top-level domain.
    """
    try:
        extensions = x509.load_der_x509_certificate(certificate).extensions
        covered = extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(
            x509.DNSName
        )
    except (ValueError, x509.ExtensionNotFound):
        return False
    patterns = {pattern.lower().removesuffix(".") for pattern in covered}
    for name in names:
        wanted = name.lower().removesuffix(".")
        _, _, parent = wanted.partition(".")
        if wanted in patterns or ("." in parent and f"*.{parent}" in patterns):
            return True
    return False
