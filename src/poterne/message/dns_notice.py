"""The mail to postmaster that something about a domain's DNS got worse: what, and the command that says what to publish."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from poterne.message.compose import Letter, Mailbox, compose
from poterne.message.texts import paragraph, printable, say

_NAME_MOST: Final = 254


class _Words(NamedTuple):
    en: str
    fr: str

    def of(self, language: str) -> str:
        return self.fr if language == "fr" else self.en


_CHECKS: Final = {
    "D02": _Words("where mail comes in (MX)", "arrivée du courrier (MX)"),
    "D03": _Words("null MX", "MX nul"),
    "D04": _Words("addresses of the server", "adresses du serveur"),
    "D05": _Words("names of the addresses (PTR)", "noms des adresses (PTR)"),
    "D06": _Words("the name that the server says of itself (HELO)", "nom que le serveur annonce (HELO)"),
    "D07": _Words("SPF record", "enregistrement SPF"),
    "D08": _Words("limits of SPF", "limites de SPF"),
    "D09": _Words("SPF and strangers", "SPF et les inconnus"),
    "D10": _Words("how many may send (SPF)", "nombre d’adresses autorisées (SPF)"),
    "D11": _Words("names that SPF refers to", "noms cités par SPF"),
    "D12": _Words("things to avoid in SPF", "points à éviter dans SPF"),
    "D13": _Words("SPF and this server", "SPF et ce serveur"),
    "D14": _Words("DKIM keys in DNS", "clés DKIM dans le DNS"),
    "D15": _Words("quality of DKIM keys", "qualité des clés DKIM"),
    "D16": _Words("our own signatures", "nos propres signatures"),
    "D17": _Words("DMARC record", "enregistrement DMARC"),
    "D18": _Words("syntax of DMARC", "syntaxe de DMARC"),
    "D19": _Words("DMARC policy", "politique DMARC"),
    "D20": _Words("what DMARC relies on", "bases de DMARC"),
    "D21": _Words("how DMARC is found", "recherche de DMARC"),
    "D22": _Words("DMARC reports", "rapports DMARC"),
    "D23": _Words("DMARC of the domains below", "DMARC des sous-domaines"),
    "D24": _Words("MTA-STS", "MTA-STS"),
    "D25": _Words("reports about TLS", "rapports sur TLS"),
    "D26": _Words("DANE (TLSA)", "DANE (TLSA)"),
    "D27": _Words("DNSSEC", "DNSSEC"),
    "D28": _Words("who may issue certificates (CAA)", "autorités de certification admises (CAA)"),
    "D30": _Words("what mail programs find (SRV)", "ce que trouvent les logiciels de courrier (SRV)"),
}
"""Short names of the checks of `policy.published`."""
_OUTCOMES: Final = {
    "ok": _Words("well", "correct"),
    "warn": _Words("to be looked at", "à revoir"),
    "fail": _Words("wrong", "en défaut"),
    "unknown": _Words("not known", "inconnu"),
}
_SUBJECT: Final = _Words("DNS of {domain} got worse", "Le DNS de {domain} s’est dégradé")
_WHAT: Final = _Words(
    "The mail server {hostname} has looked at what DNS says of {domain}. This got worse since the last look:",
    "Le serveur de messagerie {hostname} a examiné ce que le DNS dit de {domain}. Voici ce qui s’est dégradé depuis le "
    "dernier examen\u00a0:",
)
_CHANGE: Final = _Words(
    "{check}  {name}: {now} (was: {before})", "{check}  {name}\u00a0: {now} (avant\u00a0: {before})"
)
_COMMAND: Final = _Words(
    "What is wrong, and the records to publish:\n    poterne dns {domain} --check",
    "Pour voir ce qui ne va pas, et les enregistrements à publier\u00a0:\n    poterne dns {domain} --check",
)


@dataclass(frozen=True, slots=True)
class Worse:
    """One check: the stable words of its outcomes before and now."""

    check: str
    before: str
    now: str


@dataclass(frozen=True, slots=True)
class DnsNotice:
    """What it is made from. `domain` is a domain of ours."""

    hostname: str
    domain: str
    sender: Mailbox
    """Without a name it gets one."""
    to: Mailbox
    language: str
    message_id: str
    unix_s: int
    worse: Sequence[Worse]


def dns_notice(notice: DnsNotice) -> bytes:
    """The mail. Of checks without a name their id stands."""
    language, domain = notice.language, printable(notice.domain, _NAME_MOST)
    hostname = printable(notice.hostname, _NAME_MOST)
    changes = "\n".join(f"    {_line(language, one)}" for one in notice.worse)
    text = "\n\n".join(
        (
            paragraph(_WHAT.of(language).format(hostname=hostname, domain=domain)),
            changes,
            _COMMAND.of(language).format(domain=domain),
        )
    )
    name = notice.sender.name or say(language, "server", hostname=hostname)
    return compose(
        Letter(
            sender=Mailbox(notice.sender.address, name),
            to=(notice.to,),
            subject=_SUBJECT.of(language).format(domain=domain),
            text=text + "\n",
            unix_s=notice.unix_s,
            message_id=notice.message_id,
        )
    )


def _line(language: str, one: Worse) -> str:
    name = _CHECKS.get(one.check)
    return _CHANGE.of(language).format(
        check=printable(one.check, 20),
        name=name.of(language) if name is not None else "",
        now=_outcome(language, one.now),
        before=_outcome(language, one.before),
    )


def _outcome(language: str, word: str) -> str:
    known = _OUTCOMES.get(word)
    return known.of(language) if known is not None else printable(word, 20)


NAMED_CHECKS: Final = frozenset(_CHECKS)
