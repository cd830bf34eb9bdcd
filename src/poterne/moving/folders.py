r"""What a source's folders become here.

Names get our separator, and lose the prefix that some servers put before everybody's folders ("INBOX."). A folder for sent
mail becomes ours for sent mail, whatever either is called: known by its special use, or, where the source tells none, by the
names that mail programs give.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Final

from poterne.admin.folders import own_folder
from poterne.admin.people import Acting
from poterne.moving.told import FolderError, MovingError, Summary
from poterne.store.errors import ConflictError, LimitError
from poterne.store.interface import Store
from poterne.values.directory import Account
from poterne.values.ids import MailboxId
from poterne.values.mailbox import Mailbox, SpecialUse

_NAMED_MOST: Final = 30
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
USES: Final[Mapping[str, SpecialUse]] = {
    "\\archive": SpecialUse.ARCHIVE,
    "\\drafts": SpecialUse.DRAFTS,
    "\\junk": SpecialUse.JUNK,
    "\\spam": SpecialUse.JUNK,
    "\\sent": SpecialUse.SENT,
    "\\trash": SpecialUse.TRASH,
}
"""RFC 6154, and what came before it."""
_GUESSES: Final[Mapping[SpecialUse, str]] = {
    SpecialUse.DRAFTS: "drafts draft brouillons brouillon entwürfe borradores bozze",
    SpecialUse.SENT: "sent|sent items|sent messages|sent mail|envoyés|éléments envoyés|messages envoyés|courrier envoyé|"
    "gesendet|gesendete objekte|gesendete elemente|enviados|elementos enviados|inviata|posta inviata",
    SpecialUse.JUNK: "junk|junk e-mail|junk email|spam|bulk mail|indésirables|courrier indésirable|pourriel|junk-e-mail|"
    "correo no deseado|posta indesiderata",
    SpecialUse.TRASH: "trash|deleted items|deleted messages|corbeille|éléments supprimés|messages supprimés|papierkorb|"
    "gelöschte objekte|gelöschte elemente|papelera|elementos eliminados|cestino|posta eliminata",
    SpecialUse.ARCHIVE: "archive|archives|archiv|archivo|archivio",
}
_NAMES: Final = {
    name: use for use, names in _GUESSES.items() for name in (names.split("|") if "|" in names else names.split())
}


@dataclass(frozen=True, slots=True)
class Choice:
    """What is to be brought, and how."""

    folders: tuple[str, ...] = ()
    """Only these; "*" stands for any characters. Empty: all."""
    skip: tuple[str, ...] = ()
    """Not these: names, or uses such as "junk"."""
    maps: Mapping[str, str] = field(default_factory=dict)
    """Their name → ours; what is below goes along."""
    since: int = 0
    """Not what came before (Unix seconds)."""
    skip_deleted: bool = False
    flags: bool = True
    """Flags of what came earlier are brought up to date."""
    remove_gone: bool = False
    """What is gone at the source goes here."""
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Folder:
    """One of the source's. `name` has "/" between its levels and no common prefix."""

    key: bytes
    """What the source calls it."""
    name: str
    use: SpecialUse | None = None
    subscribed: bool = False


@dataclass(frozen=True, slots=True)
class Placed:
    """A folder, and what it becomes: a name, or our folder for a use and what is below it."""

    folder: Folder
    name: str
    use: SpecialUse | None
    rest: str = ""
    """"/2020" when the source's is below the one for that use."""

    @property
    def shown(self) -> str:
        return self.name


def clean(name: str, separator: str) -> str:
    """A name of the source as one of ours: NFC, "/" between levels, none of them empty, INBOX in capitals."""
    if separator and separator != "/":
        name = name.replace("/", "_").replace(separator, "/")
    name = _CONTROL.sub("_", unicodedata.normalize("NFC", name))
    levels = [level for level in name.split("/") if level.strip()]
    if levels and levels[0].upper() == "INBOX":
        levels[0] = "INBOX"
    return "/".join(levels)


def without_prefix(name: str, prefix: str) -> str:
    """Without what the source puts before all folders, such as INBOX/; INBOX itself stays."""
    return name[len(prefix) :] if prefix and name.startswith(prefix) and len(name) > len(prefix) else name


def guessed_use(name: str) -> SpecialUse | None:
    """By the names that mail programs give; only at the top."""
    return _NAMES.get(name.casefold())


def wanted(folder: Folder, choice: Choice) -> bool:
    if choice.folders and not any(_fits(folder, pattern) for pattern in choice.folders):
        return False
    return not any(_fits(folder, pattern) for pattern in choice.skip)


def _fits(folder: Folder, pattern: str) -> bool:
    if folder.use is not None and pattern.lower() == folder.use.value.removeprefix("\\").lower():
        return True
    pattern = "INBOX" if pattern.upper() == "INBOX" else pattern
    return fnmatchcase(folder.name, pattern) or folder.name.startswith(f"{pattern}/")


def select(folders: Sequence[Folder], choice: Choice, summary: Summary) -> list[Folder]:
    """Those that are wanted. A name that was chosen and is not there is noted; when none is there, raises MovingError."""
    missing = [name for name in choice.folders if not any(_fits(folder, name) for folder in folders)]
    if missing and len(missing) == len(choice.folders):
        names = [folder.name for folder in folders]
        more = f" and {len(names) - _NAMED_MOST:,} more" if len(names) > _NAMED_MOST else ""
        raise MovingError(
            f"there is no folder {', '.join(missing)}: there are {', '.join(names[:_NAMED_MOST]) or 'none at all'}{more}"
        )
    missing += [old for old in choice.maps if not any(f"{folder.name}/".startswith(f"{old}/") for folder in folders)]
    for name in missing:
        summary.note(f"there is no folder {name}")
    return [folder for folder in folders if wanted(folder, choice)]


def place(folders: Sequence[Folder], choice: Choice) -> list[Placed]:
    """Where each goes. Of two folders for one use the first is it; the other keeps its name."""
    taken: dict[SpecialUse, str] = {}
    for folder in folders:
        if folder.use is not None:
            taken.setdefault(folder.use, folder.name)
    tops = {name: use for use, name in taken.items()}
    placed = []
    for folder in folders:
        mapped = next((old for old in choice.maps if folder.name == old or folder.name.startswith(f"{old}/")), None)
        if mapped is not None:
            name = clean(choice.maps[mapped] + folder.name[len(mapped) :], "/")
            placed.append(Placed(folder, name, None))
            continue
        top = next((top for top in tops if folder.name == top or folder.name.startswith(f"{top}/")), None)
        rest = "" if top is None else folder.name[len(top) :]
        placed.append(Placed(folder, folder.name, None if top is None else tops[top], rest))
    return placed


def ours(placed: Placed, mailboxes: Sequence[Mailbox]) -> str:
    """The name it will have here, as far as it is known before anything is made."""
    if placed.use is None:
        return placed.name
    own = next((box.name for box in mailboxes if box.special_use is placed.use and box.selectable), "")
    return (own + placed.rest) if own else placed.name


async def open_mailbox(store: Store, account: Account, placed: Placed, acting: Acting) -> MailboxId:
    """The mailbox for it: found, or made. Raises FolderError for a name that can't be, StoreError."""
    name = placed.name
    if placed.use is not None:
        own = await own_folder(store, account.id, placed.use, acting.trace_id, acting.now)
        if not placed.rest:
            return own
        name = (await store.mailbox_by_id(account.id, own)).name + placed.rest
    for box in await store.mailboxes(account.id):
        if box.name == name and box.selectable:
            return box.id
    event = acting.event("mailbox.created", address=account.address, name=name)
    try:
        return (await store.create_mailbox(account.id, name, None, event)).id
    except LimitError as error:
        raise FolderError(f"it can't be made here as {name} ({error}): give it another name with --map") from None
    except ConflictError:
        return (await store.mailbox(account.id, name)).id
