-- "What was sent by, to or refused for this address or domain?" has an answer without reading all events.
CREATE TABLE event_name (
    name TEXT NOT NULL,
    event_id INTEGER NOT NULL,
    PRIMARY KEY (name, event_id)
) WITHOUT ROWID, STRICT;

CREATE INDEX event_trace ON event (trace_id) WHERE trace_id <> '';

INSERT OR IGNORE INTO event_name
    SELECT lower(found.atom), event_id FROM event, json_each(event.detail) found
    WHERE found.key IN ('from', 'to', 'author', 'address', 'domain') AND found.type = 'text'
    AND length(found.atom) BETWEEN 1 AND 320;
INSERT OR IGNORE INTO event_name
    SELECT lower(substr(found.atom, instr(found.atom, '@') + 1)), event_id FROM event, json_each(event.detail) found
    WHERE found.key IN ('from', 'to', 'address') AND found.type = 'text'
    AND length(found.atom) BETWEEN 1 AND 320 AND instr(found.atom, '@') BETWEEN 1 AND length(found.atom) - 1;
