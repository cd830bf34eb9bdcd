"""What POP3 commands mean: the INBOX of an account as a maildrop (RFC 1939).

`session.py` answers the core's events, `maildrop.py` is the snapshot that a session sees from sign-in to QUIT.
"""
