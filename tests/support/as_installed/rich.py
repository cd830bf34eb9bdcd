"""Not there: only a tool of developers brings `rich`, and the server's log would import all of it at each start."""

raise ImportError(__doc__)
