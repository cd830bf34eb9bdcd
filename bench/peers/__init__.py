"""Servers by others, as private instances in a scratch folder: Postfix 3.7 + Dovecot 2.3 as Debian 12 ships them."""
