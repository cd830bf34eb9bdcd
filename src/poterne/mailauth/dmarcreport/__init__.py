"""Writing DMARC aggregate reports (RFC 9990, and RFC 7489 for who needs it): the XML and the message around it. Pure."""
