"""Server settings: one TOML file, typed, documented where they are defined.

`settings.py` holds every setting with its default, its reason and the risk of changing it; `load.py` reads a file and
refuses what it does not know, naming file, line, key and remedy; `render.py` writes the sample file and the reference page.
Accounts and domains are not here: they live in the store and change through `admin`.
"""
