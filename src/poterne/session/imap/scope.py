"""Mailbox filters, held against the mailboxes that there are (RFC 5465 §6, RFC 7377 §2.2)."""

from collections.abc import Iterable
from typing import Final, final

from poterne.proto.imap.filters import Filter, FilterKind
from poterne.session.imap.foreign import is_foreign
from poterne.values.mailbox import SpecialUse


def takes_mail(name: str, use: SpecialUse | None) -> bool:
    """May mail be delivered into it? RFC 5465 §6.3 "inboxes": INBOX, and the mailbox for junk."""
    return name == "INBOX" or use is SpecialUse.JUNK


@final
class Scope:
    """What some filters cover. Those for the selected mailbox are not among it: who asks knows which that is.

    The work for a name does not grow with the number of names in the filters: each of its levels is looked up.
    """

    __slots__ = ("_inboxes", "_names", "_ones", "_personal", "_subscribed", "_trees")

    def __init__(self, filters: Iterable[Filter]) -> None:
        by_kind: dict[FilterKind, set[str]] = {}
        for one in filters:
            by_kind.setdefault(one.kind, set()).update(one.names)
        self._personal: Final = FilterKind.PERSONAL in by_kind
        self._inboxes: Final = FilterKind.INBOXES in by_kind
        self._subscribed: Final = FilterKind.SUBSCRIBED in by_kind
        self._names: Final = frozenset(by_kind.get(FilterKind.MAILBOXES, ()))
        self._trees: Final = frozenset(by_kind.get(FilterKind.SUBTREE, ()))
        self._ones: Final = frozenset(by_kind.get(FilterKind.SUBTREE_ONE, ()))

    def names(self, name: str) -> bool:
        """Is it named itself? RFC 7377 §2.2 asks for fewer rights then."""
        return name in self._names

    def covers(self, name: str, use: SpecialUse | None = None, *, personal: bool = True, subscribed: bool) -> bool:
        """Is a mailbox of this name meant? `personal` False: it is somebody else's."""
        if self._personal and personal:
            return True
        if self._inboxes and personal and takes_mail(name, use):
            return True
        if (self._subscribed and subscribed) or name in self._names:
            return True
        return bool(self._trees or self._ones) and self._below(name)

    def _below(self, name: str) -> bool:
        if name in self._trees or name in self._ones:
            return True
        cut = name.rfind("/")
        if self._ones and cut > 0 and name[:cut] in self._ones:
            return True
        while self._trees and cut > 0:
            if name[:cut] in self._trees:
                return True
            cut = name.rfind("/", 0, cut)
        return False

    @property
    def is_empty(self) -> bool:
        """It covers nothing, whatever there is."""
        return not (self._personal or self._inboxes or self._subscribed or self._names or self._trees or self._ones)

    @property
    def is_wide(self) -> bool:
        """May it cover mailboxes of others?"""
        return self._subscribed or any(map(is_foreign, self._names | self._trees | self._ones))

    @property
    def exact(self) -> frozenset[str] | None:
        """The names, if it is no more than that."""
        others = self._personal or self._inboxes or self._subscribed or self._trees or self._ones
        return None if others else self._names
