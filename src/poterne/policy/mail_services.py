"""Services that many domains send through, by what shows them: names of their servers, and domains that they sign or bounce with.

The names are public and change slowly. A service that is not here is only shown by its domain instead of its name.
"""

from functools import lru_cache
from typing import Final

SERVICES: Final[dict[str, tuple[str, ...]]] = {
    "Google": ("google.com", "googlemail.com", "gappssmtp.com", "1e100.net"),
    "Microsoft 365": ("outlook.com", "onmicrosoft.com", "protection.outlook.com", "hotmail.com"),
    "Amazon SES": ("amazonses.com", "smtp-out.amazonses.com"),
    "Apple iCloud": ("icloud.com", "me.com", "apple.com"),
    "Yahoo": ("yahoo.com", "yahoodns.net"),
    "SendGrid": ("sendgrid.net", "sendgrid.me", "sendgrid.info"),
    "Mailgun": ("mailgun.org", "mailgun.net", "mailgun.com"),
    "Mailchimp": ("mcsv.net", "mcdlv.net", "rsgsv.net", "mandrillapp.com", "mailchimp.com", "mailchimpapp.com"),
    "Postmark": ("mtasv.net", "postmarkapp.com"),
    "SparkPost": ("sparkpostmail.com", "sparkpostmail1.com", "sparkpostmail2.com"),
    "Brevo": ("brevo.com", "sendinblue.com", "mailin.fr", "sender-sib.com", "brevosend.com"),
    "Mailjet": ("mailjet.com", "mailjet.net"),
    "Sarbacane": ("sarbacane.com", "primotexto.com", "tipimail.com"),
    "Alinto": ("alinto.com", "alinto.net", "serenamail.com"),
    "Mailinblack": ("mailinblack.com",),
    "Vade": ("vadesecure.com", "vade-secure.com", "vaderetro.fr"),
    "OVHcloud": ("ovh.net", "ovh.com", "ovh.ca", "ovhcloud.com"),
    "Gandi": ("gandi.net",),
    "Infomaniak": ("infomaniak.ch", "infomaniak.com", "ik.me"),
    "IONOS": ("kundenserver.de", "ionos.com", "ionos.fr", "1and1.com", "perfora.net"),
    "o2switch": ("o2switch.net",),
    "Hostinger": ("hostinger.com", "hostinger.io"),
    "LWS": ("lws.fr", "lws-hosting.com"),
    "PlanetHoster": ("planethoster.net",),
    "Ikoula": ("ikoula.com",),
    "Orange": ("orange.fr", "wanadoo.fr", "orange-business.com"),
    "Free": ("free.fr", "proxad.net"),
    "SFR": ("sfr.fr", "sfr.net", "neuf.fr"),
    "La Poste": ("laposte.net", "laposte.fr"),
    "Renater": ("renater.fr",),
    "Fastmail": ("messagingengine.com", "fastmail.com"),
    "Proton": ("protonmail.ch", "proton.me", "protonmail.com"),
    "Zoho": ("zoho.com", "zoho.eu", "zohomail.com", "zcsend.net"),
    "GMX and WEB.DE": ("gmx.net", "gmx.de", "web.de", "ui-dialog.de"),
    "Mail.ru": ("mail.ru",),
    "Yandex": ("yandex.net", "yandex.ru", "yandex.com"),
    "HubSpot": ("hubspotemail.net", "hubspot.com", "hs-send.com"),
    "Salesforce": ("salesforce.com", "exacttarget.com", "exct.net", "pardot.com"),
    "Zendesk": ("zendesk.com", "zdsys.com"),
    "Freshworks": ("freshdesk.com", "freshemail.io", "freshworks.com"),
    "Atlassian": ("atlassian.net", "atlassian.com", "statuspage.io"),
    "Shopify": ("shopifyemail.com", "shopify.com"),
    "Klaviyo": ("klaviyomail.com", "klaviyo.com"),
    "ActiveCampaign": ("activecampaign.com", "emsd1.com"),
    "Constant Contact": ("constantcontact.com", "ccsend.com"),
    "Campaign Monitor": ("createsend.com", "cmail19.com", "cmail20.com"),
    "MailerLite": ("mailerlite.com", "mlsend.com"),
    "Mimecast": ("mimecast.com",),
    "Proofpoint": ("pphosted.com", "ppe-hosted.com", "proofpoint.com"),
    "Barracuda": ("barracudanetworks.com", "ess.barracudanetworks.com"),
    "Cisco": ("iphmx.com",),
    "Hornetsecurity": ("hornetsecurity.com", "antispameurope.com"),
    "Spamhero and others": ("spamhero.com", "mailroute.net"),
    "DocuSign": ("docusign.net", "docusign.com"),
    "GitHub": ("github.com",),
}
_BY_DOMAIN: Final = {domain: name for name, domains in SERVICES.items() for domain in domains}


@lru_cache(maxsize=4096)
def service_of(name: str) -> str:
    """The service that this name, or a domain above it, belongs to; "" for none."""
    while name:
        found = _BY_DOMAIN.get(name)
        if found is not None:
            return found
        name = name.partition(".")[2]
    return ""
