-- What was brought from another server or from files, so that it comes once: written in the transaction that stores it.
CREATE TABLE import_source (
    account_id INTEGER NOT NULL,
    source_id INTEGER NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (account_id, source_id),
    UNIQUE (account_id, name)
) WITHOUT ROWID, STRICT;

-- item: its name at the source (a UID, a file name). hash: of its octets as they are stored. flags: as the source had them, in
-- this account's bits, so that a later change there is told from a change here.
CREATE TABLE imported (
    account_id INTEGER NOT NULL,
    source_id INTEGER NOT NULL,
    item TEXT NOT NULL,
    mailbox_id INTEGER NOT NULL,
    uid INTEGER NOT NULL,
    flags INTEGER NOT NULL,
    hash BLOB NOT NULL,
    PRIMARY KEY (account_id, source_id, item)
) WITHOUT ROWID, STRICT;
