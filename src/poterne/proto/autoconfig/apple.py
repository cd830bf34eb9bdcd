"""Configuration profiles of iPhone, iPad and Mac: a property list with one mail account, without a password.

Source: Apple's "Device Management", profile-specific payload keys of TopLevel and Mail (com.apple.mail.managed). The identifiers
follow from the address, so that a profile that is installed again replaces the earlier one.
"""

import plistlib
import uuid
from typing import Final
from urllib.parse import quote

from poterne.proto.autoconfig.offer import Offer, Protocol
from poterne.proto.autoconfig.texts import say

CONTENT_TYPE: Final = "application/x-apple-aspen-config"
PATH: Final = "/apple/mail.mobileconfig"
_PASSWORD: Final = "EmailAuthPassword"  # noqa: S105  (a way to sign in)
_TYPES: Final = {Protocol.IMAP: "EmailTypeIMAP", Protocol.POP3: "EmailTypePOP"}


def url(offer: Offer, address: str) -> str:
    """Where the profile is downloaded."""
    return f"{offer.web}{link(address)}"


def link(address: str) -> str:
    """The same within the site."""
    return f"{PATH}?emailaddress={quote(address, safe='')}"


def profile(offer: Offer, address: str, language: str) -> bytes | None:
    """The profile for an address, not signed; None unless mail can be read and sent."""
    incoming, outgoing = offer.incoming, offer.best(Protocol.SMTP)
    if incoming is None or outgoing is None:
        return None
    domain = address.rpartition("@")[2]
    reverse = ".".join(reversed(domain.split(".")))
    about = f"{offer.web}/#{address}"
    account = {
        "PayloadType": "com.apple.mail.managed",
        "PayloadVersion": 1,
        "PayloadIdentifier": f"{reverse}.mail.{_uuid(about, 'id')}.account",
        "PayloadUUID": _uuid(about, "account"),
        "PayloadDisplayName": address,
        "EmailAccountType": _TYPES[incoming.protocol],
        "EmailAccountDescription": address,
        "EmailAddress": address,
        "IncomingMailServerAuthentication": _PASSWORD,
        "IncomingMailServerHostName": incoming.host,
        "IncomingMailServerPortNumber": incoming.port,
        "IncomingMailServerUseSSL": True,
        "IncomingMailServerUsername": address,
        "OutgoingMailServerAuthentication": _PASSWORD,
        "OutgoingMailServerHostName": outgoing.host,
        "OutgoingMailServerPortNumber": outgoing.port,
        "OutgoingMailServerUseSSL": True,
        "OutgoingMailServerUsername": address,
        "OutgoingPasswordSameAsIncomingPassword": True,
    }
    whole = {
        "PayloadType": "Configuration",
        "PayloadVersion": 1,
        "PayloadIdentifier": f"{reverse}.mail.{_uuid(about, 'id')}",
        "PayloadUUID": _uuid(about, "profile"),
        "PayloadDisplayName": say("profile", language, domain=domain),
        "PayloadDescription": say("profile-text", language, address=address),
        "PayloadOrganization": domain,
        "PayloadRemovalDisallowed": False,
        "PayloadContent": [account],
    }
    return plistlib.dumps(whole)


def _uuid(about: str, part: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{about} {part}")).upper()
