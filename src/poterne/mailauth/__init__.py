"""What DNS and others say about who may send, and how mail must travel: parsed and verified, never fetched.

`mtasts` (RFC 8461), `dane` (RFC 6698, 7671, 7672), `tlsrpt` (RFC 8460). Pure: no I/O, no clock; `policy.tls` decides with it,
`queue.security` gathers what it needs.
"""
