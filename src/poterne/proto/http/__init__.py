"""HTTP/1.1, server side, as much as one small file needs: one request on a connection, and one answer. Start at `server.py`."""
