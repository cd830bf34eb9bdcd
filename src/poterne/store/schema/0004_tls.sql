-- MTA-STS policies as they were fetched: they count until they expire, whatever DNS says meanwhile.
CREATE TABLE tls_policy (
    domain TEXT PRIMARY KEY,
    policy_id TEXT NOT NULL,
    text BLOB NOT NULL,
    fetched_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    checked_at INTEGER NOT NULL
) STRICT;
CREATE INDEX tls_policy_checked ON tls_policy (checked_at);

-- How TLS went, by UTC day (days since 1970), recipient domain and policy (JSON of values.tls.AppliedPolicy), for one report a day.
CREATE TABLE tls_session (
    day INTEGER NOT NULL,
    domain TEXT NOT NULL,
    policy TEXT NOT NULL,
    succeeded INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    PRIMARY KEY (day, domain, policy)
) WITHOUT ROWID, STRICT;
CREATE TABLE tls_failure (
    day INTEGER NOT NULL,
    domain TEXT NOT NULL,
    policy TEXT NOT NULL,
    failure TEXT NOT NULL,
    sessions INTEGER NOT NULL,
    PRIMARY KEY (day, domain, policy, failure)
) WITHOUT ROWID, STRICT;
