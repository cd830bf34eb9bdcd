"""SMTP without I/O: server and client cores.

Start with `server.py` (the state and what is asked of the session), then `state.py` (which command is allowed when),
`data.py` (the message's bytes: framing, dot-unstuffing, line ends), `path.py` and `values/address.py` (addresses). The client
side is `client.py`. Nothing here knows accounts, domains, policy or time.
"""
