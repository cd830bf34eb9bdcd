"""The MTA-STS policy of a domain that is served here (RFC 8461 §3.3)."""

from collections.abc import Awaitable, Callable
from typing import Final, final

from poterne.proto.http.messages import Request, Response
from poterne.session.https.session import READING, not_allowed

PATH: Final = "/.well-known/mta-sts.txt"
HOST_PREFIX: Final = "mta-sts."
MAX_AGE_S: Final = 300
"""For caches of HTTP; what senders keep is in the policy itself."""

Policies = Callable[[str], Awaitable[bytes | None]]
"""The policy file of a domain (A-label, lower case); None: it is not served here. Raises StoreError."""


@final
class PolicySite:
    """`mta-sts.DOMAIN`."""

    def __init__(self, policies: Policies) -> None:
        self._policies: Final = policies

    async def answer(self, request: Request) -> Response | None:
        """None: not of this site. Raises StoreError."""
        domain = request.host.removeprefix(HOST_PREFIX)
        if request.path != PATH or domain == request.host:
            return None
        policy = await self._policies(domain)
        if policy is None:
            return None
        if request.method not in READING:
            return not_allowed(*READING)
        return Response(200, policy, max_age_s=MAX_AGE_S)
