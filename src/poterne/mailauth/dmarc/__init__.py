"""DMARC (RFC 9989): does the author's domain answer for this message, and what does it want done if not? Pure: no I/O, no clock.

`discover.discover` finds the record that applies to an author's domain, and its Organizational Domain (`walk`): it says which DNS
names it needs and is given the answers. `check.judge` joins that with what SPF and DKIM proved into an `outcome.Outcome`;
`check.evaluated` is both, with a resolver. `record` reads a record and says what is wrong with it, `external` asks whether
somebody else's mailbox wants a domain's reports (RFC 9990 §4).
"""
