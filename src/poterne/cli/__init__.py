"""The command line: one file per group of commands, imported only when used. Output is for people; `--json` for programs.

Exit status: 0 done; 1 it can't be done, standard error says why and what to do; 2 wrong use of the command; 70 and 78 (of
`serve`) the server can't start, or its settings are wrong.
"""
