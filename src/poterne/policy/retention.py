"""Which messages of a mailbox are old enough to go, and by which rule. Pure: mailboxes, rules and the time in, questions out.

Theory of operation. One rule decides about a folder: the most particular one. A rule for the folder by name (or the nearest
folder above it) comes before one for Trash or Junk, and that before one for everything; where two are for the same, the
account's comes before its domain's, and that before the server's. So a rule of "never" protects what it names, and nothing more.
Beside it, what POP3 clients fetched and left goes from INBOX by a rule of its own. A legal hold stands above all of them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, final

from poterne.values.ids import AccountId
from poterne.values.mailbox import Mailbox, SpecialUse
from poterne.values.retention import NEVER, Aged, AgeFrom, Hold, Rule, What

DAY_S: Final = 86_400
INBOX: Final = "INBOX"
_SEPARATOR: Final = "/"
_USES: Final = {SpecialUse.TRASH: What.TRASH, SpecialUse.JUNK: What.JUNK}

_Key = tuple[str, AccountId | None, What, str]


@dataclass(frozen=True, slots=True)
class Due:
    """What is to go from a mailbox, and why."""

    aged: Aged
    rule: Rule
    mailbox: str


@final
class Rules:
    """Those of the settings, of domains and of accounts."""

    def __init__(self, rules: Iterable[Rule], holds: Iterable[Hold]) -> None:
        self._rules: Final[dict[_Key, Rule]] = {
            (rule.domain, rule.account_id, rule.what, rule.folder): rule for rule in rules
        }
        self._folders: Final = any(rule.what is What.FOLDER for rule in self._rules.values())
        self._holds: Final = {(hold.domain, hold.account_id): hold for hold in holds}

    def held(self, account_id: AccountId, domain: str) -> Hold | None:
        """The legal hold that the account is under."""
        return self._holds.get(("", account_id)) or self._holds.get((domain, None))

    def due(self, account_id: AccountId, domain: str, mailboxes: Sequence[Mailbox], now: int) -> list[Due]:
        """What to ask of each mailbox of an account; holds are the caller's care."""
        uses = {box.name: _USES[box.special_use] for box in mailboxes if box.special_use in _USES}
        found: list[Due] = []
        for box in mailboxes:
            if not box.messages:
                continue
            if (rule := self._of(account_id, domain, box.name, uses)) is not None and rule.days != NEVER:
                age = AgeFrom.RECEIVED if rule.what is What.EVERYTHING else AgeFrom.SAVED
                found.append(_due(box, rule, age, now))
            if box.name == INBOX:
                fetched = self._find(account_id, domain, What.FETCHED)
                if fetched is not None and fetched.days != NEVER:
                    found.append(_due(box, fetched, AgeFrom.FETCHED, now))
        return found

    def days_of_everything(self, account_id: AccountId, domain: str) -> int | None:
        """Days after its arrival, wherever that was, after which mail goes that no other rule is for; None: it stays."""
        rule = self._find(account_id, domain, What.EVERYTHING)
        return rule.days if rule is not None and rule.days != NEVER else None

    def fetched_days(self, account_id: AccountId, domain: str) -> int | None:
        """Days that a POP3 client may count on what it leaves in INBOX (RFC 2449 §6.7); None: it stays.

        By the rule that takes it first: the one for fetched mail, or the one for INBOX.
        """
        if self.held(account_id, domain) is not None:
            return None
        rules = (self._find(account_id, domain, What.FETCHED), self._of(account_id, domain, INBOX, {}))
        return min((rule.days for rule in rules if rule is not None and rule.days != NEVER), default=None)

    def least_fetched_days(self) -> tuple[int | None, bool]:
        """The least of any account, and whether accounts differ: what is known before somebody signs in."""
        meant = [
            rule
            for rule in self._rules.values()
            if rule.what in {What.FETCHED, What.EVERYTHING} or (rule.what is What.FOLDER and rule.folder == INBOX)
        ]
        differs = bool(self._holds) or any(rule.domain or rule.account_id is not None for rule in meant)
        return min((rule.days for rule in meant if rule.days != NEVER), default=None), differs

    def _of(self, account_id: AccountId, domain: str, name: str, uses: dict[str, What]) -> Rule | None:
        """The rule that decides about a folder."""
        if self._folders:
            for place in _upwards(name):
                if (rule := self._find(account_id, domain, What.FOLDER, place)) is not None:
                    return rule
        for place in _upwards(name):
            if (what := uses.get(place)) is not None:
                if (rule := self._find(account_id, domain, what)) is not None:
                    return rule
                break
        return self._find(account_id, domain, What.EVERYTHING)

    def _find(self, account_id: AccountId, domain: str, what: What, folder: str = "") -> Rule | None:
        """Of the account, its domain, or the server."""
        rules = self._rules
        return (
            rules.get(("", account_id, what, folder))
            or rules.get((domain, None, what, folder))
            or rules.get(("", None, what, folder))
        )


def _due(box: Mailbox, rule: Rule, age: AgeFrom, now: int) -> Due:
    return Due(Aged(box.account_id, box.id, age, now - rule.days * DAY_S), rule, box.name)


def _upwards(name: str) -> Iterable[str]:
    """The folder, then those above it."""
    while name:
        yield name
        name = name.rpartition(_SEPARATOR)[0]
