"""HTTPS: the few documents that others need to send mail here and to read it. Start at `session.py`; each site has its file."""
