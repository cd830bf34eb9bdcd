"""Who gets mail for an address: asked at every RCPT, so answers are remembered until the directory changes.

Theory of operation. A name is looked up as it is, then without its `+tag`; then postmaster falls to the domain's first account
(RFC 5321 §4.5.1), and last the domain's catch-all takes what is left. Each question is one statement, so that no answer
mixes two states of the directory. A forward of an alias' member is followed, but an address that it leads to is not looked
up again: no recursion, no loop.
"""

from array import array
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import apsw

from poterne.store.sqlite.addresses import CATCH_ALL, unpacked
from poterne.store.sqlite.connection import Row, Rows
from poterne.store.sqlite.reader import Reader
from poterne.store.sqlite.transaction import Tx
from poterne.values.directory import Forward, Posting, Route, RouteKind
from poterne.values.ids import AccountId

_MOST_REMEMBERED: Final = 10_000
_MOST_NAMES: Final = 100_000
"""In all remembered answers: a list's is as long as the list."""
_NOT_LOCAL: Final = Route(RouteKind.NOT_LOCAL)
_UNKNOWN_USER: Final = Route(RouteKind.UNKNOWN_USER)
_POSTMASTER: Final = "postmaster"

# A domain of ours, and whether it has a catch-all.
_DOMAIN: Final = (
    "SELECT EXISTS (SELECT 1 FROM alias WHERE domain = ?1 AND local_part = '*') FROM domain WHERE name = ?1"
)
# An account, once for each of its forwards, or once with NULL.
_ACCOUNT: Final = (
    "SELECT a.account_id, a.keeps, a.local_part || '@' || a.domain, f.address FROM account a"
    " LEFT JOIN account_forward f USING (account_id)"
)
_NAME: Final = (
    f"{_ACCOUNT} WHERE a.domain = ?1 AND a.local_part = ?2"  # noqa: S608  # words of ours
    " UNION ALL SELECT NULL, 0, NULL, NULL FROM alias WHERE domain = ?1 AND local_part = ?2"
)
# The alias itself, its forwards, and its members' rows as above; the first column says which.
_ALIAS: Final = (
    "SELECT 'alias', posting, posters, NULL, NULL FROM alias WHERE domain = ?1 AND local_part = ?2"
    " UNION ALL SELECT 'forward', NULL, NULL, NULL, address FROM alias_forward WHERE domain = ?1 AND local_part = ?2"
    " UNION ALL SELECT 'member', a.account_id, a.keeps, a.local_part || '@' || a.domain, f.address FROM alias_target t"
    " JOIN account a USING (account_id) LEFT JOIN account_forward f USING (account_id)"
    " WHERE t.domain = ?1 AND t.local_part = ?2"
)
_LIMITED: Final = (
    "SELECT account_id FROM account_counter WHERE account_id IN carray(?) AND (quota_bytes OR quota_messages)"
)
_LOWEST: Final = "SELECT min(account_id) FROM account"
_FIRST: Final = f"{_ACCOUNT} WHERE a.account_id = ({_LOWEST})"
_FIRST_OF_DOMAIN: Final = f"{_ACCOUNT} WHERE a.account_id = ({_LOWEST} WHERE domain = ?)"


def directory_changed(tx: Tx) -> None:
    """Tell every process that its remembered routes are old, and to look who may still be there.

    To be called by whatever changes what is read here, or who may sign in.
    """
    tx.run("UPDATE meta SET value = value + 1 WHERE key = 'directory_serial'")


def directory_serial(rows: Rows) -> int:
    serial: int = rows.all("SELECT value FROM meta WHERE key = 'directory_serial'")[0][0]
    return serial


def route(rows: Rows, local_part: str, domain: str) -> Route:
    """Account or alias, then the same without the `+tag`, then for postmaster an account, then the catch-all."""
    local_part, domain = local_part.lower(), domain.lower()
    if not domain and local_part == _POSTMASTER:
        return _of_account(rows.all(_FIRST)) or _UNKNOWN_USER
    local = rows.one(_DOMAIN, (domain,))
    if local is None:
        return _NOT_LOCAL
    plain, plus, _ = local_part.partition("+")
    found = _named(rows, domain, local_part)
    if found is None and plus and plain:
        found = _named(rows, domain, plain)
    if found is None and plain == _POSTMASTER:
        found = _of_account(rows.all(_FIRST_OF_DOMAIN, (domain,)))
    if found is None and local[0]:
        found = _of_alias(rows, domain, CATCH_ALL)
    return found or _UNKNOWN_USER


def _named(rows: Rows, domain: str, local_part: str) -> Route | None:
    found = rows.all(_NAME, (domain, local_part))
    if found and found[0][0] is None:
        return _of_alias(rows, domain, local_part)
    return _of_account(found)


def _of_account(found: list[Row]) -> Route | None:
    """`found`: one account's rows of _ACCOUNT."""
    if not found:
        return None
    account_id, keeps, _, forward = found[0]
    if forward is None:
        return Route(RouteKind.ACCOUNTS, (AccountId(account_id),))
    forwards = tuple(_forward(row) for row in found)
    return Route(RouteKind.ACCOUNTS, (AccountId(account_id),) if keeps else (), forwards)


def _of_alias(rows: Rows, domain: str, local_part: str) -> Route | None:
    """None when it was removed meanwhile, or leads nowhere: mail must not be taken for nobody."""
    via = f"{local_part}@{domain}"
    posting, listed = Posting.ANYONE, ""
    personal = local_part != CATCH_ALL
    accounts: dict[AccountId, None] = {}
    members: dict[str, None] = {}
    forwards: dict[str, Forward] = {}
    for what, *row in rows.all(_ALIAS, (domain, local_part)):
        if what == "alias":
            posting, listed = Posting(row[0]), row[1]
            personal = personal and posting is Posting.ANYONE
        elif what == "forward":
            members[row[3]] = None
            forwards[row[3]] = Forward(row[3], via)
            personal = False
        else:
            account_id, keeps, address, forward = row
            members[address] = None
            if keeps or forward is None:
                accounts[AccountId(account_id)] = None
            if forward is not None:
                forwards.setdefault(forward, _forward(row))
    if not accounts and not forwards:
        return None
    posters: tuple[str, ...] = ()
    if posting is Posting.MEMBERS:
        posters = tuple(members)
    elif posting is Posting.LISTED:
        posters = unpacked(listed)
    return Route(RouteKind.ACCOUNTS, tuple(accounts), tuple(forwards.values()), posting, posters, personal)


def _limited(rows: Rows, found: Route) -> Route:
    """With those of its accounts that have a quota: of the others nobody need ask at each RCPT how full they are."""
    limited = rows.all(_LIMITED, (apsw.carray(array("q", found.accounts)),))
    return replace(found, limited=tuple(AccountId(account) for (account,) in limited)) if limited else found


def _forward(row: Sequence[Any]) -> Forward:
    account_id, _, address, forward = row
    return Forward(forward, address, AccountId(account_id))


class Routes:
    """Remembers answers; a change by any process makes it forget them."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._version = -1
        self._serial = -1
        self._known: dict[tuple[str, str], Route] = {}
        self._foreign: set[str] = set()
        """Domains that are not ours: of all outgoing mail."""
        self._names = 0

    def route(self, local_part: str, domain: str) -> Route:
        version = self._reader.version()
        if version != self._version:
            serial = directory_serial(self._reader)
            if serial != self._serial:
                self._forget()
                self._serial = serial
            self._version = version
        return self._route(local_part.lower(), domain.lower())

    def _route(self, local_part: str, domain: str) -> Route:
        """As `route` above. What has a tag but no name of its own goes where it goes without: a long list is read once only."""
        key = (local_part, domain)
        found = self._known.get(key)
        if found is not None:
            return found
        if domain in self._foreign:
            return _NOT_LOCAL
        plain, plus, _ = local_part.partition("+")
        if not (plus and plain):
            found = route(self._reader, local_part, domain)
        elif (found := _named(self._reader, domain, local_part)) is None:
            return self._route(plain, domain)
        if found.accounts:
            found = _limited(self._reader, found)
        if found.kind is RouteKind.ACCOUNTS:
            self._remember(key, found)
        elif found.kind is RouteKind.NOT_LOCAL and domain:
            if len(self._foreign) >= _MOST_REMEMBERED:
                self._foreign.clear()
            self._foreign.add(domain)
        return found  # names that nobody has are a stranger's guesses, without end

    def _remember(self, key: tuple[str, str], found: Route) -> None:
        names = len(found.accounts) + len(found.forwards) + len(found.posters)
        # What a catch-all takes is without end too.
        if len(self._known) >= _MOST_REMEMBERED or self._names + names > _MOST_NAMES:
            self._forget()
        self._known[key] = found
        self._names += names

    def _forget(self) -> None:
        self._known.clear()
        self._foreign.clear()
        self._names = 0
