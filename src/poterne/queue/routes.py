"""`[route.NAME]` as the queue uses it: which route a domain has, and what its server is to be given."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

from poterne.config.route import Route
from poterne.queue.outcome import Login, TlsDemand
from poterne.values.address import domain_name
from poterne.values.secret import Secret

STAR: Final = "*"
LOCAL: Final = "local:"
"""What delivery to mailboxes here is counted by; no domain is called so."""
_MAX_PASSWORD: Final = 4096


@dataclass(frozen=True, slots=True)
class NamedRoute:
    """One route. `folder`: where its files are relative to."""

    name: str
    settings: Route
    folder: Path

    @property
    def destination(self) -> str:
        """What its conversations are counted by."""
        return f"route:{self.name}"

    @property
    def demand(self) -> TlsDemand:
        return TlsDemand(self.settings.tls)

    @property
    def ca_file(self) -> Path | None:
        return self.folder / self.settings.ca if self.settings.ca else None

    def login(self) -> Login | None:
        """Name and password, read now, so that a new password needs no restart. Raises OSError."""
        if not self.settings.user:
            return None
        with (self.folder / self.settings.password_file).open("rb") as file:
            password = file.read(_MAX_PASSWORD).rstrip(b"\r\n")
        return Login(self.settings.user, Secret(password))


@final
class Routes:
    """All routes; the settings have made sure that no domain is in two, and that none is dangerous."""

    __slots__ = ("_below", "_exact", "_star", "named")

    def __init__(self, routes: Mapping[str, Route], folder: Path) -> None:
        self.named: Final = {name: NamedRoute(name, route, folder) for name, route in routes.items()}
        self._exact: Final[dict[str, NamedRoute]] = {}
        self._below: Final[dict[str, NamedRoute]] = {}
        self._star: NamedRoute | None = None
        for route in self.named.values():
            for text in route.settings.domains:
                if text == STAR:
                    self._star = route
                elif text[:1] == ".":
                    self._below[domain_name(text[1:])] = route
                else:
                    self._exact[domain_name(text)] = route

    def find(self, domain: str) -> NamedRoute | None:
        """The route of a domain (lower-case A-labels): its own, that of the nearest domain above it, or the smart host."""
        return self.own(domain) or self._star

    def own(self, domain: str) -> NamedRoute | None:
        """The same without the smart host: somebody wrote down that this domain's mail goes there."""
        found = self._exact.get(domain)
        if found is not None or not self._below:
            return found
        rest = domain
        while (dot := rest.find(".")) >= 0:
            rest = rest[dot + 1 :]
            if (found := self._below.get(rest)) is not None:
                return found
        return None

    def inbound(self, domain: str) -> NamedRoute | None:
        """The route of a domain of ours behind us: mail for it is taken from everybody."""
        found = self.own(domain)
        return found if found is not None and found.settings.inbound else None

    def domains_of(self, destination: str) -> frozenset[str]:
        """The domains that are known to go there; those of a smart host, and below a domain, can't be listed."""
        kind, _, name = destination.partition(":")
        if kind != "route" or name not in self.named:
            return frozenset((destination,))
        return frozenset(text for text in self._exact if self._exact[text].name == name)
