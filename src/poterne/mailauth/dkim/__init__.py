"""DKIM (RFC 6376, 8301, 8463, 8616): who signed a message, and signing our own. Pure: no I/O, no clock.

`verify.Verifier` is given the header as it came and the octets of the body, says which DNS names it needs, is given the answers
and says one `outcome.Outcome` per signature. `sign.Signer` is given the same and says the fields to put before the message.
`canonical` hashes bodies in one pass, `parse` reads a signature, `record` a key in DNS, `keys` makes our own and their records.
What is not beyond doubt is refused: a signature never passes that was not understood, or that does not cover all of the body.
"""
