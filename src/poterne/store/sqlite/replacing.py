"""REPLACE: a message comes and another goes, in one."""

from poterne.store.errors import ConflictError
from poterne.store.interface import Delivery
from poterne.store.sqlite import delivery, expunging
from poterne.store.sqlite.transaction import Tx
from poterne.values.ids import AccountId, MailboxId, Uid
from poterne.values.mailbox import Appended, UidRange


def replace(tx: Tx, new: Delivery, mailbox_id: MailboxId, uid: Uid, account_id: AccountId | None) -> Appended:
    """What goes does so first, so that only the difference counts for the quota; an error takes it back."""
    if not expunging.removed(tx, account_id or new.account_id, mailbox_id, [UidRange(uid, uid)]).uids:
        raise ConflictError("the message is gone")
    return delivery.deliver(tx, [new], (), ())[0]
