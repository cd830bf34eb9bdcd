-- A message waits once, with the recipients that it must still reach; whose it is, is text, for hosts and routes have no account.
ALTER TABLE queue_recipient RENAME TO old_queue_recipient;
DROP INDEX queue_due;
DROP INDEX queue_blob;

CREATE TABLE queue_message (
    message_id INTEGER PRIMARY KEY AUTOINCREMENT,
    origin_kind TEXT NOT NULL,
    origin_name TEXT NOT NULL,
    account_id INTEGER,
    trace_id TEXT NOT NULL,
    reverse_path TEXT NOT NULL,
    segment INTEGER NOT NULL,
    blob_offset INTEGER NOT NULL,
    blob_size INTEGER NOT NULL,
    start INTEGER NOT NULL,
    queued_at INTEGER NOT NULL,
    eight_bit INTEGER NOT NULL,
    smtputf8 INTEGER NOT NULL,
    requiretls INTEGER NOT NULL,
    ret TEXT NOT NULL,
    envid TEXT NOT NULL,
    incident_id INTEGER,
    recipients INTEGER NOT NULL
) STRICT;
CREATE INDEX queue_message_blob ON queue_message (segment, blob_offset, blob_size);
CREATE INDEX queue_message_trace ON queue_message (trace_id);
CREATE INDEX queue_message_sender ON queue_message (reverse_path COLLATE NOCASE);
CREATE INDEX queue_message_incident ON queue_message (incident_id) WHERE incident_id IS NOT NULL;

-- `origin` repeats the message's: leasing goes round the origins, so that nobody waits behind somebody's mass mailing.
-- `due_at` of a leased row is the end of its lease.
CREATE TABLE queue_recipient (
    queue_id INTEGER PRIMARY KEY AUTOINCREMENT,
    message_id INTEGER NOT NULL,
    origin TEXT NOT NULL,
    domain TEXT NOT NULL,
    forward_path TEXT NOT NULL,
    notify TEXT NOT NULL,
    orcpt TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    due_at INTEGER NOT NULL,
    delay_told INTEGER NOT NULL DEFAULT 0,
    last_reply TEXT NOT NULL DEFAULT ''
) STRICT;
-- An origin's oldest, passing over domains without reading their rows; what is due next at all, and whose it is.
CREATE INDEX queue_due ON queue_recipient (state, origin, due_at, domain);
CREATE INDEX queue_next ON queue_recipient (state, due_at, origin);
CREATE INDEX queue_of_message ON queue_recipient (message_id);
CREATE INDEX queue_domain ON queue_recipient (domain, state, due_at);
CREATE INDEX queue_path ON queue_recipient (forward_path COLLATE NOCASE);

INSERT INTO queue_message (message_id, origin_kind, origin_name, account_id, trace_id, reverse_path, segment, blob_offset,
    blob_size, start, queued_at, eight_bit, smtputf8, requiretls, ret, envid, recipients)
  SELECT q.queue_id, 'account', coalesce((SELECT local_part || '@' || domain FROM account a WHERE a.account_id = q.account_id), ''),
    q.account_id, q.trace_id, q.reverse_path, q.segment, q.blob_offset, q.blob_size,
    -- it begins with "Return-Path: <…>", which stays here
    17 + length(CAST(q.reverse_path AS BLOB)), q.queued_at, q.eight_bit, q.smtputf8, 0, '', '', 1
  FROM old_queue_recipient q;
INSERT INTO queue_recipient (message_id, origin, domain, forward_path, notify, orcpt, state, due_at)
  SELECT q.queue_id, m.origin_kind || ':' || m.origin_name,
    -- behind the last @: a quoted local part may hold one
    lower(substr(q.forward_path, length(rtrim(q.forward_path, replace(q.forward_path, '@', ''))) + 1)), q.forward_path,
    '', '', 'waiting', q.due_at
  FROM old_queue_recipient q JOIN queue_message m ON m.message_id = q.queue_id;
DROP TABLE old_queue_recipient;

-- What is held of one origin. The newest open one of an origin takes what comes.
CREATE TABLE incident (
    incident_id INTEGER PRIMARY KEY AUTOINCREMENT,
    origin TEXT NOT NULL,
    origin_kind TEXT NOT NULL,
    origin_name TEXT NOT NULL,
    account_id INTEGER,
    reason TEXT NOT NULL,
    opened_at INTEGER NOT NULL,
    state TEXT NOT NULL,
    closed_at INTEGER NOT NULL DEFAULT 0,
    messages INTEGER NOT NULL DEFAULT 0,
    recipients INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE UNIQUE INDEX incident_open ON incident (origin) WHERE state = 'open';

-- values.sending.Usage, as numbers.
CREATE TABLE sending_usage (
    origin TEXT PRIMARY KEY,
    day_start INTEGER NOT NULL, day_current INTEGER NOT NULL, day_previous INTEGER NOT NULL,
    external_start INTEGER NOT NULL, external_current INTEGER NOT NULL, external_previous INTEGER NOT NULL,
    new_start INTEGER NOT NULL, new_current INTEGER NOT NULL, new_previous INTEGER NOT NULL,
    minute_start INTEGER NOT NULL, minute_current INTEGER NOT NULL, minute_previous INTEGER NOT NULL
) WITHOUT ROWID, STRICT;

-- Whom an account wrote to, as 64-bit hashes.
CREATE TABLE correspondent (
    account_id INTEGER NOT NULL,
    hash INTEGER NOT NULL,
    first_at INTEGER NOT NULL,
    PRIMARY KEY (account_id, hash)
) WITHOUT ROWID, STRICT;

-- How often an origin sent this (a hash of recipient and content, or of recipient and "answer") within the hour.
CREATE TABLE sending_repeat (
    origin TEXT NOT NULL,
    hash INTEGER NOT NULL,
    start INTEGER NOT NULL,
    current INTEGER NOT NULL,
    previous INTEGER NOT NULL,
    PRIMARY KEY (origin, hash)
) WITHOUT ROWID, STRICT;
CREATE INDEX sending_repeat_start ON sending_repeat (start);

CREATE TABLE sender (
    sender_id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    account_id INTEGER NOT NULL,
    state TEXT NOT NULL,
    scope TEXT NOT NULL,
    verifier BLOB,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    last_used_at INTEGER NOT NULL DEFAULT 0,
    last_peer TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX sender_owner ON sender (account_id);

ALTER TABLE account ADD COLUMN limits TEXT;
ALTER TABLE account ADD COLUMN keeps INTEGER NOT NULL DEFAULT 1;
CREATE TABLE account_forward (
    account_id INTEGER NOT NULL,
    address TEXT NOT NULL,
    PRIMARY KEY (account_id, address)
) WITHOUT ROWID, STRICT;

ALTER TABLE alias ADD COLUMN posting TEXT NOT NULL DEFAULT 'anyone';
ALTER TABLE alias ADD COLUMN posters TEXT NOT NULL DEFAULT '';
CREATE TABLE alias_forward (
    domain TEXT NOT NULL,
    local_part TEXT NOT NULL,
    address TEXT NOT NULL,
    PRIMARY KEY (domain, local_part, address)
) WITHOUT ROWID, STRICT;

-- What an internal server said of a recipient (call-forward), so that it need not be asked again, and mail is taken while it
-- is down. Derived: may be emptied at any time.
CREATE TABLE recipient_check (
    address TEXT PRIMARY KEY,
    known INTEGER NOT NULL,
    checked_at INTEGER NOT NULL
) WITHOUT ROWID, STRICT;
