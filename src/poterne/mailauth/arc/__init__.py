"""ARC (RFC 8617), verified only: which servers say that they passed a message on, and what they saw. Pure: no I/O, no clock.

`verify.Verifier` is given the header and the body as `mailauth.dkim.verify` is, says which DNS names it needs, is given the
answers and says an `outcome.Outcome`. A chain proves who wrote it and nothing more: what the sealers claim counts only for
whoever trusts each of them.
"""
