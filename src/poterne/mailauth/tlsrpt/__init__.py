"""TLS reports (RFC 8460): `record` reads who wants them, `results` names what went wrong, `report` writes one."""
