"""What can go wrong in a store, by meaning. The text is for the log; each protocol has its own words for the peer."""


class StoreError(Exception):
    """Base of all; never raised itself."""


class NotFoundError(StoreError):
    """No such thing, or not yours: the two look the same."""


class NoGranteeError(NotFoundError):
    """Not the mailbox but the account that is to get rights in it is not there."""


class ConflictError(StoreError):
    """It exists already, or changed meanwhile."""


class OverQuotaError(StoreError):
    """The account is full."""


class LimitError(StoreError):
    """A limit of ours was reached: keywords, mailboxes, name length."""


class UnavailableError(StoreError):
    """Not now: locked, disk full, damaged, shutting down. Always temporary to the peer (4xx), loud in the log."""
