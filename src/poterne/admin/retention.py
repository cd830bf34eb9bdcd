"""How long mail is kept: rules and legal holds as an administrator sets them, what would go by them, and its going.

A rule is written as words: `trash`, `junk`, `fetched`, `everything` or `folder:NAME`, of an account or of a domain. Those of the
whole server are settings (`[retention]`).
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Final, final

from poterne.admin.people import Acting, AdminError, parse_domain
from poterne.config.retention import Retention
from poterne.observe import Log
from poterne.policy.retention import DAY_S, Due, Rules
from poterne.store.errors import LimitError, NotFoundError, StoreError
from poterne.store.interface import Store
from poterne.values.directory import Account
from poterne.values.event import Event
from poterne.values.ids import AccountId, TraceId
from poterne.values.mailbox import Mailbox
from poterne.values.retention import MAX_DAYS, NEVER, Aged, Found, Hold, Rule, TracesBefore, TracesGone, What

FOLDER: Final = "folder:"
_AT_ONCE: Final = 500
"""Mailboxes that are asked for together."""
_BREATH_S: Final = 0.01
"""Between two steps: others have their turn at the writers' lock."""


@dataclass(frozen=True, slots=True)
class Going:
    """What is old enough to go from one folder, and why."""

    account: Account
    folder: str
    why: str
    """The rule in words: what it is for, and whose it is."""
    days: int
    found: Found
    held: str
    """Why it does not go: the reason of a legal hold; "" when it goes."""
    aged: Aged


# -- rules and holds ---------------------------------------------------------------------------------------------------


def server_rules(settings: Retention) -> list[Rule]:
    """Those of the settings, where 0 is no rule."""
    days = {
        What.TRASH: settings.trash_days,
        What.JUNK: settings.junk_days,
        What.FETCHED: settings.fetched_days,
        What.EVERYTHING: settings.everything_days,
    }
    return [Rule(what, number) for what, number in days.items() if number]


async def in_force(store: Store, settings: Retention) -> Rules:
    """All rules and holds. Raises StoreError."""
    return Rules([*server_rules(settings), *await store.retention_rules()], await store.legal_holds())


def words(rule: Rule) -> str:
    """What it is for, as a person types it."""
    return f"{FOLDER}{rule.folder}" if rule.what is What.FOLDER else rule.what.value


def parse_what(text: str) -> tuple[What, str]:
    """Raises AdminError."""
    if text.startswith(FOLDER):
        folder = text.removeprefix(FOLDER).strip("/")
        if not folder or "//" in folder:
            raise AdminError("name the folder, for example folder:Archive or folder:Projects/Old")
        return What.FOLDER, "INBOX" if folder.upper() == "INBOX" else folder
    try:
        what = What(text)
    except ValueError:
        what = What.FOLDER
    if what is What.FOLDER:
        raise AdminError(f'"{text}" is none of trash, junk, fetched, everything and folder:NAME')
    return what, ""


def parse_days(text: str) -> int:
    """A number of days, or "never". Raises AdminError."""
    if text == "never":
        return NEVER
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= MAX_DAYS:
        raise AdminError(f'write a number of days (1 to {MAX_DAYS}), or "never"')
    return int(text)


async def whose(store: Store, text: str) -> tuple[str, AccountId | None, str]:
    """Domain and account, one of them empty, and their name. Raises AdminError, StoreError."""
    if "@" in text:
        try:
            account = await store.account(text)
        except NotFoundError:
            raise AdminError(f"there is no account {text} (poterne account list)") from None
        return "", account.id, account.address
    domain = parse_domain(text)
    if domain not in {served.name for served in await store.domains()}:
        raise AdminError(f"the domain {domain} is not served here (poterne domain list)")
    return domain, None, domain


async def set_rule(store: Store, who: str, what: str, days: str, acting: Acting) -> Rule:
    """Raises AdminError, StoreError."""
    domain, account_id, name = await whose(store, who)
    kind, folder = parse_what(what)
    rule = Rule(kind, parse_days(days), folder, domain, account_id)
    event = acting.event("retention.rule", who=name, what=words(rule), days=rule.days)
    try:
        await store.set_retention_rule(rule, event)
    except LimitError as error:
        raise AdminError(str(error)) from None
    return rule


async def end_rule(store: Store, who: str, what: str, acting: Acting) -> None:
    """Raises AdminError, StoreError."""
    domain, account_id, name = await whose(store, who)
    kind, folder = parse_what(what)
    rule = Rule(kind, NEVER, folder, domain, account_id)
    if not await store.end_retention_rule(rule, acting.event("retention.rule-ended", who=name, what=words(rule))):
        raise AdminError(f"{name} has no rule of its own for {words(rule)} (poterne retention)")


async def hold(store: Store, who: str, reason: str, acting: Acting) -> str:
    """Nothing of it is lost from now on; gives its name. Raises AdminError, StoreError."""
    domain, account_id, name = await whose(store, who)
    event = acting.event("retention.hold", who=name, reason=reason[:200])
    await store.set_legal_hold(Hold(reason, acting.now, domain, account_id), event)
    return name


async def lift(store: Store, who: str, acting: Acting) -> str:
    """Raises AdminError, StoreError."""
    domain, account_id, name = await whose(store, who)
    if not await store.end_legal_hold(domain, account_id, acting.event("retention.hold-lifted", who=name)):
        raise AdminError(f"{name} is under no legal hold of its own (poterne retention)")
    return name


# -- what goes ---------------------------------------------------------------------------------------------------------


async def going(store: Store, settings: Retention, now: int) -> AsyncIterator[Going]:
    """What is old enough, held or not, account by account. Raises StoreError."""
    rules = await in_force(store, settings)
    names = {account.id: account for account in await store.accounts()}
    waiting: list[Due] = []
    for account in names.values():
        waiting += rules.due(account.id, _domain(account), await _mailboxes(store, account), now)
        await asyncio.sleep(0)
        if len(waiting) >= _AT_ONCE:
            async for one in _found(store, rules, names, waiting):
                yield one
            waiting = []
    async for one in _found(store, rules, names, waiting):
        yield one


async def _mailboxes(store: Store, account: Account) -> list[Mailbox]:
    try:
        return await store.mailboxes(account.id)
    except NotFoundError:  # removed meanwhile
        return []


async def _found(
    store: Store, rules: Rules, accounts: dict[AccountId, Account], waiting: list[Due]
) -> AsyncIterator[Going]:
    found = await store.aged([due.aged for due in waiting])
    for due, answer in zip(waiting, found, strict=True):
        if answer.messages:
            account = accounts[due.aged.account_id]
            held = rules.held(account.id, _domain(account))
            why = f"{words(due.rule)} of {_owner(due.rule, account)}"
            yield Going(
                account,
                due.mailbox,
                why,
                due.rule.days,
                answer,
                held.reason or "a legal hold" if held else "",
                due.aged,
            )


def _owner(rule: Rule, account: Account) -> str:
    if rule.account_id is not None:
        return account.address
    return rule.domain or "the server"


def _domain(account: Account) -> str:
    return account.address.rpartition("@")[2]


async def carry_out(store: Store, settings: Retention, now: int) -> tuple[int, int]:
    """Remove what is old enough, in short steps, each with its event; how many messages, and their octets. Raises StoreError."""
    messages = size_bytes = 0
    async for one in going(store, settings, now):
        if one.held:
            continue
        event = Event(
            now,
            "message.expired",
            TraceId(f"retention-{now:x}"),
            one.account.id,
            reason=one.why,
            detail={"folder": one.folder[:200], "days": one.days},
        )
        while True:
            gone = await store.retire(one.aged, event)
            if not gone.messages:
                break
            messages += gone.messages
            size_bytes += gone.size_bytes
            await asyncio.sleep(_BREATH_S)
    return messages, size_bytes


async def forget(store: Store, settings: Retention, now: int) -> tuple[int, TracesGone]:
    """What can't come back any more, and old traces, go. Raises StoreError."""
    kept = await store.forget_kept(now - settings.undelete_days * DAY_S, settings.undelete_bytes)
    before = TracesBefore(
        auth=_before(now, settings.auth_days),
        change=_before(now, settings.change_days),
        trace=_before(now, settings.trace_days),
        incidents=_before(now, settings.incident_days),
    )
    return kept, await store.prune_traces(before, settings.expunged_ranges)


def _before(now: int, days: int) -> int:
    return now - days * DAY_S if days else 0


@final
class RetentionUpkeep:
    """`run` as a task until it is cancelled."""

    def __init__(self, store: Store, settings: Retention, clock: Callable[[], float], log: Log) -> None:
        self._store: Final = store
        self._settings: Final = settings
        self._clock: Final = clock
        self._log: Final = log

    async def run(self, first_s: float = 600.0) -> None:
        """Failures are logged, and it is tried again the next time."""
        await asyncio.sleep(first_s)
        while True:
            try:
                await self.once()
            except StoreError as error:
                self._log.error("retention.unavailable", problem=str(error))
            except Exception as error:  # noqa: BLE001  (a bug here must not end it)
                self._log.error("retention.bug", exc_info=error)
            await asyncio.sleep(self._settings.every_s)

    async def once(self) -> None:
        """All of it. Raises StoreError."""
        now = int(self._clock())
        messages, size_bytes = await carry_out(self._store, self._settings, now)
        if messages:
            self._log.info("retention.expired", messages=messages, bytes=size_bytes)
        kept, traces = await forget(self._store, self._settings, now)
        if kept or traces != TracesGone():
            self._log.info(
                "retention.forgotten",
                kept=kept,
                events=traces.events,
                incidents=traces.incidents,
                expunged=traces.expunged,
            )
