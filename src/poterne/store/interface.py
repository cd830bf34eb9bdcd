"""The one storage interface. Every engine passes the same contract tests (`tests/contract`).

Theory of operation. An operation is one call that becomes one transaction: it returns after the commit is durable (writes)
or with a consistent snapshot (reads). Callers never hold a transaction over an await: with group commit that would let one
slow session hold the write lock for all (ADR 3). What belongs together is therefore one operation, its event included.
One exception to "durable": flags (`store_flags`, `claim_recent`) are committed and told at once and are on disk within a
second, so that a power loss, and only that, may take the last of them back (ADR 8).

Promises: UID, modseq, quota and counters are decided inside the transaction; time and ids come from the caller; every key
starts with the account. Reads are short and indexed, or come in pages. All methods raise StoreError and nothing else.
Cancelling the caller does not undo an operation that was handed to the writer; its result is then lost, not its effect.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from poterne.store.interface_authors import DkimKeys, DmarcResults, Quarantine, Reports, Watched
from poterne.store.interface_imports import Imports
from poterne.store.interface_outbound import OutboundTls, Pauses
from poterne.store.interface_retention import Retention
from poterne.store.interface_search import Search
from poterne.store.interface_sharing import Annotations, Sharing
from poterne.values.directory import Account, Alias, Credential, Domain, Posting, Route
from poterne.values.event import Event
from poterne.values.ids import (
    AccountId,
    BlobId,
    IncidentId,
    MailboxId,
    ModSeq,
    QueueId,
    SenderId,
    TraceId,
    Uid,
)
from poterne.values.mailbox import (
    MAX_KEYWORDS,
    Appended,
    Changes,
    ContentRow,
    Copied,
    FlagChange,
    FlagsStored,
    Mailbox,
    MailboxChanged,
    MessageRow,
    NewContent,
    SpecialUse,
    UidRange,
)
from poterne.values.quarantine import NewQuarantined
from poterne.values.queue import NewQueued, QueueChange, QueuedRecipient, QueueState
from poterne.values.reports import NewReportMail
from poterne.values.retention import QuotaState
from poterne.values.secret import Secret
from poterne.values.sender import Sender, SenderCredential, SenderScope, SenderState
from poterne.values.sending import Charge, Incident, IncidentState, SendingLimits, Submitted

HELD_MOST = 100_000
"""Recipients that one incident holds; beyond, its origin's mail is answered 4xx."""
Uids = Sequence[UidRange]
"""A set of UIDs as ascending, disjoint ranges."""


class BlobWriter(Protocol):
    """Takes one message's bytes as they come. Small ones stay in memory, large ones go to disk at once."""

    def write(self, chunk: bytes) -> None:
        """Append. Never blocks for long: large data is handed to the writer thread; see `drain`."""

    def write_head(self, room: int) -> None:
        """Before anything else: leave room for so many octets (16 KiB at most) that are known later; `set_head` gives them."""

    def set_head(self, head: bytes) -> None:
        """The octets for that room, exactly as many; before `finish`. Without it they are spaces."""

    async def drain(self) -> None:
        """Wait until what was written so far is no longer held in memory beyond the limit (backpressure)."""

    @property
    def size(self) -> int: ...

    async def finish(self) -> BlobId:
        """The blob's identity. Durable at the latest when an operation that names it returns. Raises UnavailableError."""

    def abort(self) -> None:
        """Forget it. Safe at any time, also after `finish` if nothing linked it."""


class Blobs(Protocol):
    """Message bytes: immutable, checked by checksum, read by range."""

    def writer(self) -> BlobWriter: ...

    def read(self, blob: BlobId, start: int = 0, end: int | None = None) -> bytes:
        """Bytes [start, end), read at once on the calling thread: for ranges up to about 1 MiB."""

    def head(self, blob: BlobId, end: int) -> bytes:
        """Bytes [0, end), as `read` gives them, kept for the next who asks: for headers."""

    def stream(
        self, blob: BlobId, start: int = 0, end: int | None = None, chunk: int = 262_144
    ) -> AsyncIterator[bytes]:
        """The same in pieces, never holding more than one."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message for one mailbox. `mailbox` None means INBOX. `name`: it is a NotFoundError if that is not its name now."""

    account_id: AccountId
    mailbox: MailboxId | None
    content: NewContent
    flags: int
    internal_at: int
    internal_offset: int
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Submission:
    """A message of an origin with limits. It goes its way, or is held whole: what is held is in nobody's mailbox yet."""

    charge: Charge
    deliveries: Sequence[Delivery]
    """For local recipients, when it goes its way."""
    queue: Sequence[NewQueued]
    """For the others, when it goes its way."""
    held: NewQueued
    """All its recipients, local ones too, as they wait when it is held."""
    event: Event
    """Recorded when it goes its way; when it is held, the same with kind `message.held` and the reason."""


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of an attempt for one leased recipient: it is done with (delivered or given up), or waits again."""

    id: QueueId
    done: bool
    due_at: int = 0
    reply: str = ""
    """At most 500 characters are kept; "" leaves what the last attempt heard."""
    delay_told: bool = False
    """Its sender heard that it is late; once told, it stays so."""
    attempted: bool = True
    """False: it is given back untried, and the attempt does not count."""


@dataclass(frozen=True, slots=True)
class QueueFilter:
    """Which recipients of the queue are meant; all that is given must fit. Paths are compared without (ASCII) case."""

    id: QueueId | None = None
    trace_id: TraceId | None = None
    origin: str = ""
    """`Origin.key`, or only its name."""
    domain: str = ""
    recipient: str = ""
    """A whole forward-path."""
    sender: str = ""
    """A whole reverse-path; "<>" is the null path."""
    state: QueueState | None = None


class Directory(Protocol):
    """Domains, accounts, aliases, credentials, sign-in."""

    async def domains(self) -> list[Domain]: ...
    async def add_domain(self, name: str, event: Event) -> None: ...
    async def remove_domain(self, name: str, event: Event) -> None:
        """Raises ConflictError while it has accounts or aliases."""

    async def accounts(self, domain: str | None = None) -> list[Account]: ...
    async def account(self, address: str) -> Account: ...
    async def account_by_id(self, account_id: AccountId) -> Account: ...
    async def add_account(
        self,
        address: str,
        name: str,
        language: str,
        verifier: Secret,
        quota_bytes: int,
        mailboxes: Sequence[tuple[str, SpecialUse | None]],
        event: Event,
        *,
        quota_messages: int = 0,
    ) -> Account:
        """Create it with INBOX and these mailboxes (subscribed). ConflictError when the address is taken."""

    async def remove_account(self, account_id: AccountId, event: Event) -> None:
        """ConflictError: it is under a legal hold."""

    async def set_account(
        self,
        account_id: AccountId,
        event: Event,
        *,
        disabled: bool | None = None,
        quota_bytes: int | None = None,
        quota_messages: int | None = None,
        name: str | None = None,
        language: str | None = None,
        imap_without: Sequence[str] | None = None,
    ) -> Account:
        """What is None stays. `imap_without`: `Account.imap_without`."""

    async def set_password(self, account_id: AccountId, verifier: Secret, event: Event) -> None: ...
    async def credential(self, address: str) -> Credential:
        """Of an account that may sign in. Raises NotFoundError for unknown and disabled ones alike."""

    async def credential_of(self, account_id: AccountId) -> Credential:
        """The same, for who has signed in already: what has to be known before each message, in one read."""

    def directory_serial(self) -> int:
        """Another number after each change of who may sign in, and of where mail goes. Raises StoreError."""

    async def set_limits(self, account_id: AccountId, limits: SendingLimits | None, event: Event) -> None:
        """Its own sending limits; None: those of the settings again."""

    async def set_forwarders(self, account_id: AccountId, names: Sequence[str], event: Event) -> None:
        """Domains whose servers forward mail to this account (`Account.forwarders`); A-labels. LimitError: over 100."""

    async def set_forwards(self, account_id: AccountId, forwards: Sequence[str], keeps: bool, event: Event) -> None:
        """Where its mail goes as well (`Address.key`s elsewhere); without any, `keeps` is True."""

    async def aliases(self, domain: str | None = None) -> list[Alias]: ...
    async def add_alias(
        self,
        address: str,
        targets: Sequence[str],
        event: Event,
        *,
        forwards: Sequence[str] = (),
        posting: Posting = Posting.ANYONE,
        posters: Sequence[str] = (),
    ) -> None:
        """Targets are addresses of local accounts (else NotFoundError), forwards are elsewhere. `*@domain` is the catch-all."""

    async def remove_alias(self, address: str, event: Event) -> None: ...
    async def route(self, local_part: str, domain: str) -> Route:
        """What becomes of mail for this address (plus-addressing and case folded here; postmaster falls to an administrator)."""

    async def senders(self) -> list[Sender]:
        """All, by name."""

    async def sender(self, name: str) -> Sender: ...
    async def sender_credential(self, name: str) -> SenderCredential:
        """Of any state: who asks must say the same to all (NotFoundError: unknown, or without a password)."""

    async def sender_of_uid(self, uid: int) -> list[Sender]:
        """Senders for this local Unix user without a password, by name: pending ones too, but no revoked ones."""

    async def add_sender(
        self, name: str, owner: AccountId, scope: SenderScope, verifier: Secret | None, expires_at: int, event: Event
    ) -> Sender:
        """A pending one. ConflictError when the name is taken."""

    async def set_sender(
        self,
        sender_id: SenderId,
        event: Event,
        *,
        state: SenderState | None = None,
        scope: SenderScope | None = None,
        verifier: Secret | None = None,
        expires_at: int | None = None,
    ) -> Sender: ...
    async def sender_used(self, sender_id: SenderId, at: int, peer: str) -> None:
        """Note the last use; not more often than once a minute is written."""


class Mailboxes(Protocol):
    """Names and counters."""

    async def mailboxes(self, account_id: AccountId) -> list[Mailbox]:
        """All, by name; INBOX first. Names that exist only as parents are included with selectable False."""

    async def mailbox(self, account_id: AccountId, name: str) -> Mailbox: ...
    async def mailbox_by_id(self, account_id: AccountId, mailbox_id: MailboxId) -> Mailbox: ...
    async def create_mailbox(
        self, account_id: AccountId, name: str, special_use: SpecialUse | None, event: Event
    ) -> Mailbox:
        """Creates missing parents too (RFC 9051 §6.3.4). A name used before gets a UIDVALIDITY never used with it."""

    async def delete_mailbox(self, account_id: AccountId, mailbox_id: MailboxId, event: Event) -> None:
        """Its messages go; with children it stays as an unselectable name (RFC 9051 §6.3.5). INBOX: ConflictError."""

    async def rename_mailbox(self, account_id: AccountId, mailbox_id: MailboxId, name: str, event: Event) -> None:
        """Children move along. INBOX: its messages move to a new mailbox, INBOX stays, empty (RFC 9051 §6.3.6)."""

    async def set_special_use(
        self, account_id: AccountId, mailbox_id: MailboxId, special_use: SpecialUse | None, event: Event
    ) -> None:
        """It is the mailbox for this use, and no other one of the account is any more. None: for none."""

    async def subscribe(self, account_id: AccountId, name: str, subscribed: bool) -> None:
        """Works for names that do not exist (RFC 9051 §6.3.7)."""

    async def subscriptions(self, account_id: AccountId) -> list[str]: ...
    async def claim_recent(self, account_id: AccountId, mailbox_id: MailboxId) -> Uid:
        r"""The first UID that is \Recent to the caller; from now on it is nobody else's (RFC 3501 §2.3.2)."""


class Messages(Protocol):
    """Messages of a mailbox. UIDs that do not exist are silently passed over, as IMAP's UID commands do."""

    async def deliver(
        self,
        deliveries: Sequence[Delivery],
        queue: Sequence[NewQueued],
        events: Sequence[Event],
        *,
        quarantined: Sequence[NewQuarantined] = (),
        reports: Sequence[NewReportMail] = (),
    ) -> list[Appended]:
        """One message for all its recipients, all or nothing. Raises OverQuotaError, NotFoundError, UnavailableError.

        OverQuotaError also when an account has `KEPT_MOST` messages or `KEPT_BYTES_MOST` octets in quarantine, or
        `REPORT_MAIL_MOST` reports wait.
        """

    async def uids(self, account_id: AccountId, mailbox_id: MailboxId) -> tuple[Mailbox, bytes]:
        """The mailbox row and all its UIDs, ascending, as native uint32 (`array("I")`), of one snapshot."""

    def rows(self, account_id: AccountId, mailbox_id: MailboxId, uids: Uids) -> list[MessageRow]:
        """The narrow rows, ascending; read at once on the calling thread, so ask for at most about 2,000 at a time."""

    def flags(
        self, account_id: AccountId, mailbox_id: MailboxId, uids: Uids, known: Sequence[int] = ()
    ) -> tuple[Sequence[int], list[int], ModSeq]:
        """UIDs and flags, pairwise, and the newest modseq. `known`: all that may be among `uids`, given back if they all are:
        a fifth of the cost of `rows`. Up to about 10,000 at a time.
        """

    def highest_modseq(self, account_id: AccountId, mailbox_id: MailboxId) -> ModSeq:
        """Of the mailbox now: has anything changed since? 0 if there is no such mailbox."""

    def contents(
        self,
        account_id: AccountId,
        mailbox_id: MailboxId,
        uids: Uids,
        *,
        envelope: bool = True,
        structure: bool = True,
        parsed: bool = True,
    ) -> list[ContentRow]:
        """The wide rows, ascending; columns not asked for are empty. At most about 500 at a time."""

    def texts(
        self, account_id: AccountId, mailbox_id: MailboxId, uids: Uids, *, structure: bool
    ) -> list[tuple[Uid, bytes]]:
        """ENVELOPE or BODYSTRUCTURE alone, as `contents` gives it: a third of the cost."""

    async def flagged(
        self, account_id: AccountId, mailbox_id: MailboxId, flags_set: int, flags_clear: int, *, lowest: bool = False
    ) -> list[Uid]:
        """UIDs with all of these bits set and all of those clear: SEARCH UNSEEN and its like, without the rows.

        `lowest`: only that one is wanted, and it is thought to be among the older half; it comes alone.
        """

    async def changes(self, account_id: AccountId, mailbox_id: MailboxId, since: ModSeq) -> Changes: ...
    async def keyword_bits(
        self, account_id: AccountId, names: Sequence[str], most: int = MAX_KEYWORDS
    ) -> dict[str, int]:
        """Each keyword's flag as a mask (`1 << bit`; compared without case), made where missing. LimitError beyond `most`."""

    async def store_flags(
        self,
        account_id: AccountId,
        mailbox_id: MailboxId,
        uids: Uids,
        change: FlagChange,
        flags: int,
        unchanged_since: ModSeq | None = None,
        meanwhile: Callable[[], None] | None = None,
    ) -> FlagsStored:
        """`meanwhile` is called once it is under way, if that takes long: for what its caller can do until it is done."""

    async def copy(
        self, account_id: AccountId, source: MailboxId, uids: Uids, destination: MailboxId, now: int
    ) -> Copied:
        """Into Junk it is the event `message.junk`, from there (but to Trash) `message.not-junk`: someone's opinion."""

    async def move(
        self, account_id: AccountId, source: MailboxId, uids: Uids, destination: MailboxId, now: int
    ) -> Copied:
        """With the same events."""

    async def expunge(
        self, account_id: AccountId, mailbox_id: MailboxId, uids: Uids | None, events: Sequence[Event] = ()
    ) -> list[Uid]:
        r"""Remove those of `uids` (None: all) that are \Deleted; gives what went."""

    async def replace(
        self, delivery: Delivery, mailbox_id: MailboxId, uid: Uid, account_id: AccountId | None = None
    ) -> Appended:
        """Deliver it, and remove this message, whatever its flags say: both or neither (RFC 8508).

        The message is of the same account, or of `account_id`. Only the difference counts for the quota. Raises as `deliver`
        does, and ConflictError when the message is gone.
        """

    async def remove(
        self, account_id: AccountId, mailbox_id: MailboxId, uids: Uids, events: Sequence[Event] = ()
    ) -> list[Uid]:
        """Remove whatever the flags say: POP3's DELE, retention."""


class Queue(Protocol):
    """Mail that waits to go out. Delivering it is the queue runner's work (`queue`); here it is kept, leased and settled."""

    async def submit(self, submission: Submission) -> Submitted:
        """Take a message of an origin with limits: judged (`values.sending.judge`), counted and kept in one transaction.

        While an incident of the origin is open, all it sends is held there. Raises as `deliver` does, and LimitError when
        the incident holds `HELD_MOST` recipients already.
        """

    async def queued(
        self, limit: int = 1000, after: QueueId | None = None, where: QueueFilter | None = None
    ) -> list[QueuedRecipient]:
        """By id, so that `after` continues a page."""

    async def queue_depth(self) -> int: ...
    async def lease(
        self,
        now: int,
        until: int,
        limit: int,
        per_origin: int,
        busy: frozenset[str] = frozenset(),
        full: frozenset[str] = frozenset(),
    ) -> list[QueuedRecipient]:
        """Up to `limit` due recipients, leased until then; each origin with due mail gives at most `per_origin`, oldest first.

        Domains in `busy` and origins (`Origin.key`) in `full` are passed over. Costs the same however long the queue is, per
        origin with due mail.
        """

    async def next_due(self, now: int) -> int | None:
        """When the next waiting (or leased) recipient is due; None: nothing waits. Something due already gives `now`."""

    async def settle(
        self,
        settled: Sequence[Settled],
        events: Sequence[Event] = (),
        deliveries: Sequence[Delivery] = (),
        notices: Sequence[NewQueued] = (),
    ) -> list[Appended]:
        """End leases, with what they led to: local deliveries and notices are in the same transaction. Unknown ids: nothing.

        When none of them is known any more (a lease expired and another runner was faster), nothing is delivered and no notice
        queued; the events are recorded. A recipient that was put on hold meanwhile stays held unless it is done.
        """

    async def postpone_domain(self, domain: str, due_from: int, until: int, limit: int = 10_000) -> int:
        """Waiting recipients of a domain that are due in [`due_from`, `until`) are due at `until`: its servers are dead.

        Gives how many; `limit` of them: call again.
        """

    async def reclaim(self) -> int:
        """Leased recipients wait again, at once: for a runner that starts and knows that no other one runs."""

    async def change_queue(self, where: QueueFilter, change: QueueChange, now: int, event: Event) -> int:
        """Do this to all recipients that fit, a bounded number at a time; gives how many. An empty filter means all.

        Each transaction that changes some records the event, with their number as `recipients`. What is leased is put on hold,
        or removed, but its attempt is not stopped.
        """

    async def incidents(self, *, open_only: bool = True, limit: int = 100) -> list[Incident]:
        """Newest first."""

    async def incident(self, incident_id: IncidentId) -> Incident: ...
    async def held(
        self, incident_id: IncidentId, limit: int = 1000, after: QueueId | None = None
    ) -> list[QueuedRecipient]:
        """What waits in an incident, by id."""

    async def close_incident(self, incident_id: IncidentId, state: IncidentState, event: Event) -> Incident:
        """RELEASED: its mail waits to go out, due at once, and its origin's usage begins anew. PURGED: its mail is gone.

        Raises NotFoundError, and ConflictError when it is closed already. It is decided at once, and carried out in steps:
        when that is interrupted, the same call again goes on with it, and so does `compact`.
        """

    async def recipient_check(self, address: str) -> tuple[bool, int] | None:
        """What an internal server said of a recipient, and when; None: never asked."""

    async def note_recipient(self, address: str, known: bool, at: int) -> None: ...


class Quotas(Protocol):
    """How full accounts are. A delivery beyond the quota raises OverQuotaError."""

    def quotas(self, accounts: Sequence[AccountId]) -> list[QuotaState]:
        """Of these that exist; read at once on the calling thread."""

    async def quotas_to_tell(self, percent: int) -> list[QuotaState]:
        """Accounts that have used so much of their quota or more, and those whose user was told of any."""

    async def quota_told(
        self, account_id: AccountId, percent: int, notice: Delivery | None = None, event: Event | None = None
    ) -> None:
        """Its user is told of this by the notice, for which there is always room. 0: it has sunk. NotFoundError."""


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events are meant; all that is given must fit, but that `name` and `account_id` are one or the other."""

    trace_id: TraceId | None = None
    name: str = ""
    """An address or a domain that stands in the detail: from, to, address, author, domain. Without case."""
    account_id: AccountId | None = None
    """Or about this account."""
    kind: str = ""
    """What the kind begins with."""
    since: int = 0
    until: int = 0
    """Unix seconds, both included; 0: no bound."""


class Events(Protocol):
    async def record(self, events: Iterable[Event]) -> None: ...
    async def events(
        self, *, kind: str | None = None, account_id: AccountId | None = None, limit: int = 100
    ) -> list[Event]:
        """Newest first."""

    async def events_about(self, where: EventFilter, limit: int = 100) -> list[Event]:
        """Newest first, also among millions of them in a moment."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something the integrity check found. `fatal` means that mail is damaged or lost."""

    fatal: bool
    what: str
    remedy: str


class Upkeep(Protocol):
    """What the steward and the command line do to the store itself."""

    async def check(self, progress: Callable[[int, int], None] | None = None) -> list[Finding]:
        """Database integrity, counters against rows, every blob's checksum, content without rows. [] is a clean store."""

    async def backup(self, folder: str, progress: Callable[[int, int], None] | None = None) -> None:
        """A consistent copy, made while the server runs; `restore` is a function of the engine, on a stopped instance."""

    async def compact(self) -> int:
        """Give unlinked blobs' space back, at most some seconds of work; returns bytes freed."""

    async def checkpoint(self) -> None: ...


class Store(
    Directory,
    Mailboxes,
    Annotations,
    Messages,
    Sharing,
    Queue,
    Pauses,
    OutboundTls,
    DkimKeys,
    Quarantine,
    DmarcResults,
    Reports,
    Watched,
    Search,
    Quotas,
    Retention,
    Imports,
    Events,
    Upkeep,
    Protocol,
):
    """All of it. `listen` tells of commits in this process; other processes hear by the bus (`app`), or by `poll`."""

    @property
    def blobs(self) -> Blobs: ...

    def listen(self, heard: Callable[[Sequence[MailboxChanged]], None]) -> None:
        """Call `heard` on the event loop after each commit of this process that changed mailboxes."""

    def poll(self) -> bool:
        """Did another process commit since the last call? Costs microseconds; the fallback when a bus message was lost."""

    async def close(self) -> None: ...
