-- What others may do in an account's mailboxes (RFC 4314). grantee_id 0: every account of the owner's domain, which stands in
-- `domain` then, so that a reader's mailboxes are found by the index whatever other domains share; else it is "".
CREATE TABLE mailbox_right (
    account_id INTEGER NOT NULL,
    mailbox_id INTEGER NOT NULL,
    grantee_id INTEGER NOT NULL,
    domain TEXT NOT NULL,
    rights INTEGER NOT NULL,
    PRIMARY KEY (account_id, mailbox_id, grantee_id)
) WITHOUT ROWID, STRICT;
CREATE INDEX mailbox_right_grantee ON mailbox_right (grantee_id, domain, account_id);

-- Annotations (RFC 5464). mailbox_id 0: of the account as a whole. reader_id: whose /private entry it is; 0: /shared. modseq: of
-- the account, when the value was last set, so that a session sees what others have changed.
CREATE TABLE annotation (
    account_id INTEGER NOT NULL,
    mailbox_id INTEGER NOT NULL,
    reader_id INTEGER NOT NULL,
    entry TEXT NOT NULL,
    modseq INTEGER NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (account_id, mailbox_id, reader_id, entry)
) WITHOUT ROWID, STRICT;
CREATE INDEX annotation_reader ON annotation (reader_id) WHERE reader_id > 0;

-- IMAP capabilities that are not announced to this account's clients, because one of them is broken: names with spaces.
ALTER TABLE account ADD COLUMN imap_without TEXT NOT NULL DEFAULT '';
