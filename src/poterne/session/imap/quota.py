"""QUOTA (RFC 9208): the account's one quota, for all its mailboxes. It is set by administrators, not by SETQUOTA."""

from typing import Final

from poterne.proto.imap import commands, responses
from poterne.proto.imap.responses import no, ok
from poterne.session.imap import access
from poterne.session.imap.client import Client
from poterne.session.imap.foreign import PREFIX, is_foreign
from poterne.session.imap.updates import finish
from poterne.values.ids import AccountId
from poterne.values.mailbox import Flag, Mailbox, UidRange
from poterne.values.sharing import Right

ROOT: Final = "Account"
_UNIT: Final = 1024
_NO_ROOT: Final = no(b"No such quota root", responses.NONEXISTENT)
_ROWS_AT_ONCE: Final = 500


async def get_quota(client: Client, command: commands.GetQuota) -> None:
    account_id = await _account_of_root(client, command.root)
    resources = [] if account_id is None else await _resources(client, account_id)
    if not resources:
        client.send(_NO_ROOT)
        return
    client.send(responses.quota(command.root.encode(), resources))
    await finish(client, ok(b"Quota told"))


async def get_quota_root(client: Client, command: commands.GetQuotaRoot) -> None:
    """The same for every name of one's own, whether there is such a mailbox or not. Without a limit there is no root.

    What is shared counts for its owner, whose root has another name.
    """
    account_id, root = client.account.id, ROOT
    if is_foreign(command.mailbox):
        place = await access.resolve(client, command.mailbox, Right.READ)
        account_id, root = place.mailbox.account_id, PREFIX + place.owner if place.owner else ROOT
    resources = await _resources(client, account_id)
    coded = root.encode()
    client.send(responses.quota_root(command.mailbox, [coded] if resources else [], utf8=client.core.utf8))
    if resources:
        client.send(responses.quota(coded, resources))
    await finish(client, ok(b"Quota told"))


async def _account_of_root(client: Client, root: str) -> AccountId | None:
    if root == ROOT:
        return client.account.id
    if not root.startswith(PREFIX):
        return None
    owner = root.removeprefix(PREFIX).lower()
    readable = (place for place in await access.others(client) if Right.READ in place.rights)
    return next((place.mailbox.account_id for place in readable if place.owner == owner), None)


async def _resources(client: Client, account_id: AccountId) -> list[tuple[bytes, int, int]]:
    """Name, usage and limit of what is limited."""
    account = await client.store.account_by_id(account_id)
    found: list[tuple[bytes, int, int]] = []
    if account.quota_bytes:
        found.append((b"STORAGE", -(-account.used_bytes // _UNIT), account.quota_bytes // _UNIT))
    if account.quota_messages:
        found.append((b"MESSAGE", account.used_messages, account.quota_messages))
    return found


async def deleted_bytes(client: Client, mailbox: Mailbox) -> int:
    r"""Octets of the messages that are \Deleted: DELETED-STORAGE of STATUS."""
    if not mailbox.deleted:
        return 0
    uids = await client.store.flagged(mailbox.account_id, mailbox.id, int(Flag.DELETED), 0)
    total = 0
    for start in range(0, len(uids), _ROWS_AT_ONCE):
        ranges = [UidRange(uid, uid) for uid in uids[start : start + _ROWS_AT_ONCE]]
        total += sum(row.size for row in client.store.rows(mailbox.account_id, mailbox.id, ranges))
    return total
