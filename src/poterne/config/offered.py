"""What mail programs may connect to: worked out from the listeners, so that nothing is told that is not open."""

import ipaddress
from typing import Final

from poterne.config.settings import Listener, Settings

SERVICES: Final = {
    ("submission", "implicit"): "submissions",
    ("submission", "starttls"): "submission",
    ("imap", "implicit"): "imaps",
    ("imap", "starttls"): "imap",
    ("pop3", "implicit"): "pop3s",
    ("pop3", "starttls"): "pop3",
}
"""Words of RFC 6186 §3 and RFC 8314 §5.1 by service and TLS of a listener."""
HTTPS: Final = "https"


def ports(settings: Settings) -> dict[str, int]:
    """Port by the words of SERVICES; what is not offered is not in it.

    Listeners on loopback count when there are no others: in an instance that is not open yet. Of several that count, one that
    is open to everybody goes before one with an allow list, and the earlier before the later.
    """
    mail = [one for one in settings.listener.values() if (one.service, one.tls) in SERVICES]
    counting = [one for one in mail if not _is_inside(one)] or mail
    found: dict[str, int] = {}
    for listener in sorted(counting, key=_is_restricted):
        found.setdefault(SERVICES[listener.service, listener.tls], listener.port)
    return found


def web_port(settings: Settings) -> int:
    """Where the settings of mail programs are served over HTTPS; 0: nowhere."""
    if not settings.clients.configure or settings.server.role == "edge":
        return 0
    web = [one for one in settings.listener.values() if one.service == HTTPS]
    counting = [one for one in web if not _is_inside(one)] or web
    return min((one for one in counting), key=_is_restricted).port if counting else 0


def hostname(settings: Settings) -> str:
    """The name that mail programs connect to."""
    return settings.clients.hostname or settings.server.hostname


def _is_restricted(listener: Listener) -> bool:
    return bool(listener.allow or listener.allow_file)


def _is_inside(listener: Listener) -> bool:
    """Only this machine reaches it, and no proxy brings others."""
    return not listener.proxies and all(ipaddress.ip_address(one).is_loopback for one in listener.addresses)
