"""The project's load generator, and the comparison with other mail servers on the same machine in the same run.

What it does: starts each *system under test* on loopback high ports in a scratch folder, plays the same traffic to all of
them in turns, and prints rate, CPU per operation of the whole server process tree, memory, and the ratio pair by pair.
What it never does: leave 127.0.0.0/8, look up a name, touch a system-wide configuration, leave a process behind.
Start reading at `scenarios/base.py` (what a scenario is) and `runner.py` (the order in which they run).
"""
