"""What of imported mail is old enough to be deleted by a rule as soon as it is here."""

import time

from poterne.admin.retention import in_force
from poterne.config.retention import Retention
from poterne.moving.told import Teller
from poterne.policy.retention import DAY_S
from poterne.store.interface import Store
from poterne.values.directory import Account


async def warn(store: Store, settings: Retention, account: Account, teller: Teller) -> None:
    """Say so when a rule counts from when mail first arrived: the age comes along, and old mail goes within the day."""
    domain = account.address.rpartition("@")[2]
    rules = await in_force(store, settings)
    days = rules.days_of_everything(account.id, domain)
    if days is None or rules.held(account.id, domain) is not None:
        return
    day = time.strftime("%Y-%m-%d", time.localtime(time.time() - days * DAY_S))
    teller.note(
        f"mail of {account.address} is deleted {days} days after it arrived (rule everything), wherever that was: of what"
        f" comes now, all from before {day} goes soon. To keep it: poterne retention set {account.address} everything never;"
        f" to leave it out: --since {day}"
    )
