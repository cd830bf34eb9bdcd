"""SASL server exchanges (RFC 4422) without I/O, for SMTP, IMAP and POP3 alike.

The protocol core decodes base64 (`base64.decode`) and hands octets to an exchange from `registry.exchange(name)`; the exchange
answers with a challenge, with credentials to check, or with a failure. It never checks a password itself.
"""
