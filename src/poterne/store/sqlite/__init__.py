"""The embedded engine: one SQLite database in WAL mode beside the message segments.

Start at `engine.py` (`open_store`). Each operation is a plain function over a transaction (`Tx`) or a snapshot (`Reader`),
grouped by what it is about: `accounts`, `routing`, `mailboxes`, `delivery`, `messages`, `flags`, `copying`, `expunging`,
`queue`, `events`. `transaction.py` is the database side of group commit (`store/writer.py`).
"""
