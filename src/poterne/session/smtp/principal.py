"""Who sends: a person with an account, or a script with a sender's scope. What both must answer for is asked here."""

from dataclasses import dataclass
from typing import final

from poterne.config.limits import Limits
from poterne.store.interface import Store
from poterne.values.address import Address
from poterne.values.directory import Account, RouteKind
from poterne.values.ids import AccountId
from poterne.values.origin import Origin, OriginKind
from poterne.values.secret import Secret
from poterne.values.sender import Sender
from poterne.values.sending import SendingLimits


@final
@dataclass(frozen=True, slots=True)
class Person:
    """An account that signed in."""

    account: Account
    verifier: Secret
    """What the password was checked against: with another one the session is over."""

    @property
    def id(self) -> AccountId:
        return self.account.id

    @property
    def name(self) -> str:
        return self.account.address

    @property
    def origin(self) -> Origin:
        return Origin(OriginKind.ACCOUNT, self.account.address, self.account.id)

    def limits(self, settings: Limits) -> SendingLimits:
        """Its own, or those of the settings."""
        return self.account.limits or SendingLimits(
            per_day=settings.recipients_per_day,
            external_per_hour=settings.external_per_hour,
            new_per_day=settings.new_per_day,
            burst=settings.burst,
        )

    async def owns(self, store: Store, address: Address | None) -> bool:
        """Does mail to this address reach the account, with or without a `+tag`? The null sender is nobody's.

        A catch-all makes nobody the owner of all names, nor does a list make each member its author. Raises StoreError.
        """
        if address is None:
            return False
        if address.key == self.account.address:
            return True
        route = await store.route(address.local_part, address.domain)
        owners = (*route.accounts, *(forward.owner for forward in route.forwards))
        return route.kind is RouteKind.ACCOUNTS and route.personal and self.account.id in owners


@final
@dataclass(frozen=True, slots=True)
class Script:
    """A sender that signed in, or a local user that the kernel vouches for."""

    sender: Sender

    @property
    def id(self) -> AccountId:
        return self.sender.owner

    @property
    def name(self) -> str:
        return self.sender.name

    @property
    def origin(self) -> Origin:
        return Origin(OriginKind.SENDER, self.sender.name, self.sender.owner)

    def limits(self, _settings: Limits) -> SendingLimits:
        """What its scope says; an hour's worth may come at once."""
        scope = self.sender.scope
        return SendingLimits(
            per_day=scope.per_day,
            external_per_hour=scope.per_hour,
            new_per_day=0,
            burst=max(1, scope.per_hour),
            same_per_hour=scope.same_per_hour,
            answers_per_hour=scope.answers_per_hour,
        )

    async def owns(self, _store: Store, address: Address | None) -> bool:
        """Is it one of the addresses that it was approved for?"""
        return address is not None and address.key in self.sender.scope.from_addresses


Principal = Person | Script
