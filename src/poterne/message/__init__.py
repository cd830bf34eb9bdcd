"""RFC 5322 and MIME at byte level: header index, structure, envelope, decoding. Never raises on hostile input.

Results are values of `poterne.values.mime`; offsets point into the message's bytes. Does no I/O. Start at `scan.py` (one pass
over a message); `header.py` is the strict view for policy, `section.py` the arithmetic of FETCH, `decode.py` the text for SEARCH,
`compose.py` what the server writes itself. `address.py` is for display and never for deciding who somebody is.
"""
