-- Rules beside those of the settings: of a domain (account_id 0) or of an account (domain '').
CREATE TABLE retention_rule (
    domain TEXT NOT NULL,
    account_id INTEGER NOT NULL,
    what TEXT NOT NULL,
    folder TEXT NOT NULL,
    days INTEGER NOT NULL,
    PRIMARY KEY (domain, account_id, what, folder)
) WITHOUT ROWID, STRICT;

CREATE TABLE legal_hold (
    domain TEXT NOT NULL,
    account_id INTEGER NOT NULL,
    reason TEXT NOT NULL,
    since INTEGER NOT NULL,
    PRIMARY KEY (domain, account_id)
) WITHOUT ROWID, STRICT;

-- Expunged messages that can still come back, as their row in `message` was. They keep their contents, shared ones too.
CREATE TABLE kept_message (
    account_id INTEGER NOT NULL,
    gone_at INTEGER NOT NULL,
    mailbox_id INTEGER NOT NULL,
    uid INTEGER NOT NULL,
    flags INTEGER NOT NULL,
    internal_at INTEGER NOT NULL,
    internal_offset INTEGER NOT NULL,
    size INTEGER NOT NULL,
    content_id INTEGER NOT NULL,
    saved_at INTEGER NOT NULL,
    PRIMARY KEY (account_id, gone_at, mailbox_id, uid)
) WITHOUT ROWID, STRICT;

-- What POP3 clients fetched and left here, and when first.
CREATE TABLE fetched (
    account_id INTEGER NOT NULL,
    mailbox_id INTEGER NOT NULL,
    uid INTEGER NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (account_id, mailbox_id, uid)
) WITHOUT ROWID, STRICT;

-- `expunged` is complete for what happened after this modseq.
ALTER TABLE mailbox ADD COLUMN expunged_floor INTEGER NOT NULL DEFAULT 0;

ALTER TABLE account_counter ADD COLUMN quota_messages INTEGER NOT NULL DEFAULT 0;
ALTER TABLE account_counter ADD COLUMN used_messages INTEGER NOT NULL DEFAULT 0;
-- Percent of the quota of which the user was told.
ALTER TABLE account_counter ADD COLUMN quota_told INTEGER NOT NULL DEFAULT 0;
UPDATE account_counter SET used_messages =
    (SELECT coalesce(sum(messages), 0) FROM mailbox m WHERE m.account_id = account_counter.account_id);
