"""What a connection means: events of a protocol core become decisions, store operations and replies.

One session per connection (`net.drive.Session`): `smtp`, `imap`, `pop3`. Shared by them: `authenticate` (is this the password?),
`slowing` (how long a guesser waits), `ingest` (bytes to stored content in one pass), `pending` (what an IMAP client was told),
`notify` (who wakes a session when a mailbox changes).
"""
