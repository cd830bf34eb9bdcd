"""DANE for SMTP (RFC 7672, RFC 7671, RFC 6698): `records` says which TLSA records count, `verify` holds a chain against them."""
