"""A session may last for hours: who signed in is looked at anew for each message, so that what was taken away is gone at once."""

from dataclasses import replace
from typing import Final

from poterne.proto.smtp.replies import Reply
from poterne.session.authenticate import Proven
from poterne.session.smtp import scripts
from poterne.session.smtp.principal import Person, Principal, Script
from poterne.session.smtp.refused import Refused
from poterne.session.smtp.services import Services
from poterne.store.errors import NotFoundError
from poterne.values.directory import Account
from poterne.values.sender import Sender

_GONE: Final = Refused(
    "account-gone", Reply(530, "5.7.0", "This account may not send any more: ask the administrator", close=True)
)
_PASSWORD: Final = Refused(
    "password-changed", Reply(530, "5.7.0", "The password of this account was changed: sign in again", close=True)
)


def signed_in(proven: Proven[Account] | Proven[Sender]) -> Principal:
    """Whoever has just proven a password."""
    if isinstance(proven.subject, Sender):
        return Script(proven.subject)
    return Person(proven.subject, proven.verifier)


async def renewed(services: Services, principal: Principal | None) -> Principal | Refused | None:
    """The same as the directory has it now; None when nobody has signed in. Raises StoreError."""
    if principal is None:
        return None
    if isinstance(principal, Script):
        return await scripts.renewed(services, principal)
    try:
        credential = await services.store.credential_of(principal.id)
    except NotFoundError:  # gone, or disabled
        return _GONE
    if credential.verifier != principal.verifier:
        return _PASSWORD
    account = principal.account
    if credential.limits == account.limits:
        return principal
    return Person(replace(account, limits=credential.limits), principal.verifier)
