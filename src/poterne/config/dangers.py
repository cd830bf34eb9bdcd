"""What has the right type and is still wrong or unsafe: each danger names its key and its remedy."""

import ipaddress
import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Final

from poterne.config.dkim import of_dkim
from poterne.config.dns import of_dns
from poterne.config.doors import Danger, of_doors
from poterne.config.imap import of_imap
from poterne.config.inbound import of_inbound
from poterne.config.outbound_tls import of_outbound_tls
from poterne.config.publish import of_publish
from poterne.config.reports import of_reports
from poterne.config.routes_dangers import of_routes
from poterne.config.settings import Listener, Settings

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

_LABEL: Final = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_SOCKET_PATH_BYTES: Final = 100
_HOSTNAME: Final = re.compile(rf"(?=.{{4,253}}\Z)({_LABEL}\.)+(?![0-9]+\Z){_LABEL}\Z")


def dangers(settings: Settings) -> Iterator[Danger]:
    """All of them, in the order of the file's tables."""
    if not _HOSTNAME.match(settings.server.hostname):
        yield (
            ("server", "hostname"),
            f'"{settings.server.hostname}" is not a full host name',
            'write the name in lower case with its domain, for example "mail.example.org"',
        )
    if settings.clients.hostname and not _HOSTNAME.match(settings.clients.hostname):
        yield (
            ("clients", "hostname"),
            f'"{settings.clients.hostname}" is not a full host name',
            'write the name in lower case with its domain, for example "mail.example.org"',
        )
    if str(PurePosixPath(settings.server.data)) in {".", "/"}:
        yield (
            ("server", "data"),
            f'"{settings.server.data}" can\'t be the data folder',
            'name a folder that holds nothing else, for example "data"',
        )
    if "\0" in settings.sendmail.socket or len(settings.sendmail.socket.encode()) > _SOCKET_PATH_BYTES:
        yield (
            ("sendmail", "socket"),
            f"can't be the path of a socket: {_SOCKET_PATH_BYTES} octets are the most",
            'write for example "/run/poterne/submit.sock"',
        )
    for name, listener in settings.listener.items():
        yield from _of_listener(("listener", name), listener)
    yield from _shared_ports(settings)
    yield from of_doors(settings)
    yield from of_routes(settings)
    yield from of_dns(settings.dns, settings.reputation)
    yield from of_imap(settings.imap)
    yield from of_inbound(settings.inbound)
    yield from of_outbound_tls(settings.outbound_tls)
    yield from of_dkim(settings.dkim, settings.queue.give_up_s)
    yield from of_publish(settings.publish, settings.zone)
    yield from of_reports(settings.reports)
    for name, certificate in settings.certificate.items():
        for field in ("chain", "key"):
            if not getattr(certificate, field):
                yield ("certificate", name, field), "is missing", "name the PEM file"
    metrics = _address(settings.metrics.address)
    if metrics is None or not metrics.is_loopback:
        yield (
            ("metrics", "address"),
            f'"{settings.metrics.address}" is not a loopback address',
            'use "127.0.0.1" or "::1", and let your monitoring read it through a tunnel or an agent on this machine',
        )


def _address(text: str) -> IpAddress | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _of_listener(key: tuple[str, ...], listener: Listener) -> Iterator[Danger]:
    if not listener.service:
        yield (*key, "service"), "is missing", 'write service = "mx", "submission", "lmtp", "imap", "pop3" or "https"'
    if not listener.port:
        yield (*key, "port"), "is missing", "write the TCP port, for example port = 993"
    if not listener.addresses:
        yield (*key, "addresses"), "is empty", "name an address, or take the whole listener out"
    for text in listener.addresses:
        address = _address(text)
        if address is None:
            yield (
                (*key, "addresses"),
                f'"{text}" is not an IP address',
                'write for example "127.0.0.1", "::1" or "0.0.0.0"',
            )
        elif address.is_multicast or (isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped):
            yield (*key, "addresses"), f'nothing can listen on "{text}"', "name an address of this machine"
    if listener.service == "https" and listener.tls != "implicit":
        yield (*key, "tls"), "HTTPS begins with TLS", 'write tls = "implicit"'
    if listener.service == "mx" and listener.tls == "implicit":
        yield (*key, "tls"), "other servers do not speak implicit TLS to an MX", 'write tls = "starttls"'
    if listener.service not in {"", "mx"} and listener.require_tls:
        yield (*key, "require_tls"), "is for service mx; the others require TLS always", "take the line out"


def _shared_ports(settings: Settings) -> Iterator[Danger]:
    """Two listeners on one port, also by way of an address that stands for all."""
    taken: list[tuple[IpAddress, int, str]] = []
    metrics = _address(settings.metrics.address)
    if metrics is not None and settings.metrics.port:
        taken.append((metrics, settings.metrics.port, "[metrics]"))
    for name, listener in settings.listener.items():
        mine = {a for a in map(_address, listener.addresses) if a is not None}
        for address in sorted(mine, key=str):
            for other, port, whose in taken:
                if port == listener.port and _overlap(address, other):
                    yield (
                        ("listener", name, "port"),
                        f"{address} port {port} is taken by {whose}",
                        "choose another port, or other addresses",
                    )
        wild = {a.version for a in mine if a.is_unspecified}
        if any(a.version in wild and not a.is_unspecified for a in mine):
            yield (
                ("listener", name, "addresses"),
                "names every address and single ones too",
                'keep "0.0.0.0" (or "::"), or the single addresses',
            )
        taken += [(address, listener.port, f"[listener.{name}]") for address in mine]


def _overlap(one: IpAddress, other: IpAddress) -> bool:
    return one.version == other.version and (one == other or one.is_unspecified or other.is_unspecified)
