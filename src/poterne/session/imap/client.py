"""What one IMAP connection remembers, and the services that all of them share."""

from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final, final

from poterne.config.imap import Imap
from poterne.net.drive import flush, flush_if_big
from poterne.net.link import Link, LinkClosed
from poterne.observe import Log
from poterne.proto.imap.responses import (
    Bye,
    Condition,
    Reply,
    Untagged,
    code_highestmodseq,
    code_inprogress,
    status_line,
)
from poterne.proto.imap.server import ServerCore
from poterne.proto.sasl.mechanism import Exchange
from poterne.session.authenticate import Authenticator
from poterne.session.imap.appending import Appending
from poterne.session.imap.columns import Columns
from poterne.session.imap.flags import FlagTexts, flag_texts
from poterne.session.imap.foreign import Foreign, Place
from poterne.session.imap.header_columns import HeaderColumns
from poterne.session.imap.kept import Kept
from poterne.session.imap.metadata_watch import MetadataWatch
from poterne.session.imap.offer import Offer
from poterne.session.imap.watch import Watch
from poterne.session.imap.wide_pictures import Pictures
from poterne.session.notify import Notifier, Unsubscribe
from poterne.session.pending import Snapshots, View
from poterne.session.present import NOBODY, Presence
from poterne.store.interface import Store
from poterne.store.recent import Recent
from poterne.values.directory import Account
from poterne.values.event import Event
from poterne.values.ids import AccountId, MailboxId, ModSeq
from poterne.values.mailbox import Mailbox
from poterne.values.sharing import EVERY_RIGHT, Right


@dataclass(slots=True)
class Compressing:
    """How many connections of this process compress."""

    count: int = 0


FLAGGED_BYTES: Final = 4 * 1024 * 1024
"""Results of looking for flags that are kept, in a process."""
PREVIEW_BYTES: Final = 8 * 1024 * 1024
"""Previews that are kept, in a process."""


@dataclass(frozen=True, slots=True)
class Service:
    """What every IMAP session of a process shares. `clock` gives Unix seconds."""

    store: Store
    authenticator: Authenticator
    notifier: Notifier
    snapshots: Snapshots
    settings: Imap
    clock: Callable[[], float]
    log: Log
    columns: Columns = field(default_factory=Columns)
    header_columns: HeaderColumns = field(default_factory=HeaderColumns)
    flagged: Recent[tuple[AccountId, MailboxId, ModSeq, int, bool]] = field(
        default_factory=partial(Recent, FLAGGED_BYTES)
    )
    """UIDs (native uint32) with a flag or without it, of a mailbox at a modseq."""
    previews: Recent[tuple[int, int]] = field(default_factory=partial(Recent, PREVIEW_BYTES))
    """As they are sent, by segment and offset of the blob."""
    kept: Kept = field(default_factory=Kept)
    compressing: Compressing = field(default_factory=Compressing)
    pictures: Pictures = field(default_factory=Pictures)


@final
class Client:
    """One connection. Handlers read and change it; only one runs at a time."""

    __slots__ = (
        "_account",
        "_flag_texts",
        "annotated",
        "appending",
        "bad_commands",
        "compresses",
        "condstore",
        "core",
        "exchange",
        "failures",
        "filed",
        "foreign",
        "heard",
        "idling",
        "link",
        "mailbox",
        "metadata",
        "offer",
        "over",
        "owes_modseq",
        "presence",
        "qresync",
        "read_only",
        "saved",
        "service",
        "store",
        "uid_only",
        "unsubscribe",
        "view",
        "watch",
    )

    def __init__(self, core: ServerCore, link: Link, service: Service) -> None:
        self.core: Final = core
        self.link: Final = link
        self.service: Final = service
        self.store: Final = service.store
        self._account: Account | None = None
        self.presence: Presence = NOBODY
        self._flag_texts: FlagTexts | None = None
        self.offer: Offer | None = None
        """From sign-in on; what an administrator changes meanwhile counts for the next one."""
        self.mailbox: Mailbox | None = None
        """The row of the selected mailbox as it was when it was selected."""
        self.foreign: Foreign | None = None
        """More about it, if it is somebody else's."""
        self.view: View | None = None
        self.read_only = False
        self.unsubscribe: Unsubscribe | None = None
        self.heard = ModSeq(0)
        """Up to where others say that the mailbox has changed; more than `view.modseq` means: ask the store."""
        self.idling = False
        self.condstore = False
        self.qresync = False
        """ENABLE QRESYNC was said: VANISHED takes the place of EXPUNGE."""
        self.uid_only = False
        """ENABLE UIDONLY was said: UIDFETCH takes the place of FETCH, with UIDs for numbers, and VANISHED that of EXPUNGE."""
        self.owes_modseq = False
        """VANISHED was told, which has no modseq: HIGHESTMODSEQ goes with the next tagged response."""
        self.saved: array[int] | None = None
        """UIDs of the last search with SAVE, RFC 5182; None means empty."""
        self.compresses = False
        """COMPRESS=DEFLATE is active."""
        self.exchange: Exchange | None = None
        self.metadata: dict[AccountId, MetadataWatch] | None = None
        """ENABLE METADATA was said: what others change in these accounts is told …"""
        self.annotated = False
        """… and something may have been changed."""
        self.appending: Appending | None = None
        self.filed: Place | None = None
        """The mailbox of one's own that the last message was put into, as it was then."""
        self.watch: Watch | None = None
        """What NOTIFY asked for, since it was said for the first time."""
        self.over = False
        """BYE was said: the core is closed."""
        self.bad_commands = 0
        self.failures = 0
        """Failed sign-ins."""

    # Talking

    def send(self, reply: Reply) -> None:
        """Queue a reply; nothing more goes out after a BYE that was not asked for."""
        if not self.over:
            self.core.send(reply)

    def part(self, text: bytes) -> None:
        """Say BYE and close, whatever is under way."""
        if not self.over:
            self.core.send(Bye(text))
            self.over = True

    def revoke(self) -> None:
        """Who signed in may do nothing more here."""
        self.part(b"Sign in again")

    def send_all(self, lines: Sequence[bytes]) -> None:
        """Untagged lines as one piece."""
        if lines:
            self.send(Untagged(b"".join(lines)))

    async def flush_if_big(self) -> None:
        """Between the parts of a long answer: keeps memory bounded and lets others have a turn."""
        await flush_if_big(self.core, self.link)

    async def tell_progress(self, tag: bytes, done: int, goal: int) -> None:
        """Of a command that takes long (RFC 9585). At once: this also keeps the connection from looking dead."""
        self.send(status_line(Condition.OK, b"Still working", code_inprogress(tag, done, goal)))
        if not self.over:
            await flush(self.core, self.link)

    def cut(self) -> LinkClosed:
        """For `raise client.cut()`: a literal was announced that cannot be completed, so the connection cannot go on."""
        self.link.abort("answer-broken")
        return LinkClosed("answer-broken")

    # Facts

    @property
    def account(self) -> Account:
        """Who signed in. Only commands of the authenticated state ask."""
        if self._account is None:
            raise RuntimeError("not authenticated")
        return self._account

    @account.setter
    def account(self, account: Account) -> None:
        self._account = account
        self._flag_texts = flag_texts(account.keywords)

    @property
    def owner(self) -> Account:
        """Whose the selected mailbox is; who signed in, if none is selected."""
        return self.account if self.foreign is None else self.foreign.owner

    @property
    def rights(self) -> Right:
        """In the selected mailbox."""
        return EVERY_RIGHT if self.foreign is None else self.foreign.rights

    def enter(self, foreign: Foreign) -> None:
        """The selected mailbox is somebody else's."""
        self.foreign = foreign
        self.read_only = foreign.read_only
        self._flag_texts = flag_texts(foreign.owner.keywords)

    def learn(self, account: Account) -> None:
        """What is known of the account of who signed in, or of the selected mailbox, is this now."""
        if self.foreign is None:
            if account.id == self.account.id:
                self.account = account
        elif account.id == self.foreign.owner.id:
            self.foreign.owner = account
            self._flag_texts = flag_texts(account.keywords)
        elif account.id == self.account.id:
            self._account = account

    def sign_out(self) -> None:
        """As it was before anyone signed in (RFC 8437 §3); only failed sign-ins still count."""
        self.deselect()
        self.unwatch()
        self.presence.leave()
        self.presence = NOBODY
        self._account = None
        self._flag_texts = None
        self.offer = None
        self.filed = None
        self.end_metadata()
        self.read_only = False
        self.condstore = False
        self.qresync = False
        self.uid_only = False
        self.bad_commands = 0

    @property
    def rev2(self) -> bool:
        """The client enabled IMAP4rev2."""
        return self.core.rev2

    @property
    def fetch_name(self) -> bytes:
        """What responses about messages are called."""
        return b"UIDFETCH" if self.uid_only else b"FETCH"

    @property
    def authenticated(self) -> bool:
        return self._account is not None

    @property
    def flag_texts(self) -> FlagTexts:
        """Flags to their names, for the keywords known so far."""
        if self._flag_texts is None:
            raise RuntimeError("not authenticated")
        return self._flag_texts

    @property
    def selected(self) -> tuple[Mailbox, View]:
        """The selected mailbox. Only commands of the selected state ask."""
        if self.mailbox is None or self.view is None:
            raise RuntimeError("no mailbox selected")
        return self.mailbox, self.view

    def enable_condstore(self) -> None:
        """By the command that says so, or one that implies it; the first in a mailbox is told where it is (RFC 7162 §3.1)."""
        if self.condstore:
            return
        self.condstore = True
        if (view := self.view) is not None:
            highest = view.held_at if view.gone else view.modseq
            self.send(status_line(Condition.OK, b"Highest", code_highestmodseq(highest)))

    def deselect(self) -> None:
        """Forget the selected mailbox, if any."""
        if self.unsubscribe is not None:
            self.unsubscribe()
        if self.watch is not None and self.mailbox is not None and self.view is not None and self.foreign is None:
            self.watch.left(self.mailbox.id, self.view.modseq)
        self.unsubscribe = None
        self.mailbox = None
        self.view = None
        if self.foreign is not None:
            self.foreign = None
            self._flag_texts = flag_texts(self.account.keywords)
        self.saved = None
        self.heard = ModSeq(0)
        self.owes_modseq = False

    def end_metadata(self) -> None:
        """No longer watch what others change of annotations."""
        for watch in (self.metadata or {}).values():
            watch.end()
        self.metadata = None
        self.annotated = False

    def did(self, mailbox: Mailbox, uids: Iterable[int]) -> None:
        """The client made or removed these messages: of its own mailboxes it need not hear of them."""
        if self.watch is not None and mailbox.account_id == self.account.id:
            self.watch.did(mailbox.id, uids)

    def unwatch(self) -> None:
        """Nothing is notified any more."""
        if self.watch is not None:
            self.service.pictures.leave(self.account.id, self.watch)
            self.watch.stop()
            self.watch = None

    def event(self, kind: str, **detail: str | int | bool | None) -> Event:
        """An event about this client, for the operation that it describes."""
        return Event(
            at=int(self.service.clock()),
            kind=kind,
            trace_id=self.link.trace,
            account_id=self.account.id,
            peer=self.link.peer,
            detail=detail,
        )
