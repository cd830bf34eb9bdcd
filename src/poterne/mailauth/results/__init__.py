"""Authentication-Results (RFC 8601): what was found out about who a message is from, in the words of the header field.

`write.field` writes ours: nothing that a stranger wrote can say anything in it. `parse.parse` reads those of others, strictly.
"""
