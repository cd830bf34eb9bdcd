"""Sans-IO protocol cores: bytes in, events out; replies in, bytes out. No sockets, no clock, no storage.

Start at `core.py`, the one interface; then `smtp/server.py`. `net.drive` is the only code that moves bytes between a core
and a socket.
"""
