"""SPF (RFC 7208, RFC 8616 §4): may this client send for that domain? Pure: no I/O, no clock.

`check.check_host` is given a `check.Claim` (who connects, and for whom it speaks), says which DNS questions it needs, is given
the answers and says an `outcome.Outcome`. `record` reads a record whole before anything of it is evaluated, `macro` its macros.
Whatever DNS and senders write: it ends within the limits of RFC 7208 §4.6.4, raises nothing, and what could not be had now is
a temperror, never a pass and never a fail.
"""
