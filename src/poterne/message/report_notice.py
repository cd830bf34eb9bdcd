"""A short mail to a postmaster: what reports about the domain's mail show that somebody should look at. English or French."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from poterne.message.compose import Letter, Mailbox, compose
from poterne.message.texts import Text, paragraph, printable

_MAX_NAME: Final = 254
_TABLE: Final = {
    "subject": Text("Reports about {domain}: please look", "Rapports sur {domain}\u00a0: à vérifier"),
    "intro": Text(
        "Other mail servers report to {hostname} what they receive in the name of {domain}. Since the last look something has "
        "changed.",
        "D’autres serveurs de messagerie signalent à {hostname} ce qu’ils reçoivent au nom de {domain}. Quelque chose a changé.",
    ),
    "new-source": Text(
        "* A source that was not seen before: {name}. Messages: {messages}, of which {failed} fail DMARC. If it is yours, see "
        "that it signs; if not, nothing needs to be done but to keep the policy, or to make it stricter.",
        "* Une source encore jamais vue\u00a0: {name}. Messages\u00a0: {messages}, dont {failed} échouent à DMARC. Si elle est à "
        "vous, faites-lui signer ses messages\u202f; sinon, il suffit de garder la politique, ou de la durcir.",
    ),
    "compliance-drop": Text(
        "* Less mail of your own passes DMARC than before: {percent}\u00a0% instead of {before}\u00a0%. {failed} of {messages} "
        "messages fail. Often a key or an SPF record was changed, or a sender was added.",
        "* Vos propres messages passent moins bien DMARC qu’avant\u00a0: {percent}\u00a0% au lieu de {before}\u00a0%. {failed} "
        "messages sur {messages} échouent. Souvent une clé ou l’enregistrement SPF a changé, ou un expéditeur s’est ajouté.",
    ),
    "reports-stopped": Text(
        "* No reports have come for {before} hours. See whether the DMARC record still asks for them (rua), and whether mail "
        "from outside arrives.",
        "* Aucun rapport n’est arrivé depuis {before} heures. Vérifiez que l’enregistrement DMARC en demande encore (rua) et que "
        "le courrier extérieur arrive.",
    ),
    "commands": Text(
        "For all of it:\n    poterne report dmarc {domain}\n    poterne dns {domain} --check",
        "Pour tout voir\u00a0:\n    poterne report dmarc {domain}\n    poterne dns {domain} --check",
    ),
    "once": Text(
        "Each of these is told once. [reports] alarms = false stops such mail.",
        "Chacun de ces points n’est signalé qu’une fois. [reports] alarms = false arrête ces messages.",
    ),
    "server": Text("Mail server {hostname}", "Serveur de messagerie {hostname}"),
}
KINDS: Final = frozenset({"new-source", "compliance-drop", "reports-stopped"})


@dataclass(frozen=True, slots=True)
class Item:
    """One thing to tell. `kind` is one of KINDS; numbers that it does not speak of do not matter."""

    kind: str
    name: str = ""
    messages: int = 0
    failed: int = 0
    percent: int = 0
    before: int = 0


@dataclass(frozen=True, slots=True)
class ReportNotice:
    hostname: str
    domain: str
    sender: Mailbox
    to: Mailbox
    language: str
    message_id: str
    unix_s: int
    items: Sequence[Item]


def render(notice: ReportNotice) -> bytes:
    """RFC 5322 octets, 7-bit, CRLF. What strangers wrote in the items stays one printable line."""
    domain, hostname = printable(notice.domain, _MAX_NAME), printable(notice.hostname, _MAX_NAME)

    def say(key: str, **values: str | int) -> str:
        text = _TABLE[key]
        chosen = text.fr if notice.language == "fr" else text.en
        return chosen.format(domain=domain, hostname=hostname, **values)

    paragraphs = [paragraph(say("intro"))]
    for one in notice.items:
        numbers = {"messages": one.messages, "failed": one.failed, "percent": one.percent, "before": one.before}
        paragraphs.append(paragraph(say(one.kind, name=printable(one.name, _MAX_NAME), **numbers)))
    paragraphs += [say("commands"), paragraph(say("once"))]
    sender = Mailbox(notice.sender.address, notice.sender.name or say("server"))
    letter = Letter(
        sender=sender,
        to=(notice.to,),
        subject=say("subject"),
        text="\n\n".join(paragraphs) + "\n",
        unix_s=notice.unix_s,
        message_id=notice.message_id,
    )
    return compose(letter)
