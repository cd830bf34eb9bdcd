"""A whole mail world on one machine, on loopback and high ports, without root: to try everything before anything is real.

`world.py` puts it together: our server, a neighbour organisation (another instance), `dns.py` with the zones of both, sample mail
(`letters.py`), and the lines to paste (`lines.py`).
"""
