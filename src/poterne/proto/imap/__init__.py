"""IMAP4rev1 (RFC 3501) and IMAP4rev2 (RFC 9051), server side, without I/O.

`server.ServerCore` turns bytes into the commands of `commands` and replies of `responses` into bytes. What a command
means is the session's business; what may be said, in which state and how large, is decided here. Start with `server`.
It never collects a message: APPEND comes in pieces.
"""
