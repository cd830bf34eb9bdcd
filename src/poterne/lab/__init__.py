"""A whole mail world on one machine, on loopback and high ports, without root: to try everything before anything is real.

`world.py` puts it together: our server and a neighbour organisation (`instances.py`), a small Internet of strangers' servers
(`remotes.py` says what each is like, `internet.py` runs them), who forges mail (`spoofer.py`), `dns.py` with everybody's zones,
sample mail (`letters.py`), and the lines to paste (`lines.py`).
"""
