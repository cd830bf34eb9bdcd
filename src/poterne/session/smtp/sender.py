"""Which addresses somebody who signed in may send as: the account's own, and every alias that leads to it."""

from poterne.store.interface import Store
from poterne.values.address import Address
from poterne.values.directory import Account, RouteKind


async def owns(store: Store, account: Account, address: Address | None) -> bool:
    """Does mail to this address reach the account, with or without a `+tag`? The null sender is nobody's. Raises StoreError."""
    if address is None:
        return False
    if address.key == account.address:
        return True
    route = await store.route(address.local_part, address.domain)
    return route.kind is RouteKind.ACCOUNTS and account.id in route.accounts
