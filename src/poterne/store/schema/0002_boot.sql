-- Which start of the system the database was last opened in. After another one, the last second of flag changes may be lost:
-- then modseqs go on with a gap, so that none that a client has seen is given again.
INSERT INTO meta VALUES ('boot', 0);
