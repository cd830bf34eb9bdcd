"""Where everything durable is: accounts, mailboxes, messages, queue, events, and message bytes.

Start at `interface.py`, the one interface; sessions and operations know nothing else. `sqlite/` is the embedded engine,
`blobs/` the append-only segments. Imports no protocol: errors are by meaning (`errors.py`), and each protocol has one
table that maps them to its replies.
"""
