"""Moving mail: from another server by IMAP, from mbox files and Maildirs, and out again.

A source is opened (`imap_source`, `mbox_source`, `maildir_source`), its folders get names here (`folders`), its messages go
through `arrivals`, which remembers each in the transaction that stores it. Nothing is checked, signed or answered on this way:
what comes was somebody's mail already. Every run may be killed and run again.
"""
