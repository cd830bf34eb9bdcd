"""The IMAP capabilities that this server has, and what goes with each of them when it is switched off.

A client that is broken in its use of one capability can be kept from it: for its account (`poterne account imap`) or for
all (`[imap] without`). The capability is no longer announced after sign-in, its commands are unknown, and ENABLE passes
its name over. What stands inside other commands (a FETCH item, a LIST option) is only no longer announced.
"""

import difflib
from collections.abc import Iterable
from typing import Final

ALWAYS: Final = ("IMAP4rev1", "IMAP4rev2", "LITERAL+", "ID", "ENABLE")
GUEST_PLAINTEXT: Final = (*ALWAYS, "STARTTLS", "LOGINDISABLED")
GUEST_ENCRYPTED: Final = (*ALWAYS, "SASL-IR", "AUTH=PLAIN", "AUTH=LOGIN")
SIGNED_IN: Final = (
    *ALWAYS,
    "IDLE",
    "NAMESPACE",
    "CHILDREN",
    "UIDPLUS",
    "UNSELECT",
    "MOVE",
    "MULTIAPPEND",
    "BINARY",
    "LIST-EXTENDED",
    "LIST-STATUS",
    "STATUS=SIZE",
    "SPECIAL-USE",
    "CREATE-SPECIAL-USE",
    "ESEARCH",
    "SEARCHRES",
    "WITHIN",
    "CONDSTORE",
    "QRESYNC",
    "UTF8=ACCEPT",
    "OBJECTID",
    "SAVEDATE",
    "SORT",
    "SORT=DISPLAY",
    "THREAD=ORDEREDSUBJECT",
    "THREAD=REFERENCES",
    "QUOTA",
    "QUOTA=RES-STORAGE",
    "QUOTA=RES-MESSAGE",
    "UNAUTHENTICATE",
    "PREVIEW",
    "PARTIAL",
    "REPLACE",
    "INPROGRESS",
    "MULTISEARCH",
    "UIDONLY",
    "COMPRESS=DEFLATE",
    "METADATA",
    "LIST-METADATA",
    "NOTIFY",
    "ACL",
    "RIGHTS=kxte",
    "LIST-MYRIGHTS",
    "APPENDLIMIT",
)
"""In the order in which they are told. APPENDLIMIT is told with its number."""

COMMANDS: Final[dict[str, tuple[str, ...]]] = {
    "COMPRESS": ("COMPRESS",),
    "ID": ("ID",),
    "ENABLE": ("ENABLE",),
    "IDLE": ("IDLE",),
    "NAMESPACE": ("NAMESPACE",),
    "UIDPLUS": ("UID EXPUNGE",),
    "UNSELECT": ("UNSELECT",),
    "MOVE": ("MOVE", "UID MOVE"),
    "SORT": ("SORT", "UID SORT"),
    "THREAD": ("THREAD", "UID THREAD"),
    "QUOTA": ("GETQUOTA", "GETQUOTAROOT"),
    "MULTISEARCH": ("ESEARCH",),
    "METADATA": ("GETMETADATA", "SETMETADATA"),
    "NOTIFY": ("NOTIFY",),
    "ACL": ("SETACL", "DELETEACL", "GETACL", "LISTRIGHTS", "MYRIGHTS"),
    "UNAUTHENTICATE": ("UNAUTHENTICATE",),
    "REPLACE": ("REPLACE", "UID REPLACE"),
}
"""Commands that there are because of a capability. A family (THREAD) is gone when each of its capabilities is."""
ENABLED: Final = frozenset({"IMAP4rev2", "CONDSTORE", "QRESYNC", "UTF8=ACCEPT", "METADATA", "UIDONLY"})
"""What ENABLE knows."""

_REV2: Final = "IMAP4rev2"
_GOES_WITH: Final[dict[str, tuple[str, ...]]] = {
    "ACL": ("RIGHTS=kxte", "LIST-MYRIGHTS"),
    "CONDSTORE": ("QRESYNC",),
    "ENABLE": (_REV2, "CONDSTORE", "QRESYNC", "UTF8=ACCEPT", "UIDONLY"),
    "ESEARCH": ("SEARCHRES", "PARTIAL", "MULTISEARCH", _REV2),
    "IDLE": (_REV2,),
    "LIST-EXTENDED": ("LIST-STATUS", "LIST-METADATA", "LIST-MYRIGHTS", _REV2),
    "LIST-STATUS": (_REV2,),
    "METADATA": ("LIST-METADATA",),
    "MOVE": (_REV2,),
    "NAMESPACE": (_REV2,),
    "SEARCHRES": (_REV2,),
    "SORT": ("SORT=DISPLAY",),
    "SPECIAL-USE": ("CREATE-SPECIAL-USE", _REV2),
    "STATUS=SIZE": (_REV2,),
    "UIDPLUS": (_REV2,),
    "UNSELECT": (_REV2,),
}
"""What cannot be announced without it: RFCs that build on it, and IMAP4rev2, which contains it (RFC 9051 appendix E)."""

_BEFORE_SIGN_IN: Final = "it is told before sign-in, when nobody knows yet whose client it is"
_FIXED: Final = {
    "IMAP4REV1": "it is the protocol itself",
    "AUTH": _BEFORE_SIGN_IN,
    "LOGINDISABLED": _BEFORE_SIGN_IN,
    "SASL-IR": _BEFORE_SIGN_IN,
    "STARTTLS": _BEFORE_SIGN_IN,
}


class CapabilityError(ValueError):
    """A name that cannot be switched off. `what` is wrong with it, `remedy` says what to do: both for a person."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(f"{what}: {remedy}")
        self.what = what
        self.remedy = remedy


def family(capability: str) -> str:
    """What stands before "=": COMPRESS of COMPRESS=DEFLATE."""
    return capability.partition("=")[0]


def checked(names: Iterable[str]) -> tuple[str, ...]:
    """Names of capabilities or families as we write them, each once, in the order of `SIGNED_IN`. Raises CapabilityError."""
    known = {name.upper(): name for capability in SIGNED_IN for name in (family(capability), capability)}
    found: set[str] = set()
    for text in names:
        name = text.strip().upper()
        if family(name) in _FIXED:
            raise CapabilityError(f"{name} cannot be switched off", _FIXED[family(name)])
        if name not in known:
            close = difflib.get_close_matches(name, list(known), n=1)
            remedy = f"did you mean {known[close[0]]}?" if close else f"there are {', '.join(SIGNED_IN)}"
            raise CapabilityError(f'"{text}" is no capability of this server', remedy)
        found.add(known[name])
    return tuple(name for name in known.values() if name in found)


def switched_off(names: Iterable[str]) -> frozenset[str]:
    """The capabilities that are gone when these, or their families, are switched off. Unknown names mean nothing."""
    wanted = {name.upper() for name in names}
    gone: set[str] = set()
    waiting = [name for name in SIGNED_IN if name.upper() in wanted or family(name).upper() in wanted]
    while waiting:
        name = waiting.pop()
        if name not in gone:
            gone.add(name)
            waiting.extend(_GOES_WITH.get(name, ()))
    return frozenset(gone)


def commands_gone(gone: frozenset[str]) -> frozenset[str]:
    """The commands that are unknown without these capabilities."""
    left = {name for capability in SIGNED_IN if capability not in gone for name in (capability, family(capability))}
    return frozenset(command for name, commands in COMMANDS.items() if name not in left for command in commands)
