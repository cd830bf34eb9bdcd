"""Outbound: due recipients are leased, routed, tried, settled.

`runner.py` is the loop and `plan.py` its pure scheduling; `route.py` says where a domain's mail goes; `attempt.py` is one
conversation with one server; `local.py` delivers to mailboxes of ours. Whose turn it is, is decided by origin and by
destination: nobody's mass mailing makes somebody else wait.
"""
