"""After a power loss: no modseq that a client may have seen is given to another change."""

import hashlib
from pathlib import Path
from typing import Final

import apsw

GAP: Final = 1 << 20
"""More changes than an account can see in the second whose flags a power loss may take back."""
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


def boot_number() -> int:
    """A number for this start of the system, 0 where the system does not tell."""
    try:
        text = _BOOT_ID.read_bytes()
    except OSError:
        return 0
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big") >> 1


def note(connection: apsw.Connection, boot: int) -> bool:
    """Remember the start we are in; after another one leave a gap in all modseqs, and give True. The caller holds the lock."""
    rows = connection.execute("SELECT value FROM meta WHERE key = 'boot'").fetchall()
    before = rows[0][0] if rows else 0
    if before == boot:
        return False
    with connection:
        if before:
            connection.execute("UPDATE account_counter SET modseq = modseq + ?", (GAP,)).fetchall()
            connection.execute("UPDATE mailbox SET highest_modseq = highest_modseq + ?", (GAP,)).fetchall()
        connection.execute("UPDATE meta SET value = ? WHERE key = 'boot'", (boot,)).fetchall()
    return bool(before)
