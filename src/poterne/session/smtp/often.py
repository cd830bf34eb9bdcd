"""How often an address of ours forwarded one sender's mail: what cuts the circles that leave no trace in the message.

A forward that comes round is known by its Delivered-To, and by its Received fields; but a program that answers writes a new
message, and some servers clean headers. Two of them would write to each other for ever, so one sender gets so many messages
through one address in an hour, and no more. A stranger may have any number of senders, though, so that all copies of strangers'
mail that go through one address (ANYBODY) are counted as well.

What is counted belongs to one worker, and is bounded; the oldest goes first.
"""

from collections import OrderedDict
from typing import Final, final

from poterne.values.sending import HOUR_S, Window

MAX_COUNTED: Final = 20_000
"""Pairs of sender and address; some 6 MiB when full."""
ANYBODY: Final = "*"
"""As a sender: all of them together."""
_NEVER: Final = Window()


@final
class Often:
    __slots__ = ("_windows",)

    def __init__(self) -> None:
        self._windows: OrderedDict[tuple[str, str], Window] = OrderedDict()

    def too_often(self, via: str, sender: str, now: int, limit: int, count: int = 1) -> bool:
        """Has this address forwarded so many of the sender's messages already? If not, `count` more are counted."""
        key = (via, sender)
        window = self._windows.get(key, _NEVER)
        used = window.used(now, HOUR_S)
        if used and used + count > limit:
            return True
        self._windows[key] = window.plus(now, HOUR_S, count)
        self._windows.move_to_end(key)
        if len(self._windows) > MAX_COUNTED:
            self._windows.popitem(last=False)
        return False
