"""TLS between a link and its transport: ciphertext in, plaintext out, and the other way round. No I/O.

Why not the event loops' own TLS: both keep plaintext that was read before a handshake, each fails in its own way at
half-closed and dying connections, and their buffers cost memory that idle connections hold: asyncio's 256 KiB are resident,
uvloop's 256 KiB become resident when connections come and go (measured: 32 KiB a connection at first, 140 KiB after a few
thousand). Here one code path serves every loop and Python, and what a quiet connection holds is OpenSSL's state alone.

OpenSSL's memory BIOs keep the largest size that they ever had, so bytes go through them in pieces of PIECE_BYTES.
"""

import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, final

from poterne.net.tls import ServerSslObject

RECORD_BYTES: Final = 16 * 1024
"""The most plaintext in a TLS record (RFC 8446 §5.1)."""
PIECE_BYTES: Final = 8 * 1024
"""16 KiB would be 20 % faster in bulk (0.2 µs a KiB), and would cost each connection that ever moved bulk 20 KiB more."""
_FIRST_BYTES: Final = frozenset(b"\x15\x16")
"""What a TLS stream can begin with: an alert or a handshake record (RFC 8446 §5.1). Letters are plaintext."""


class TlsError(Exception):
    """The TLS handshake did not complete; the link is aborted. Both texts are for the log.

    `code`: "timeout", "closed" (the peer went away), "handshake" (garbage, no common version or suite, an alert),
    "certificate" (the server's is not the one expected), "foreign-alpn" (the client asked for another protocol).
    """

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code
        self.detail = detail


class InjectionError(Exception):
    """Plaintext was waiting where a TLS handshake must begin: an attack (RFC 3207 §6). The link is aborted."""


@dataclass(frozen=True, slots=True)
class TlsFacts:
    """What was negotiated, in OpenSSL's words: "TLSv1.3", "TLS_AES_256_GCM_SHA384"; `alpn` and `sni` if there were any.

    `certificate`: the server's (DER), on the client side.
    """

    version: str
    cipher: str
    alpn: str | None
    sni: str | None
    certificate: bytes = b""


class NotTlsError(Exception):
    """The first byte cannot begin a TLS stream."""


@dataclass(frozen=True, slots=True)
class TlsSetup:
    """How a link becomes encrypted; one object is shared by all links of a listener.

    `context` is asked at each handshake, so that reloaded certificates count at once. `service` decides which ALPN names
    are foreign; `server_name` is for clients: SNI, and the name that is verified; `session` is to be resumed.
    """

    context: Callable[[], ssl.SSLContext]
    service: str = ""
    handshake_timeout_s: float = 30.0
    server_name: str | None = None
    session: ssl.SSLSession | None = None


@final
class TlsWire:
    """One TLS connection, server or client side. `established` and `ended` (close_notify came) are facts to look at.

    A server takes `context` when the first byte comes: reloaded certificates count at once, and silence costs nothing.
    """

    __slots__ = (
        "_begun",
        "_context",
        "_incoming",
        "_outgoing",
        "_server_name",
        "_session",
        "_tls",
        "ended",
        "established",
    )

    def __init__(
        self,
        context: Callable[[], ssl.SSLContext],
        *,
        server_name: str | None = None,
        session: ssl.SSLSession | None = None,
    ) -> None:
        self._context = context
        self._server_name = server_name
        self._session = session  # a client's, to be resumed
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls: ssl.SSLObject | None = None
        self._begun = False
        self.established = False
        self.ended = False

    def start_client(self) -> None:
        """Prepare the ClientHello; `output` has it."""
        name = self._server_name
        self._tls = self._context().wrap_bio(
            self._incoming,
            self._outgoing,
            server_side=False,
            # Given octets, `ssl` does not send an ASCII name through its slow IDNA codec.
            server_hostname=name.encode("ascii") if name is not None and name.isascii() else name,
            session=self._session,
        )
        self._session = None
        self._shake(self._tls)

    def receive(self, data: bytes, plaintext: list[bytes]) -> int:
        """Take ciphertext, append what it decrypts to; returns how many bytes that is. `output` may have something to send.

        Raises NotTlsError at the first byte, ssl.SSLError (or ssl.CertificateError) when the handshake or a record fails.
        """
        if not self._begun:
            if data[0] not in _FIRST_BYTES:
                raise NotTlsError
            self._begun = True
        tls = self._tls
        if tls is None:
            tls = self._tls = self._context().wrap_bio(self._incoming, self._outgoing, server_side=True)
        size = 0
        for at in range(0, len(data), PIECE_BYTES):
            self._incoming.write(data if len(data) <= PIECE_BYTES else data[at : at + PIECE_BYTES])
            if self.established or self._shake(tls):
                size += self._decrypt(tls, plaintext)
        return size

    def _shake(self, tls: ssl.SSLObject) -> bool:
        try:
            tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        self.established = True
        return True

    def _decrypt(self, tls: ssl.SSLObject, plaintext: list[bytes]) -> int:
        size = 0
        while not self.ended and (self._incoming.pending or tls.pending()):
            try:
                chunk = tls.read(RECORD_BYTES)
            except ssl.SSLWantReadError:
                break  # part of a record: OpenSSL has taken it
            if chunk:
                plaintext.append(chunk)
                size += len(chunk)
            else:
                self.ended = True
        return size

    def send(self, data: bytes) -> bytes:
        """The ciphertext for `data`, which is not empty, and whatever else was waiting. Only when established."""
        tls = self._tls
        if tls is None or not self.established:
            raise RuntimeError("TLS is not established")
        if len(data) <= PIECE_BYTES:
            tls.write(data)
            return self._outgoing.read()
        pieces: list[bytes] = []
        view = memoryview(data)
        for at in range(0, len(data), PIECE_BYTES):
            tls.write(view[at : at + PIECE_BYTES])
            pieces.append(self._outgoing.read())
        return b"".join(pieces)

    def keep(self, data: bytes) -> None:
        """As `send`, but the ciphertext stays for the next `output`, `send` or `goodbye`. For little."""
        tls = self._tls
        if tls is None or not self.established:
            raise RuntimeError("TLS is not established")
        tls.write(data)

    def output(self) -> bytes:
        """Handshake messages, alerts and the like that want to be sent; often b""."""
        return self._outgoing.read() if self._outgoing.pending else b""

    def goodbye(self) -> bytes:
        """The close_notify, if there is somebody to tell. We do not wait for the peer's (RFC 8446 §6.1)."""
        if self._tls is not None and self.established:
            with suppress(ssl.SSLError):  # normally SSLWantReadError: the peer's own close_notify has not come
                self._tls.unwrap()
        return self.output()

    def facts(self) -> TlsFacts:
        """What was negotiated."""
        tls = self._tls
        if tls is None:
            raise RuntimeError("TLS is not established")
        cipher = tls.cipher()
        sni = tls.sni if isinstance(tls, ServerSslObject) else tls.server_hostname
        certificate = b"" if tls.server_side else tls.getpeercert(binary_form=True) or b""
        return TlsFacts(
            tls.version() or "", cipher[0] if cipher else "", tls.selected_alpn_protocol(), sni, certificate
        )

    def presented(self) -> tuple[bytes, ...]:
        """The certificates that the server presented, DER, its own first; what the standard library can't tell is missing.

        Not verified, and not of a resumed session.
        """
        tls = self._tls
        if tls is None:
            return ()
        # Python 3.13 gives DER; before, the method is the inner object's and gives certificate objects.
        inner: object = tls if hasattr(tls, "get_unverified_chain") else getattr(tls, "_sslobj", None)
        chain: list[object] = getattr(inner, "get_unverified_chain", list)() or []
        found = tuple(der for one in chain if (der := _der(one)))
        if found:
            return found
        certificate = tls.getpeercert(binary_form=True)
        return (certificate,) if certificate else ()

    @property
    def only_tickets(self) -> bool:
        """After a server's handshake: what waits is tickets, which may go with whatever is said next (RFC 8446 §4.6.1)."""
        tls = self._tls
        return tls is not None and tls.server_side and tls.version() == "TLSv1.3"

    @property
    def resumed(self) -> bool:
        """An earlier session went on."""
        return self._tls is not None and bool(self._tls.session_reused)

    @property
    def session(self) -> ssl.SSLSession | None:
        """What a client can resume; in TLS 1.3 only after the server sent something."""
        return None if self._tls is None else self._tls.session


_DER: Final = 2
"""OpenSSL's X509_FILETYPE_ASN1, which `ssl` knows and does not export."""


def _der(certificate: object) -> bytes:
    """b"" for what is no certificate that we know."""
    if isinstance(certificate, bytes):
        return certificate
    octets = getattr(certificate, "public_bytes", lambda _: b"")(_DER)
    return octets if isinstance(octets, bytes) else b""


def tls_error(error: Exception) -> TlsError:
    """The TlsError for what `TlsWire.receive` raised in a handshake."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return TlsError("certificate", error.verify_message)
    if isinstance(error, ssl.SSLError):
        return TlsError("handshake", error.reason or "")
    return TlsError("handshake", "plaintext" if isinstance(error, NotTlsError) else "")
