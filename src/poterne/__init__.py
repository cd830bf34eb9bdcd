"""Poterne, the mail server that an organisation can open to the Internet without fear."""

__version__ = "0.1.0.dev0"
