"""The asyncio edge: the only package that touches sockets, clocks of the loop and TLS.

`listen` accepts and limits, `link` is one connection as our own `asyncio.Protocol`, `drive` moves bytes between a link and
a sans-IO core, `tls` holds contexts and certificates, `dial` connects out, `loops` picks the event loop. Import from the
module that holds the name.
"""
