"""A run as a whole: is there room, what did it do, and the event that tells so."""

from collections.abc import Awaitable, Callable

from poterne.admin.people import Acting
from poterne.moving.told import MovingError, Summary
from poterne.store.interface import Store
from poterne.values.directory import Account


def check_room(account: Account, messages: int, size_bytes: int) -> None:
    """Raises MovingError when so much does not fit into the account's quota."""
    if account.quota_bytes and account.used_bytes + size_bytes > account.quota_bytes:
        free = max(0, account.quota_bytes - account.used_bytes)
        raise MovingError(
            f"{size_bytes:,} octets are to come and {account.address} has room for {free:,}: raise its quota"
            " (poterne account quota), or bring less (--since, --folder, --skip)"
        )
    if account.quota_messages and account.used_messages + messages > account.quota_messages:
        free = max(0, account.quota_messages - account.used_messages)
        raise MovingError(
            f"{messages:,} messages are to come and {account.address} has room for {free:,}: raise its quota"
            " (poterne account quota), or bring less (--since, --folder, --skip)"
        )


async def recorded(
    store: Store,
    account: Account,
    kind: str,
    source: str,
    summary: Summary,
    acting: Acting,
    work: Callable[[], Awaitable[object]],
) -> Summary:
    """Do it, and record what was done, also when it ended early. Raises what it raises."""
    ended = "stopped"
    try:
        await work()
        ended = "done"
    finally:
        event = acting.event(
            kind,
            address=account.address,
            source=source[:200],
            ended=ended,
            folders=summary.folders,
            messages=summary.messages,
            bytes=summary.size_bytes,
            known=summary.known + summary.same,
            failed=summary.failed,
        )
        await store.record([event])
    return summary
