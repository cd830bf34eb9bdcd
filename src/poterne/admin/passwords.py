"""Argon2id verifiers as PHC strings (RFC 9106): made when a password is set, checked when somebody signs in.

Both functions take some 30 ms and 19 MiB: never call them on an event loop. The interpreter lock is free meanwhile.
"""

import os
from typing import Final

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from poterne.values.secret import Secret

# OWASP's and RFC 9106's choice for servers with little memory to spare.
MEMORY_KIB: Final = 19 * 1024
ITERATIONS: Final = 2
LANES: Final = 1
_SALT_BYTES: Final = 16
_HASH_BYTES: Final = 32
MAX_PASSWORD_BYTES: Final = 1024
"""A longer password never matches; hashing it would be work for a stranger."""
_PARAMETERS: Final = f"$argon2id$v=19$m={MEMORY_KIB},t={ITERATIONS},p={LANES}$".encode()


def hash_password(password: Secret) -> Secret:
    """A verifier with a new salt. ValueError for a password over MAX_PASSWORD_BYTES."""
    clear = password.reveal()
    if len(clear) > MAX_PASSWORD_BYTES:
        raise ValueError("password too long")
    made = Argon2id(
        salt=os.urandom(_SALT_BYTES),
        length=_HASH_BYTES,
        iterations=ITERATIONS,
        lanes=LANES,
        memory_cost=MEMORY_KIB,
    ).derive_phc_encoded(clear)
    return Secret(made)


def verify(password: Secret, verifier: Secret) -> bool:
    """Is it the password? A verifier that cannot be read matches nothing."""
    clear = password.reveal()
    if len(clear) > MAX_PASSWORD_BYTES:
        return False
    try:
        Argon2id.verify_phc_encoded(clear, verifier.reveal().decode("ascii"))
    except (InvalidKey, ValueError):
        return False
    return True


def needs_rehash(verifier: Secret) -> bool:
    """Was it made with other parameters than today's?"""
    return not verifier.reveal().startswith(_PARAMETERS)
