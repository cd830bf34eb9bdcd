"""IMAP sessions: commands of `proto.imap` to store operations, and what came of them to responses.

Start at `session.py`: its table says which function answers which command. `client.py` is what one connection remembers,
`updates.py` tells it what changed in its mailbox. Syntax, states of the protocol and size limits are `proto.imap`'s business.
"""
