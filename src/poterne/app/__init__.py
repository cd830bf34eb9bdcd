"""The composition root: reads settings, binds ports, starts processes, and puts the parts together.

`supervisor.py` is the parent: it holds the listening sockets and keeps the others alive. `worker.py` serves connections, one
process per core. `steward.py` does what must be done once: upkeep of the store, certificates, metrics. They talk over
`bus.py`. Nothing else in the house knows every class.
"""
