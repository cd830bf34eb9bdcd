"""QUOTA (RFC 9208): the account's one quota, for all its mailboxes. It is set by administrators, not by SETQUOTA."""

from typing import Final

from poterne.proto.imap import commands, responses
from poterne.proto.imap.responses import no, ok
from poterne.session.imap.client import Client
from poterne.session.imap.updates import finish
from poterne.values.mailbox import Flag, Mailbox, UidRange

ROOT: Final = "Account"
_UNIT: Final = 1024
_NO_ROOT: Final = no(b"No such quota root", responses.NONEXISTENT)
_ROWS_AT_ONCE: Final = 500


async def get_quota(client: Client, command: commands.GetQuota) -> None:
    resources = await _resources(client) if command.root == ROOT else []
    if not resources:
        client.send(_NO_ROOT)
        return
    client.send(responses.quota(ROOT.encode(), resources))
    await finish(client, ok(b"Quota told"))


async def get_quota_root(client: Client, command: commands.GetQuotaRoot) -> None:
    """The same for every name, whether there is such a mailbox or not. Without a limit there is no root."""
    resources = await _resources(client)
    roots = [ROOT.encode()] if resources else []
    client.send(responses.quota_root(command.mailbox, roots, utf8=client.core.utf8))
    if resources:
        client.send(responses.quota(ROOT.encode(), resources))
    await finish(client, ok(b"Quota told"))


async def _resources(client: Client) -> list[tuple[bytes, int, int]]:
    """Name, usage and limit of what is limited."""
    account = await client.store.account_by_id(client.account.id)
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
