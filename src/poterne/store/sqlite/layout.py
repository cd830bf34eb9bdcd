"""What is where in the data folder."""

from typing import Final

BLOB_FOLDER: Final = "messages"
WRITERS_LOCK: Final = "writers.lock"
"""Held by the process whose transaction is open."""
INSTANCE_LOCK: Final = "instance.lock"
"""Held shared by every open store; exclusively by a restore."""
