"""MTA-STS (RFC 8461): `record` reads the TXT record, `policy` the file and matches MX names, `cache` says when to fetch."""
