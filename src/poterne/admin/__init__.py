"""What people do to a server: domains, accounts, aliases, certificates, a new instance.

One function per operation, used by the command line now and by the web pages later; each writes its event with who did it.
"""
