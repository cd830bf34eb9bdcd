"""Mailboxes of others: their names, and what a connection knows of one that it uses."""

from typing import Final, NamedTuple, final

from poterne.store.errors import NotFoundError
from poterne.values.directory import Account
from poterne.values.mailbox import Mailbox
from poterne.values.sharing import CHANGING, Right

OTHERS: Final = "Other Users"
PREFIX: Final = "Other Users/"


def is_foreign(name: str) -> bool:
    """Is it the name of something of others, whether it exists or not?"""
    return name.startswith(OTHERS) and (len(name) == len(OTHERS) or name[len(OTHERS)] == "/")


def split(name: str) -> tuple[str, str]:
    """Owner and name in the owner's account. NotFoundError: it stands above all mailboxes, or is none of others."""
    rest = name[len(PREFIX) :]
    cut = rest.find("/", rest.find("@") + 1)
    if not name.startswith(PREFIX) or "@" not in rest[: max(cut, 0)] or not rest[cut + 1 :]:
        raise NotFoundError(name)
    return rest[:cut], rest[cut + 1 :]


class Place(NamedTuple):
    """A mailbox, and what may be done there."""

    mailbox: Mailbox
    """As the client sees it: its name is the whole one, and what its owner uses it for is not shown of somebody else's."""
    rights: Right
    owner: str
    """The owner's address; "" for one's own."""

    @property
    def path(self) -> str:
        """Its name in its owner's account."""
        return split(self.mailbox.name)[1] if self.owner else self.mailbox.name


@final
class Foreign:
    """The selected mailbox, when it is somebody else's. Changed by `access` alone."""

    __slots__ = ("check_at", "examined", "owner", "rights")

    def __init__(self, owner: Account, rights: Right, check_at: float, *, examined: bool) -> None:
        self.owner = owner
        """Its keywords are those of the mailbox, and its quota counts."""
        self.rights = rights
        """Of who signed in, as they were when they were looked up last."""
        self.check_at = check_at
        """When they have to be looked up again; by the monotonic clock."""
        self.examined = examined
        """It was opened by EXAMINE."""

    @property
    def read_only(self) -> bool:
        return self.examined or not self.rights & CHANGING
