"""Postfix + Dovecot as one system under test: mail in over Postfix, read through Dovecot."""

import os
from collections.abc import Sequence
from pathlib import Path

from bench.certificate import make_certificate
from bench.peers import dovecot, postfix, verifiers
from bench.sut import DOMAIN, Endpoints, Resolver, Tree, UnavailableError, free_ports

_INSTALL = "apt-get install --no-install-recommends postfix dovecot-imapd dovecot-pop3d dovecot-lmtpd openssl"


class PostfixDovecot:
    """`storage` is maildir, mdbox or sdbox.

    `model` is tuned, default (Debian's process model), or plain (IMAP and POP3 without TLS:
    not a fair peer of a server that always encrypts, but what shows how much of a figure is TLS), or reuse (tuned, and
    Postfix uses TLS connections to other servers for several messages, which it does not by default).
    """

    def __init__(self, storage: str, model: str = "tuned") -> None:
        self._storage = storage
        self._model = model
        self._tree: Tree | None = None

    def fresh(self) -> "PostfixDovecot":
        """Another one of the same kind, not started."""
        return PostfixDovecot(self._storage, self._model)

    @property
    def name(self) -> str:
        suffix = "" if self._model == "tuned" else f"-{self._model}"
        return f"postfix-dovecot-{self._storage}{suffix}"

    @property
    def root(self) -> int:
        assert self._tree is not None, "not started"
        return self._tree.root

    def start(
        self,
        folder: Path,
        accounts: Sequence[str],
        resolver: Resolver | None,
        *,
        indexed: bool = False,  # noqa: ARG002 - Dovecot has none without a plugin and its server
    ) -> Endpoints:
        _check_available()
        smtp, imaps, pop3s, submissions, sink = free_ports(5)
        certificate = make_certificate(folder, f"mx.{DOMAIN}")
        socket_path, auth_path = folder / "lmtp", folder / "auth"
        verifying = None if resolver is None else verifiers.write_verifiers(folder / "verifiers", resolver)
        commands = [
            dovecot.write_dovecot(
                dovecot.DovecotPlan(
                    folder=folder / "dovecot",
                    certificate=certificate,
                    imaps=imaps,
                    pop3s=pop3s,
                    lmtp_socket=socket_path,
                    auth_socket=auth_path,
                    storage=self._storage,
                    default_model=self._model == "default",
                    tls=self._model != "plain",
                ),
                accounts,
            ),
            postfix.write_postfix(
                postfix.PostfixPlan(
                    folder / "postfix",
                    certificate,
                    smtp,
                    socket_path,
                    auth_socket=auth_path,
                    submissions=submissions,
                    relay_port=sink,
                    reuse=self._model == "reuse",
                    verifiers=verifying,
                ),
                accounts,
            ),
        ]
        if verifying is not None:
            commands = [commands[0], *verifying.commands, verifiers.inside_names(folder / "verifiers", commands[1])]
        self._tree = Tree(commands, folder)
        self._tree.wait_for(smtp, (imaps, pop3s, submissions))
        return Endpoints(
            smtp=smtp, imaps=imaps, pop3s=pop3s, tls=self._model != "plain", submissions=submissions, sink=sink
        )

    def stop(self) -> None:
        if self._tree is not None:
            self._tree.stop()


def _check_available() -> None:
    missing = [str(binary) for binary in (postfix.BINARY, dovecot.BINARY) if not binary.exists()]
    if missing:
        raise UnavailableError(f"{', '.join(missing)} not installed; on Debian: {_INSTALL}")
    if os.geteuid() != 0:
        raise UnavailableError(
            "Postfix and Dovecot change users at start, so this comparison needs root (a container will do)"
        )
