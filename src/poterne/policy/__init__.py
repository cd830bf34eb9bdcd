"""Decisions: evidence in, verdict out. No I/O, no clock, no randomness, so that each can be replayed, explained and tested.

`access.py` says who may open a session on a listener, `relay.py` whose mail may go elsewhere without a sign-in, `origin.py`
whether the addresses that we see are those of our peers. Sets of networks are in `poterne.values.networks`, relay rules in
`poterne.values.relay`: the settings are checked against them before anything is decided.
"""
