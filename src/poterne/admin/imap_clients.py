"""Which IMAP capabilities the clients of an account are offered: for mail programs that are broken in one of them."""

from collections.abc import Sequence

from poterne.admin.people import Acting, AdminError, account_of
from poterne.store.interface import Store
from poterne.values.capabilities import CapabilityError, checked, family
from poterne.values.directory import Account


async def switch(store: Store, text: str, off: Sequence[str], on: Sequence[str], acting: Acting) -> Account:
    """Switch capabilities off, and on again, for an account. Raises AdminError, StoreError."""
    account = await account_of(store, text)
    try:
        wanted_off, wanted_on = checked(off), checked(on)
    except CapabilityError as error:
        raise AdminError(str(error)) from None
    both = set(wanted_off) & set(wanted_on)
    if both:
        raise AdminError(f"{', '.join(sorted(both))} cannot be switched on and off at once")
    # SORT switched on gives back SORT=DISPLAY too, which it had taken away.
    left = [n for n in account.imap_without if n not in wanted_on and family(n) not in wanted_on]
    missing = [n for n in wanted_on if n not in account.imap_without and family(n) in left]
    if missing:
        raise AdminError(f"{missing[0]} is off because {family(missing[0])} is: switch that on")
    without = checked((*left, *wanted_off))
    if without == account.imap_without:
        return account
    event = acting.event("account.imap", address=account.address, without=" ".join(without))
    return await store.set_account(account.id, event, imap_without=without)
