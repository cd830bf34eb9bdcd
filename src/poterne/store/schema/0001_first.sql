-- Every key starts with account_id, so that an account's rows lie together and can move to another server as they are.
-- Global are only: domains, login addresses, aliases, the outgoing queue's order, the event log, and `meta`.

CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) WITHOUT ROWID, STRICT;
INSERT INTO meta VALUES ('commit_serial', 0), ('directory_serial', 0), ('uid_validity_floor', 0);

CREATE TABLE domain (
    name TEXT PRIMARY KEY,
    created_at INTEGER NOT NULL
) WITHOUT ROWID, STRICT;

CREATE TABLE account (
    account_id INTEGER PRIMARY KEY AUTOINCREMENT,
    domain TEXT NOT NULL,
    local_part TEXT NOT NULL,
    name TEXT NOT NULL,
    language TEXT NOT NULL,
    verifier BLOB NOT NULL,
    disabled INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX account_address ON account (domain, local_part);

-- What each delivery changes, apart from what an administrator changes: many of these narrow rows share a page.
CREATE TABLE account_counter (
    account_id INTEGER PRIMARY KEY,
    quota_bytes INTEGER NOT NULL,
    used_bytes INTEGER NOT NULL DEFAULT 0,
    modseq INTEGER NOT NULL DEFAULT 0,
    last_content INTEGER NOT NULL DEFAULT 0,
    last_mailbox_id INTEGER NOT NULL DEFAULT 0,
    last_uid_validity INTEGER NOT NULL
) STRICT;

-- Its messages and contents are still there; compaction takes them away in small steps.
CREATE TABLE removed_account (
    account_id INTEGER PRIMARY KEY
) STRICT;

CREATE TABLE keyword (
    account_id INTEGER NOT NULL,
    position INTEGER NOT NULL,
    name TEXT NOT NULL,
    folded TEXT NOT NULL,
    PRIMARY KEY (account_id, position),
    UNIQUE (account_id, folded)
) WITHOUT ROWID, STRICT;

CREATE TABLE alias (
    domain TEXT NOT NULL,
    local_part TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (domain, local_part)
) WITHOUT ROWID, STRICT;

CREATE TABLE alias_target (
    domain TEXT NOT NULL,
    local_part TEXT NOT NULL,
    account_id INTEGER NOT NULL,
    PRIMARY KEY (domain, local_part, account_id)
) WITHOUT ROWID, STRICT;
CREATE INDEX alias_of_account ON alias_target (account_id);

CREATE TABLE mailbox (
    account_id INTEGER NOT NULL,
    mailbox_id INTEGER NOT NULL,
    name TEXT NOT NULL,
    uid_validity INTEGER NOT NULL,
    uid_next INTEGER NOT NULL DEFAULT 1,
    highest_modseq INTEGER NOT NULL,
    messages INTEGER NOT NULL DEFAULT 0,
    unseen INTEGER NOT NULL DEFAULT 0,
    deleted INTEGER NOT NULL DEFAULT 0,
    size_bytes INTEGER NOT NULL DEFAULT 0,
    recent_uid INTEGER NOT NULL DEFAULT 1,
    special_use TEXT,
    selectable INTEGER NOT NULL DEFAULT 1,
    -- `flag_change` is complete for what happened after this modseq; before it, the rows themselves are asked.
    flag_change_floor INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (account_id, mailbox_id)
) WITHOUT ROWID, STRICT;
CREATE UNIQUE INDEX mailbox_name ON mailbox (account_id, name);

CREATE TABLE subscription (
    account_id INTEGER NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (account_id, name)
) WITHOUT ROWID, STRICT;

-- Narrow and clustered: 10,000 flags are some hundred pages. No secondary index, so that STORE on a range rewrites these
-- pages and nothing else; `flag_change` finds what changed.
CREATE TABLE message (
    account_id INTEGER NOT NULL,
    mailbox_id INTEGER NOT NULL,
    uid INTEGER NOT NULL,
    flags INTEGER NOT NULL,
    modseq INTEGER NOT NULL,
    internal_at INTEGER NOT NULL,
    internal_offset INTEGER NOT NULL,
    size INTEGER NOT NULL,
    content_id INTEGER NOT NULL,
    saved_at INTEGER NOT NULL,
    PRIMARY KEY (account_id, mailbox_id, uid)
) WITHOUT ROWID, STRICT;

-- content_id is account_id * 2^36 + a number of the account: one integer, so that the wide rows are in a rowid table.
CREATE TABLE content (
    content_id INTEGER PRIMARY KEY,
    segment INTEGER NOT NULL,
    blob_offset INTEGER NOT NULL,
    blob_size INTEGER NOT NULL,
    header_size INTEGER NOT NULL,
    sent_at INTEGER,
    thread_id INTEGER NOT NULL,
    envelope BLOB NOT NULL,
    structure BLOB NOT NULL,
    parsed BLOB NOT NULL
) STRICT;
CREATE INDEX content_blob ON content (segment, blob_offset, blob_size);

-- Only contents that more than one message shares (COPY) have a row here; delivery pays nothing for it.
CREATE TABLE shared_content (
    content_id INTEGER PRIMARY KEY,
    messages INTEGER NOT NULL
) STRICT;

-- Contents whose last message went; taken away by compaction after a grace.
CREATE TABLE freed_content (
    freed_at INTEGER NOT NULL,
    content_id INTEGER NOT NULL,
    PRIMARY KEY (freed_at, content_id)
) WITHOUT ROWID, STRICT;

CREATE TABLE thread_reference (
    account_id INTEGER NOT NULL,
    hash INTEGER NOT NULL,
    thread_id INTEGER NOT NULL,
    PRIMARY KEY (account_id, hash)
) WITHOUT ROWID, STRICT;

-- Where flags changed: a superset, one row per STORE and range; `message.modseq` says which rows it really was.
CREATE TABLE flag_change (
    account_id INTEGER NOT NULL,
    mailbox_id INTEGER NOT NULL,
    modseq INTEGER NOT NULL,
    first_uid INTEGER NOT NULL,
    last_uid INTEGER NOT NULL,
    PRIMARY KEY (account_id, mailbox_id, modseq, first_uid)
) WITHOUT ROWID, STRICT;

-- Exactly the UIDs that went, as ranges.
CREATE TABLE expunged (
    account_id INTEGER NOT NULL,
    mailbox_id INTEGER NOT NULL,
    modseq INTEGER NOT NULL,
    first_uid INTEGER NOT NULL,
    last_uid INTEGER NOT NULL,
    PRIMARY KEY (account_id, mailbox_id, modseq, first_uid)
) WITHOUT ROWID, STRICT;

CREATE TABLE queue_recipient (
    queue_id INTEGER PRIMARY KEY AUTOINCREMENT,
    account_id INTEGER NOT NULL,
    trace_id TEXT NOT NULL,
    reverse_path TEXT NOT NULL,
    forward_path TEXT NOT NULL,
    segment INTEGER NOT NULL,
    blob_offset INTEGER NOT NULL,
    blob_size INTEGER NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    due_at INTEGER NOT NULL,
    queued_at INTEGER NOT NULL,
    last_reply TEXT NOT NULL DEFAULT '',
    eight_bit INTEGER NOT NULL,
    smtputf8 INTEGER NOT NULL
) STRICT;
CREATE INDEX queue_due ON queue_recipient (state, due_at);
CREATE INDEX queue_blob ON queue_recipient (segment, blob_offset, blob_size);

CREATE TABLE event (
    event_id INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    kind TEXT NOT NULL,
    trace_id TEXT NOT NULL,
    account_id INTEGER,
    peer TEXT NOT NULL,
    reason TEXT NOT NULL,
    detail TEXT NOT NULL
) STRICT;
CREATE INDEX event_kind ON event (kind);
CREATE INDEX event_account ON event (account_id) WHERE account_id IS NOT NULL;
