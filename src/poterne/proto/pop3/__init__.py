"""POP3 without I/O: the server core (RFC 1939, 2449, 2595, 3206, 5034, 6856).

Start with `server.py`; `commands.py` holds the events, `replies.py` what the session answers, `state.py` the table of what is
allowed when.
"""
