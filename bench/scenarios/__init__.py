"""All scenarios, in the order in which they run."""

from bench.scenarios import append, flood, inbound, large, live, mailbox, many, pop3, queries, relay, signed
from bench.scenarios.base import Scenario

SCENARIOS: tuple[Scenario, ...] = (
    *inbound.SCENARIOS,
    *signed.SCENARIOS,
    *append.SCENARIOS,
    *mailbox.READING,
    *queries.SCENARIOS,
    *mailbox.CHANGING,
    *queries.WORDS_SCENARIOS,
    *many.SCENARIOS,
    *pop3.SCENARIOS,
    *live.SCENARIOS,
    *large.SCENARIOS,
    *flood.SCENARIOS,
    *relay.SCENARIOS,
)

ACCOUNTS: tuple[str, ...] = (
    *inbound.RECIPIENTS,
    *append.USERS,
    mailbox.USER,
    queries.WORDS_USER,
    many.USER,
    pop3.USER,
    *live.USERS,
    *live.NOTICE_USERS,
    *live.IDLE_USERS,
    large.USER,
    flood.USER,
    *relay.SENDERS,
)
"""Every account that some scenario uses; a server is started with all of them."""
