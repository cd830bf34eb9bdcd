"""Who gets mail for an address: asked at every RCPT, so answers are remembered until the directory changes."""

from typing import Final

from poterne.store.sqlite.connection import Rows
from poterne.store.sqlite.reader import Reader
from poterne.values.directory import Route, RouteKind
from poterne.values.ids import AccountId

_MOST_REMEMBERED: Final = 10_000
_NOT_LOCAL: Final = Route(RouteKind.NOT_LOCAL)
_UNKNOWN_USER: Final = Route(RouteKind.UNKNOWN_USER)
_POSTMASTER: Final = "postmaster"


def route(rows: Rows, local_part: str, domain: str) -> Route:
    """Account or alias, then without the `+tag`, then for postmaster the domain's first account (RFC 5321 §4.5.1)."""
    local_part, domain = local_part.lower(), domain.lower()
    if not domain and local_part == _POSTMASTER:
        found = rows.all("SELECT account_id FROM account ORDER BY account_id LIMIT 1")
        return _accounts(found) if found else _UNKNOWN_USER
    if rows.one("SELECT 1 FROM domain WHERE name = ?", (domain,)) is None:
        return _NOT_LOCAL
    plain, plus, _ = local_part.partition("+")
    for name in (local_part, plain) if plus and plain else (local_part,):
        found = rows.all(
            "SELECT account_id FROM account WHERE domain = ?1 AND local_part = ?2"
            " UNION ALL SELECT account_id FROM alias_target WHERE domain = ?1 AND local_part = ?2",
            (domain, name),
        )
        if found:
            return _accounts(found)
    if plain == _POSTMASTER:
        found = rows.all("SELECT account_id FROM account WHERE domain = ? ORDER BY account_id LIMIT 1", (domain,))
        if found:
            return _accounts(found)
    return _UNKNOWN_USER


def _accounts(found: list[tuple[int]]) -> Route:
    return Route(RouteKind.ACCOUNTS, tuple(AccountId(account_id) for (account_id,) in found))


class Routes:
    """Remembers answers; a change by any process makes it forget them."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._version = -1
        self._serial = -1
        self._known: dict[tuple[str, str], Route] = {}

    def route(self, local_part: str, domain: str) -> Route:
        version = self._reader.version()
        if version != self._version:
            serial: int = self._reader.all("SELECT value FROM meta WHERE key = 'directory_serial'")[0][0]
            if serial != self._serial:
                self._known.clear()
                self._serial = serial
            self._version = version
        key = (local_part, domain)
        found = self._known.get(key)
        if found is None:
            found = route(self._reader, local_part, domain)
            if found.kind is RouteKind.ACCOUNTS:  # others are a stranger's guesses, without end
                if len(self._known) >= _MOST_REMEMBERED:  # so are the tags behind a "+"
                    self._known.clear()
                self._known[key] = found
        return found
