-- Mail that is not tried for now: a domain's, an origin's, or all of it. `until` 0: somebody ends it.
CREATE TABLE queue_pause (
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    since INTEGER NOT NULL,
    until INTEGER NOT NULL,
    PRIMARY KEY (kind, name)
) WITHOUT ROWID, STRICT;
