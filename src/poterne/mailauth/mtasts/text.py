"""A policy of our own as it is served (RFC 8461 §3.2), and the version that its TXT record names (§3.1)."""

from hashlib import sha256
from typing import Final

from poterne.mailauth.mtasts.policy import Policy

_ID_DIGITS: Final = 20


def rendered(policy: Policy) -> bytes:
    """The file."""
    lines = ("version: STSv1", f"mode: {policy.mode.value}", *(f"mx: {one}" for one in policy.mx))
    return "".join(f"{line}\r\n" for line in (*lines, f"max_age: {policy.max_age_s}")).encode("ascii")


def version(policy: Policy) -> str:
    """The `id`: the same for the same policy, another one for every other."""
    return sha256(rendered(policy)).hexdigest()[:_ID_DIGITS]


def record_text(policy: Policy) -> str:
    """The TXT record at `_mta-sts.DOMAIN`."""
    return f"v=STSv1; id={version(policy)};"
