"""Reports that others send us: aggregate (RFC 7489, RFC 9990), TLS (RFC 8460), failure (RFC 6591, RFC 9991). Pure."""
