-- Domains whose servers forward mail to an account; JSON.
ALTER TABLE account ADD COLUMN forwarders TEXT NOT NULL DEFAULT '';
ALTER TABLE queue_message ADD COLUMN tls_optional INTEGER NOT NULL DEFAULT 0;

-- `private` NULL: the key is gone, and its selector is not used again.
CREATE TABLE dkim_key (
    domain TEXT NOT NULL,
    selector TEXT NOT NULL,
    algorithm TEXT NOT NULL,
    private BLOB,
    state TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    seen_at INTEGER NOT NULL,
    PRIMARY KEY (domain, selector)
) STRICT;

-- All that a message row is made of, so that a release needs nothing but this.
CREATE TABLE quarantine (
    quarantine_id INTEGER PRIMARY KEY AUTOINCREMENT,
    account_id INTEGER NOT NULL,
    trace_id TEXT NOT NULL,
    segment INTEGER NOT NULL,
    blob_offset INTEGER NOT NULL,
    blob_size INTEGER NOT NULL,
    header_size INTEGER NOT NULL,
    sent_at INTEGER,
    thread_hashes BLOB NOT NULL,
    at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    reason TEXT NOT NULL,
    recipient TEXT NOT NULL,
    reverse_path TEXT NOT NULL,
    header_from TEXT NOT NULL,
    subject TEXT NOT NULL,
    peer TEXT NOT NULL,
    envelope BLOB NOT NULL,
    structure BLOB NOT NULL,
    parsed BLOB NOT NULL
) STRICT;
CREATE INDEX quarantine_account ON quarantine (account_id);
CREATE INDEX quarantine_expires ON quarantine (expires_at);
CREATE INDEX quarantine_blob ON quarantine (segment, blob_offset, blob_size);

-- Reports that came by mail and wait to be read.
CREATE TABLE report_mail (
    mail_id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    domain TEXT NOT NULL,
    trace_id TEXT NOT NULL,
    segment INTEGER NOT NULL,
    blob_offset INTEGER NOT NULL,
    blob_size INTEGER NOT NULL,
    at INTEGER NOT NULL,
    author TEXT NOT NULL,
    proven INTEGER NOT NULL
) STRICT;
CREATE INDEX report_mail_blob ON report_mail (segment, blob_offset, blob_size);
CREATE INDEX report_mail_domain ON report_mail (domain);

-- What DMARC said of mail that came, by UTC day (days since 1970) and domain of the policy; policy and row are JSON of
-- values.dmarc, `digest` is of both.
CREATE TABLE dmarc_result (
    result_id INTEGER PRIMARY KEY,
    day INTEGER NOT NULL,
    domain TEXT NOT NULL,
    digest BLOB NOT NULL,
    count INTEGER NOT NULL,
    policy TEXT NOT NULL,
    row TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX dmarc_result_key ON dmarc_result (day, domain, digest);
-- How many rows there are; of domain '': of all domains of the day.
CREATE TABLE dmarc_day (
    day INTEGER NOT NULL,
    domain TEXT NOT NULL,
    rows INTEGER NOT NULL,
    PRIMARY KEY (day, domain)
) WITHOUT ROWID, STRICT;

-- What others reported. `place` is the domain with its labels in reverse, each with a dot behind it, so that a domain and those
-- below it lie together; '' when the domain was removed and its rows wait to be taken away.
CREATE TABLE report_domain (
    domain_id INTEGER PRIMARY KEY AUTOINCREMENT,
    place TEXT NOT NULL,
    reports INTEGER NOT NULL DEFAULT 0,
    rows INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE UNIQUE INDEX report_domain_place ON report_domain (place) WHERE place != '';

CREATE TABLE reporter (
    reporter_id INTEGER PRIMARY KEY AUTOINCREMENT,
    domain_id INTEGER NOT NULL,
    kind TEXT NOT NULL,
    organisation TEXT NOT NULL,
    reports INTEGER NOT NULL DEFAULT 0,
    last_at INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE UNIQUE INDEX reporter_name ON reporter (domain_id, kind, organisation);

-- `text` is JSON of values.dmarc.DmarcReport without its rows, or of values.reports.TlsReport.
CREATE TABLE report (
    report_id INTEGER PRIMARY KEY,
    reporter_id INTEGER NOT NULL,
    digest BLOB NOT NULL,
    domain_id INTEGER NOT NULL,
    kind TEXT NOT NULL,
    day INTEGER NOT NULL,
    days INTEGER NOT NULL,
    begin_at INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    proven INTEGER NOT NULL,
    text TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX report_key ON report (reporter_id, digest);
CREATE INDEX report_begin ON report (domain_id, kind, begin_at);
CREATE INDEX report_day ON report (domain_id, day);

-- What many rows of reports have in common: JSON of all of values.dmarc.SourceDay that is not below.
CREATE TABLE report_result (
    result_id INTEGER PRIMARY KEY,
    digest BLOB NOT NULL UNIQUE,
    last_day INTEGER NOT NULL,
    text TEXT NOT NULL
) STRICT;
CREATE INDEX report_result_day ON report_result (last_day);

-- Rows of DMARC reports, added up over the reports of a day.
CREATE TABLE report_source (
    domain_id INTEGER NOT NULL,
    day INTEGER NOT NULL,
    reporter_id INTEGER NOT NULL,
    result_id INTEGER NOT NULL,
    source_ip TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (domain_id, day, reporter_id, result_id, source_ip)
) WITHOUT ROWID, STRICT;

CREATE TABLE dns_finding (
    domain TEXT NOT NULL,
    check_name TEXT NOT NULL,
    outcome TEXT NOT NULL,
    text TEXT NOT NULL,
    since INTEGER NOT NULL,
    PRIMARY KEY (domain, check_name)
) WITHOUT ROWID, STRICT;

-- Mailing lists that were seen, and the domains that answered for their mail.
CREATE TABLE list_seen (
    list_id TEXT NOT NULL,
    domain TEXT NOT NULL,
    first_at INTEGER NOT NULL,
    last_at INTEGER NOT NULL,
    messages INTEGER NOT NULL,
    PRIMARY KEY (list_id, domain)
) WITHOUT ROWID, STRICT;
CREATE INDEX list_seen_last ON list_seen (last_at);
