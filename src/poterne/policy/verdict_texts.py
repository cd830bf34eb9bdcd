"""The words of a verdict: for the sender in the SMTP answer (English), for the reader in a field (English, French).

Names and records in them come from strangers. They are cut, and what is not printable ASCII is "?", so that no text is longer
than it may be, ends its line, or shows what is not there. There are no links: what strangers sent is no place for them.
"""

import base64
import re
from typing import Final

from poterne.message.texts import printable
from poterne.policy.reasons import Found, Reason, Sign, Told
from poterne.proto.smtp.replies import Reply

ANSWER_OCTETS_MOST: Final = 500
SENTENCE_MOST: Final = 400
_NAME_MOST: Final = 72
_RECORD_MOST: Final = 100
_UNPRINTABLE: Final = re.compile(r"[^ -~]")

_CODES: Final = {
    # RFC 7372 §3, RFC 3463 §3.2 and §3.8
    Reason.DMARC_REJECT: "5.7.26",
    Reason.DMARC_QUARANTINE: "5.7.26",
    Reason.UNAUTHENTICATED: "5.7.26",
    Reason.OWN_DOMAIN: "5.7.22",
    Reason.OWN_REVERSE_PATH: "5.7.23",
    Reason.SPF_FAIL: "5.7.23",
    Reason.AUTHOR_DOMAIN: "5.1.8",
    Reason.NO_SUCH_DOMAIN: "5.1.8",
}
_DNS_CODES: Final = {"spf": "4.7.24", "dkim": "4.7.5", "dmarc": "4.7.0"}

_DMARC: Final = (
    "{author} does not answer for this message: {spf}; {dkim}. Its DMARC policy is {tag}={policy}{record}. Send it through a "
    "server of {author} that signs it with DKIM; what forwards it must leave it unchanged"
)
_ANSWERS: Final = {
    Reason.DMARC_REJECT: _DMARC,
    Reason.DMARC_QUARANTINE: _DMARC,
    Reason.OWN_DOMAIN: "{author} is served here, and its mail from outside needs its DKIM signature: {spf}; {dkim}. If you are "
    "one of its users, sign in to send (port 465 or 587). If you send for it, its administrator can give you a DKIM key",
    Reason.OWN_REVERSE_PATH: "{reverse_path} is served here, and you are no server of it ({spf}). If you are one of its users, "
    "sign in to send (port 465 or 587). If you forward, send with a reverse path of your own (SRS)",
    Reason.LOOKALIKE: "{author} looks like {imitated}, which is served here, and nothing proves that this message is from it: "
    "{spf}; {dkim}. If the name is honestly yours, ask the administrator here, by another way, to list it as a neighbour",
    Reason.PROVEN_LOOKALIKE: "{author} looks like {imitated}, which is served here. If the name is honestly yours, ask the "
    "administrator here, by another way, to list it as a neighbour",
    Reason.DISPLAY_NAME: "The author's name shows somebody else, who is served here. Write your own name in From",
    Reason.SPF_FAIL: "{reverse_path} says that you are not one of its servers ({spf}), and {author} has not signed the message. "
    "Send it through a server of {reverse_path}, or sign it with DKIM as {author}",
    Reason.UNAUTHENTICATED: "Nothing proves who sent this message: {spf}; {dkim}. Publish an SPF record, or sign with DKIM",
    Reason.NO_SUCH_DOMAIN: "{author}, the domain of the From field, does not exist in DNS: nobody there could be answered. Write "
    "from an address that exists",
    Reason.AUTHOR_DOMAIN: "The domain of the From field is no name that DNS can hold: write an address that exists",
}
_OTHER: Final = "This message is not taken: its author is not proven"
_DNS: Final = {
    "spf": "DNS could not say now which servers {reverse_path} has: try again later",
    "dkim": "The key of a DKIM signature could not be had from DNS now: try again later",
    "dmarc": "DNS could not say now what is needed to check that this message is from {author}: try again later",
}


def answer(reason: Reason, told: Told) -> Reply:
    """451 for `Reason.DNS`, else 550. At most ANSWER_OCTETS_MOST on the wire: what is too long loses the record, then more."""
    if reason is Reason.DNS:
        kind = told.unknown if told.unknown in _DNS else "dmarc"
        return _fitting(451, _DNS_CODES[kind], _DNS[kind], told)
    return _fitting(550, _CODES.get(reason, "5.7.1"), _ANSWERS.get(reason, _OTHER), told)


def _fitting(code: int, enhanced: str, template: str, told: Told) -> Reply:
    room = ANSWER_OCTETS_MOST - len("550 5.7.26 \r\n")
    text = ""
    for name_most, record_most in ((_NAME_MOST, _RECORD_MOST), (_NAME_MOST, 0), (40, 0), (20, 0)):
        text = _filled(template, told, name_most, record_most)
        if len(text) <= room:
            return Reply(code, enhanced, text)
    return Reply(code, enhanced, text[:room])


def _filled(template: str, told: Told, name_most: int, record_most: int) -> str:
    record = ""
    if told.record_at:
        record = f" at {_cut(told.record_at, name_most)}"
        if told.record and record_most:
            record += f' ("{_cut(told.record, record_most)}")'
    return template.format(
        author=_cut(told.author, name_most) or "the author's domain",
        spf=_cut(told.spf, name_most * 2) or "SPF proves nothing",
        dkim=_cut(told.dkim, name_most * 2) or "no DKIM signature",
        policy=_cut(told.policy, 10),
        tag=_cut(told.tag, 2) or "p",
        record=record,
        imitated=_cut(told.imitated, name_most),
        reverse_path=_cut(told.reverse_path, name_most) or "The reverse path's domain",
    )


def _cut(text: str, most: int) -> str:
    """Printable ASCII, shortened in its middle, where names tell least."""
    shown = _UNPRINTABLE.sub("?", text[: most * 4])
    if len(shown) <= most:
        return shown
    tail = (most - 3) // 2
    return f"{shown[: most - 3 - tail]}...{_UNPRINTABLE.sub('?', text[-tail:])}"


_SENTENCES: Final = {
    Reason.TRUSTED_PEER: (
        "It came from a server that is trusted here.",
        "Ce message vient d’un serveur de confiance.",
    ),
    Reason.PROVEN: (
        "{author} answers for this message.",
        "{author} répond de ce message.",
    ),
    Reason.NO_POLICY: (
        "Nothing proves that this message is from {author}, which does not ask for anything to be done then.",
        "Rien ne prouve que ce message vient de {author}, qui ne demande rien dans ce cas.",
    ),
    Reason.DMARC_REJECT: (
        "Nothing proves that this message is from {author}, and {author} asks for such mail to be rejected.",
        "Rien ne prouve que ce message vient de {author}, et {author} demande de rejeter de tels messages.",
    ),
    Reason.DMARC_QUARANTINE: (
        "Nothing proves that this message is from {author}, and {author} asks for such mail to be put aside.",
        "Rien ne prouve que ce message vient de {author}, et {author} demande de mettre de côté de tels messages.",
    ),
    Reason.OWN_DOMAIN: (
        "It says that it is from {author}, your own organisation, but came from outside without its signature.",
        "Ce message se dit de {author}, votre propre organisation, mais vient de l’extérieur sans sa signature.",
    ),
    Reason.OWN_REVERSE_PATH: (
        "It was sent in the name of {reverse_path}, your own organisation, from a server that is not one of its servers.",
        "Ce message a été envoyé au nom de {reverse_path}, votre propre organisation, par un serveur qui n’est pas le sien.",
    ),
    Reason.LOOKALIKE: (
        "{author} is not {imitated}, it only looks like it. Nothing proves where this message is from.",
        "{author} n’est pas {imitated}, mais y ressemble. Rien ne prouve d’où vient ce message.",
    ),
    Reason.PROVEN_LOOKALIKE: (
        "{author} is not {imitated}, it only looks like it.",
        "{author} n’est pas {imitated}, mais y ressemble.",
    ),
    Reason.DISPLAY_NAME: (
        'The name of its author shows "{imitated}", but it is from {author}.',
        "Le nom de l’auteur affiche «\u00a0{imitated}\u00a0», mais le message vient de {author}.",
    ),
    Reason.SPF_FAIL: (
        "{reverse_path} says that the server that sent it is not one of its own.",
        "{reverse_path} déclare que le serveur qui a envoyé ce message n’est pas le sien.",
    ),
    Reason.UNAUTHENTICATED: (
        "Nothing proves who sent it.",
        "Rien ne prouve qui a envoyé ce message.",
    ),
    Reason.NO_SUCH_DOMAIN: (
        "It says that it is from {author}, which does not exist: nobody there could be answered.",
        "Ce message se dit de {author}, qui n’existe pas : personne ne pourrait y recevoir de réponse.",
    ),
    Reason.AUTHOR_DOMAIN: (
        "Its author has an address that can't exist.",
        "L’adresse de l’auteur ne peut pas exister.",
    ),
    Reason.DNS: (
        "It could not be checked who sent it.",
        "L’expéditeur n’a pas pu être vérifié.",
    ),
}  # fmt: skip
_SIGNS: Final = {
    Sign.SEALER: (
        "It was not refused, because {by} says that it was proven there.",
        "Il n’a pas été refusé, car {by} déclare l’avoir vérifié.",
    ),
    Sign.FORWARDER: (
        "It was not refused, because {by} forwards mail to you.",
        "Il n’a pas été refusé, car {by} vous fait suivre du courrier.",
    ),
    Sign.NAMED_LIST: (
        "It was not refused, because the mailing list {by} is known here.",
        "Il n’a pas été refusé, car la liste de diffusion {by} est connue ici.",
    ),
    Sign.KNOWN_LIST: (
        "It was not refused, because the mailing list {by} has written here before.",
        "Il n’a pas été refusé, car la liste de diffusion {by} a déjà écrit ici.",
    ),
}  # fmt: skip


def sentence(language: str, reason: Reason, found: Found | None, told: Told) -> str:
    """One line for the reader, French for "fr" and English else, at most SENTENCE_MOST characters."""
    which = 1 if language == "fr" else 0
    text = _SENTENCES[reason][which].format(
        author=_cut(told.author, _NAME_MOST) or "?",
        imitated=printable(told.imitated, _NAME_MOST) or "?",  # a name of ours, accents and all
        reverse_path=_cut(told.reverse_path, _NAME_MOST) or "?",
    )
    if found is not None:
        text += " " + _SIGNS[found.sign][which].format(by=_cut(found.by, _NAME_MOST))
    return text[:SENTENCE_MOST]


_NAME: Final = "X-Poterne-Reason"
_WORD_OCTETS: Final = 45
_LINE: Final = 78


def field_of(word: str, text: str) -> bytes:
    """The field with its CRLF; words that are not ASCII as RFC 2047 has them, the stable word always as it is."""
    lines = [f"{_NAME}: {word};"]
    if text.isascii() and "=?" not in text:
        for piece in text.split(" "):
            if len(lines[-1]) + 1 + len(piece) > _LINE:
                lines.append("")
            lines[-1] += f" {piece}"
    else:
        lines += (f" =?utf-8?b?{base64.b64encode(piece).decode('ascii')}?=" for piece in _pieces(text))
    return "".join(f"{line}\r\n" for line in lines).encode("ascii")


def _pieces(text: str) -> list[bytes]:
    """UTF-8 in pieces that fit into an encoded word, no character cut (RFC 2047 §5)."""
    pieces = [b""]
    for char in text:
        octets = char.encode("utf-8", "replace")
        if len(pieces[-1]) + len(octets) > _WORD_OCTETS:
            pieces.append(b"")
        pieces[-1] += octets
    return pieces
