"""The engine's methods of `interface.Retention`."""

from collections.abc import Sequence

from poterne.store.sqlite import holds, kept, retiring, traces
from poterne.store.sqlite.connection import PlainRows
from poterne.store.sqlite.reader import Reader
from poterne.store.sqlite.upkeep import UpkeepPart
from poterne.values.event import Event
from poterne.values.ids import AccountId, MailboxId, Uid
from poterne.values.retention import Aged, Found, Hold, Kept, Rule, TracesBefore, TracesGone


class RetentionPart(UpkeepPart):
    _reader: Reader

    async def retention_rules(self) -> list[Rule]:
        return holds.rules(self._reader)

    async def set_retention_rule(self, rule: Rule, event: Event) -> None:
        await self._writer.submit(holds.set_rule, rule, event)

    async def end_retention_rule(self, rule: Rule, event: Event) -> bool:
        return await self._writer.submit(holds.end_rule, rule, event)

    async def legal_holds(self) -> list[Hold]:
        return holds.holds(self._reader)

    async def set_legal_hold(self, hold: Hold, event: Event) -> None:
        await self._writer.submit(holds.set_hold, hold, event)

    async def end_legal_hold(self, domain: str, account_id: AccountId | None, event: Event) -> bool:
        return await self._writer.submit(holds.end_hold, domain, account_id, event)

    async def aged(self, questions: Sequence[Aged]) -> list[Found]:
        return await self._off_loop(lambda connection: retiring.found(PlainRows(connection), questions))

    async def retire(self, aged: Aged, event: Event) -> Found:
        return await self._writer.submit(retiring.retire, aged, event)

    async def kept_messages(self, account_id: AccountId, since: int = 0, limit: int = 1000) -> list[Kept]:
        return kept.kept(self._reader, account_id, since, limit)

    async def undelete(self, messages: Sequence[Kept], mailbox_id: MailboxId, event: Event) -> int:
        count = 0
        for start in range(0, len(messages), kept.STEP_ROWS):
            some = messages[start : start + kept.STEP_ROWS]
            count += await self._writer.submit(kept.restore, some, mailbox_id, event)
        return count

    async def forget_kept(self, before: int, most_bytes: int) -> int:
        wanted = await self._off_loop(lambda connection: kept.accounts(PlainRows(connection), before, most_bytes))
        total = 0
        for account_id, excess in wanted:
            while True:
                count, size_bytes = await self._writer.submit(kept.forget, account_id, before, excess)
                total += count
                excess = max(0, excess - size_bytes)
                if count < kept.STEP_ROWS:
                    break
        return total

    async def note_fetched(self, account_id: AccountId, mailbox_id: MailboxId, uids: Sequence[Uid], at: int) -> None:
        await self._writer.submit_soon(retiring.note_fetched, account_id, mailbox_id, uids, at)

    async def prune_traces(self, before: TracesBefore, expunged_ranges: int) -> TracesGone:
        events = incidents = expunged = 0
        steps = await self._off_loop(lambda connection: list(traces.old_events(PlainRows(connection), before)))
        for ids in steps:
            events += await self._writer.submit(traces.delete_events, ids)
        while some := await self._writer.submit(traces.delete_incidents, before.incidents):
            incidents += some
        logs = await self._off_loop(lambda connection: traces.long_logs(PlainRows(connection), expunged_ranges))
        for account_id, mailbox_id in logs:
            while some := await self._writer.submit(traces.delete_expunged, account_id, mailbox_id, expunged_ranges):
                expunged += some
        return TracesGone(events, incidents, expunged)
