"""Values that every layer shares: addresses, identifiers, secrets, message structure, stored rows.

Nothing here does I/O, imports another package of ours, or changes once made. Import from the module that holds the
name (`from poterne.values.address import Address`); this package re-exports nothing, so that a reader can follow it.
"""
