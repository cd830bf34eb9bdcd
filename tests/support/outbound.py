"""What an attempt needs around it: blobs of a real store, queued messages, certificates, hops to a sink."""

import datetime as dt
import ssl
from dataclasses import replace
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from poterne.lab.credentials import MAY_SIGN
from poterne.queue.attempt import attempt
from poterne.queue.connections import Connections
from poterne.queue.outcome import AttemptResult, Hop, HopTimeouts, RecipientOutcome
from poterne.store.blobs.segments import SegmentBlobs
from poterne.values.ids import BlobId, QueueId, QueueMessageId, TraceId
from poterne.values.origin import Origin, OriginKind
from poterne.values.queue import QueuedMessage, QueuedRecipient, QueueState

LETTER = b"From: a@example.org\r\nTo: b@example.net\r\nSubject: hello\r\n\r\n.dots\r\n..and more\r\nbye\r\n"
QUICK = HopTimeouts(connect_s=5, tls_s=2, greeting_s=2, command_s=2, data_s=2, block_s=2, final_s=2, total_s=20)
ORIGIN = Origin(OriginKind.ACCOUNT, "a@example.org")


class Sender:
    """Sends messages out of real blobs, with connections that stay."""

    def __init__(self, folder: Path, connections: Connections | None = None) -> None:
        self.blobs = SegmentBlobs(str(folder))
        self.connections = Connections() if connections is None else connections

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.connections.close()
        self.blobs.close()

    async def message(self, text: bytes = LETTER, **facts: object) -> QueuedMessage:
        made = QueuedMessage(
            id=QueueMessageId(1),
            origin=ORIGIN,
            trace_id=TraceId("t1"),
            reverse_path="a@example.org",
            blob=await self._put(text),
            start=0,
            queued_at=0,
            eight_bit=False,
            smtputf8=False,
            requiretls=False,
            ret="",
            envid="",
        )
        return replace(made, **facts)  # type: ignore[arg-type]

    async def _put(self, text: bytes) -> BlobId:
        writer = self.blobs.writer()
        for at in range(0, len(text), 65_536):
            writer.write(text[at : at + 65_536])
            await writer.drain()
        return await writer.finish()

    async def send(self, hop: Hop, message: QueuedMessage | None = None, *to: str | QueuedRecipient) -> AttemptResult:
        message = message or await self.message()
        recipients = [
            each if isinstance(each, QueuedRecipient) else recipient(message, each, number)
            for number, each in enumerate(to or ("b@example.net",), 1)
        ]
        result = await attempt(hop, message, recipients, self.blobs, self.connections)
        assert set(result.outcomes) == {each.id for each in recipients}
        return result


def recipient(
    message: QueuedMessage, forward_path: str, number: int = 1, *, notify: str = "", orcpt: str = ""
) -> QueuedRecipient:
    return QueuedRecipient(
        QueueId(number), message, forward_path, forward_path.rpartition("@")[2], notify, orcpt,
        QueueState.LEASED, 0, 0, "",
    )  # fmt: skip


def outcomes(result: AttemptResult) -> list[RecipientOutcome]:
    """In the order of the recipients."""
    return [result.outcomes[key] for key in sorted(result.outcomes)]


def only(result: AttemptResult) -> RecipientOutcome:
    (outcome,) = outcomes(result)
    return outcome


def hop(port: int, **terms: object) -> Hop:
    made = Hop("127.0.0.1", port, "sink.test", "client.test", timeouts=QUICK)
    return replace(made, **terms)  # type: ignore[arg-type]


class Authority:
    """A certificate authority of one test run."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])
        self.file = folder / "ca.pem"
        self.file.write_bytes(_pem(self._sign(self._name, self._key, (), ca=True)))

    def context(self, *names: str, days: int = 2) -> ssl.SSLContext:
        """A server's, with a certificate for these names; with negative days it is expired."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a server")])
        files = self._folder / f"{names[0]}{days}.pem"
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        files.write_bytes(_pem(self._sign(subject, key, names, days=days)) + private)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(files)
        return context

    def _sign(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        names: tuple[str, ...],
        *,
        ca: bool = False,
        days: int = 2,
    ) -> x509.Certificate:
        now = dt.datetime.now(dt.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=10))
            .not_valid_after(now + dt.timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        )
        if ca:
            builder = builder.add_extension(MAY_SIGN, critical=True)
        else:  # as strict verifiers want it (RFC 5280 §4.2.1.1), Python 3.13 among them
            of_ca = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
            builder = builder.add_extension(of_ca, critical=False)
        if names:
            alternative = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
            builder = builder.add_extension(alternative, critical=False)
        return builder.sign(self._key, hashes.SHA256())


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
