"""What a client that has signed in is offered: capabilities, commands, names for ENABLE. Made once for each selection."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from poterne.proto.imap.table import COMMANDS, Entry
from poterne.values.capabilities import ENABLED, SIGNED_IN, commands_gone, switched_off


@dataclass(frozen=True, slots=True)
class Offer:
    """Of an account, for as long as a client is signed in."""

    capabilities: tuple[bytes, ...]
    commands: Mapping[bytes, Entry]
    enables: Mapping[str, bytes]
    """What ENABLE knows, in capitals, and how it is told."""


_APPENDLIMIT: Final = "APPENDLIMIT"


@lru_cache(256)
def offer(without: tuple[str, ...], append_limit: int) -> Offer:
    """What is left without these capabilities (`values.capabilities`)."""
    gone = switched_off(without)
    unknown = {name.encode() for name in commands_gone(gone)}
    return Offer(
        tuple(
            b"%b=%d" % (name.encode(), append_limit) if name == _APPENDLIMIT else name.encode()
            for name in SIGNED_IN
            if name not in gone
        ),
        {name: entry for name, entry in COMMANDS.items() if name not in unknown} if unknown else COMMANDS,
        {name.upper(): name.encode() for name in ENABLED - gone},
    )
