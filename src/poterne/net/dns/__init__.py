"""Asks name servers: a stub resolver of our own, for asyncio.

Start at `resolver.py` (what one asks, caches and shares), then `exchange.py` (one query to one server), `wire.py` (octets).
It resolves nothing itself: a recursive server does, best a validating one on this machine. It never raises for what servers do.
"""
