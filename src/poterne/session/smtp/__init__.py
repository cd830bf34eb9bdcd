"""What SMTP commands mean: who may send, to whom, and what becomes of the message.

`session.py` turns the core's events into replies; `envelope.py` is the transaction in progress and its acceptance; `header.py`
judges and cleans the header before anything is stored; `sender.py` says which addresses are whose; `services.py` is what a
session needs of the rest of the house. Two services share it: `mx` takes mail for local domains from anybody and relays nothing;
`submission` takes mail from authenticated accounts only.
"""
