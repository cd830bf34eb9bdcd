"""What `poterne check` says of mail programs: do they find their settings by themselves?"""

from collections.abc import Iterable, Iterator, Sequence

from cryptography import x509

from poterne.cli.check_routes import Line
from poterne.config import offered
from poterne.config.settings import Settings
from poterne.mailauth.dane.verify import covers, dns_names
from poterne.net.tls import CertificateFiles
from poterne.policy.published.wanted import CLIENT_LABELS, HTTPS_PORT


def of_clients(values: Settings, domains: Iterable[str], pairs: Sequence[CertificateFiles]) -> Iterator[Line]:
    """Is there somebody who tells them, on the port where they ask, with a certificate for the names that they ask under?"""
    if values.server.role == "edge" or not values.clients.configure or not offered.ports(values):
        return
    port = offered.web_port(values)
    if not port:
        what = "mail programs must be set up by hand: nobody tells them what to connect to"
        yield "warn", f'{what}. Write a [listener.NAME] with service = "https", port = {HTTPS_PORT}'
        return
    if port != HTTPS_PORT:
        yield "warn", f"mail programs ask for their settings on port {HTTPS_PORT}, and they are served on {port}"
    names = tuple(name for pair in pairs for name in _names(pair))
    for domain in domains:
        missing = [name for name in (f"{label}.{domain}" for label in CLIENT_LABELS) if not covers(names, name)]
        if missing:
            what = f"no certificate is for {' and '.join(missing)}, where mail programs ask for their settings"
            yield "warn", f"{what}: have one issued for it too (poterne dns {domain} shows the records)"


def _names(pair: CertificateFiles) -> tuple[str, ...]:
    try:
        return dns_names(x509.load_pem_x509_certificate(pair.chain.read_bytes()))
    except (OSError, ValueError):
        return ()  # told elsewhere
