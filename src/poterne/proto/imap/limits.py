"""How much a client may ask of the parser."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, eq=False)
class Limits:
    """Bounds of one connection, each of them inclusive. One object serves many connections; it is compared by identity.

    Memory is at most about `line_bytes` + `literal_bytes` + `pipelined_bytes` and a small multiple of the first two for
    what is made of them, whatever is announced.
    """

    guest_line_bytes: int = 16_384
    """The lines of one command before login, literals not counted. AUTHENTICATE with a long token fits (RFC 4954 §4:
    12288 octets); strangers need no more."""
    line_bytes: int = 65_536
    """The same after login: clients send UID sets of tens of KiB (RFC 2683 §3.2.1.5 wants at least 8000)."""
    sasl_line_bytes: int = 12_288
    """One answer to a SASL challenge (RFC 4954 §4 names the same)."""
    guest_literal_bytes: int = 4_096
    """A literal before login, sum over the command: what LITERAL- permits without asking (RFC 7888 §5)."""
    literal_bytes: int = 65_536
    """A literal after login that is not a message, sum over the command: names and search strings."""
    append_bytes: int = 64 * 1024 * 1024
    """One message of APPEND. The session may refuse less. A refused one is read and dropped up to this size as well."""
    append_messages: int = 1_000
    """Messages in one APPEND (RFC 3502): they stay uncommitted until the last has come."""
    literals: int = 1_000
    """Literals in one command, each of which may cost a round trip and an answer."""
    discard_bytes: int = 1024 * 1024
    """What is read and dropped of a refused command so that the connection can go on; beyond, it is closed. After login."""
    guest_discard_bytes: int = 65_536
    """The same before login."""
    pipelined_bytes: int = 4 * 1024 * 1024
    """Received while a command is being worked on. The driver should stop reading far earlier."""
    depth: int = 100
    """Nesting of a search: parentheses, NOT and OR. Bounds recursion here and in whoever evaluates the tree."""
    search_keys: int = 2_000
    """Keys in one search: each is looked at for each message."""
    list_items: int = 1_000
    """Members of a parenthesised list, and items of one FETCH: header names, patterns, flags, ID pairs."""
    filter_names: int = 1_000
    """Mailbox filters of one command, and the names in them: each is held against each mailbox at each change."""
    sequence_parts: int = 16_384
    """Comma-separated parts of a sequence set; a full line has about that many."""
    part_depth: int = 200
    """Numbers in a section such as BODY[1.2.3]: deeper than any structure kept."""
    metadata_value_bytes: int = 16_384
    """One value of SETMETADATA: for the answer to a literal that is larger than any may be."""
