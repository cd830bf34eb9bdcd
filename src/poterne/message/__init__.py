"""RFC 5322 and MIME at byte level: header index, structure, envelope, decoding. Never raises on hostile input.

Results are values of `poterne.values.mime`; offsets point into the message's bytes. Does no I/O.
"""
