"""What one client that has said NOTIFY was told, and what it need not be told because it did it itself."""

import asyncio
from collections.abc import Iterable
from typing import Final, final

from poterne.net.link import Link, Poke
from poterne.session.imap.metadata_watch import MetadataWatch
from poterne.session.imap.pictures import Picture
from poterne.session.imap.rules import FLAGS, MESSAGES, SILENT, Rules
from poterne.values.ids import MailboxId, ModSeq
from poterne.values.mailbox import Mailbox

GAP_S: Final = 0.04
"""Between two looks into the selected mailbox."""
AGAIN_S: Final = 2.0
"""Until the store is asked again after it could not answer."""
MOST_OURS: Final = 1_000
"""UIDs and names of its own doing that are remembered until the next notice; beyond, it hears of what it did."""


@final
class Watch:
    """`rules` are in force from the moment they are set. Forgotten with the sign-in."""

    __slots__ = (
        "_link",
        "_looked_at",
        "_loop",
        "_timer",
        "annotated",
        "flags_since",
        "known",
        "metadata",
        "names",
        "ours",
        "owed",
        "rules",
        "stirred",
        "subscriptions",
        "told",
        "unshown",
    )

    def __init__(self, link: Link) -> None:
        self._link = link
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._looked_at = 0.0
        self.rules: Rules = SILENT
        self.told: Picture | None = None
        """Of the other mailboxes; None: none are watched."""
        self.stirred = False
        """There may be a newer picture."""
        self.owed = False
        """It was poked when nothing could be told."""
        self.flags_since = ModSeq(0)
        """Changes of flags in the selected mailbox after this were not told, for nobody asked; 0: there are none."""
        self.unshown = 0
        """New messages of the selected mailbox from this UID on are still to be shown (MessageNew with attributes)."""
        self.ours: dict[MailboxId, set[int]] = {}
        """UIDs that this client made or removed since the last notice."""
        self.known: dict[MailboxId, ModSeq] = {}
        """Mailboxes that were selected since the last notice: up to where the client knows them."""
        self.names: dict[str, bool] = {}
        """Names that this client made exist, or not exist, or was shown by a command, since the last notice."""
        self.subscriptions: dict[str, bool] = {}
        self.metadata: MetadataWatch | None = None
        """Annotations, if they are asked for."""
        self.annotated = False

    # The selected mailbox

    @property
    def frozen(self) -> bool:
        """The client does not want to hear of the selected mailbox; what it does itself is still answered."""
        return not self.rules.selected & MESSAGES

    @property
    def hides_flags(self) -> bool:
        return not self.rules.selected & FLAGS

    @property
    def at_once(self) -> bool:
        """Expunges too are told while no command is in progress (SELECTED, RFC 5465 §6.1.1)."""
        return not self.rules.delayed and not self.frozen

    def look(self) -> None:
        """The selected mailbox changed: poke the connection, at once or when the gap is over."""
        if not self.frozen:
            self._soon()

    def _soon(self) -> None:
        if self._timer is not None:
            return
        wait_s = self._looked_at + GAP_S - self._loop.time()
        if wait_s <= 0:
            self._gap_over()
        else:
            self._timer = self._loop.call_later(wait_s, self._gap_over)

    def _gap_over(self) -> None:
        self._timer = None
        self._looked_at = self._loop.time()
        self._link.poke(Poke.CHANGED)

    def try_later(self) -> None:
        """What was to be told could not be read."""
        self.stirred = self.told is not None
        self._looked_at = self._loop.time()
        if self._timer is None:
            self._timer = self._loop.call_later(AGAIN_S, self._gap_over)

    def left(self, mailbox_id: MailboxId, modseq: ModSeq) -> None:
        """The selected mailbox is left, as of there."""
        self.known[mailbox_id] = modseq
        self.flags_since = ModSeq(0)
        self.unshown = 0

    # Other mailboxes

    def stir(self) -> None:
        """`pictures.Watcher`."""
        self.stirred = True
        self._link.poke(Poke.CHANGED)

    def annotate(self) -> None:
        """Annotations may have changed."""
        self.annotated = True
        self._soon()

    def did(self, mailbox_id: MailboxId, uids: Iterable[int]) -> None:
        """The client made or removed these messages: it need not hear of them (RFC 5465 §5)."""
        ours = self.ours.setdefault(mailbox_id, set())
        ours.update(uids)
        if len(ours) > MOST_OURS or len(self.ours) > MOST_OURS:
            self.ours.clear()

    def named(self, name: str, *, exists: bool) -> None:
        """The client made this name exist, or not; what is above it changes with it."""
        self.names[name] = exists
        if exists:
            while (cut := name.rfind("/")) > 0:
                name = name[:cut]
                self.names[name] = True
        if len(self.names) > MOST_OURS:
            self.names.clear()

    def listed(self, row: Mailbox) -> None:
        """A command has shown this name, perhaps before any notice did: then the next one has to say if it is gone again."""
        if self.told is None or not row.selectable:
            return
        was = self.told.mailboxes.get(row.id)
        if was is None or was.name != row.name:
            self.names[row.name] = True
            if len(self.names) > MOST_OURS:
                self.names.clear()

    def forget_ours(self) -> None:
        """A notice was given."""
        self.ours.clear()
        self.known.clear()
        self.names.clear()
        self.subscriptions.clear()

    def end_metadata(self) -> None:
        if self.metadata is not None:
            self.metadata.end()
        self.metadata = None
        self.annotated = False

    def stop(self) -> None:
        self.end_metadata()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
