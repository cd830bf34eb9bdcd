"""The page for people: what to type in, for any mail program, and the profile to download. No script, nothing from elsewhere."""

import base64
from collections.abc import Iterator
from hashlib import sha256
from html import escape
from typing import Final

from poterne.proto.autoconfig.apple import link
from poterne.proto.autoconfig.offer import Offer
from poterne.proto.autoconfig.texts import say

CONTENT_TYPE: Final = "text/html; charset=utf-8"
_STYLE: Final = (
    ":root{color-scheme:light dark}body{font:1.05rem/1.5 system-ui,sans-serif;max-width:44rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.4rem .8rem .4rem 0;border-bottom:1px solid #8886;"
    "overflow-wrap:anywhere}input,button{font:inherit;padding:.3rem .6rem;max-width:100%}.no{color:#b00020;font-weight:600}"
)
_HASH: Final = base64.b64encode(sha256(_STYLE.encode()).digest()).decode("ascii")
POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_HASH}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""The page's Content-Security-Policy."""


def page(offer: Offer, language: str, address: str = "", *, refused: bool = False) -> bytes:
    """The page. `address`: one of a domain of ours, whether it exists or not. `refused`: something else was typed."""
    return "\n".join((*_lines(offer, language, address, refused=refused), "")).encode("utf-8")


def _lines(offer: Offer, language: str, address: str, *, refused: bool) -> Iterator[str]:
    def text(key: str) -> str:
        return escape(say(key, language))

    title = escape(say("title-of", language, address=address)) if address else text("title")
    yield f'<!DOCTYPE html>\n<html lang="{language}">\n<head>\n<meta charset="utf-8">\n<title>{title}</title>'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">\n<meta name="robots" content="noindex">'
    yield f"<style>{_STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>"
    yield f"<p>{text('easy')}</p>"
    if refused:
        yield f'<p class="no" role="alert">{text("unknown")}</p>'
    if not address:
        yield f'<form method="get" action="/"><p><label>{text("ask")}<br>'
        yield '<input type="email" name="emailaddress" required maxlength="254" autocomplete="email"></label>'
        yield f"<button>{text('show')}</button></p></form>"
    elif offer.complete:
        yield f"<h2>{text('apple')}</h2>\n<p>{text('apple-text')}</p>"
        yield f'<p><a href="{escape(link(address))}">{text("download")}</a></p>'
    yield f"<h2>{text('by-hand')}</h2>\n<table>\n<thead><tr>"
    yield "".join(f'<th scope="col">{text(key)}</th>' for key in ("what", "server", "port", "encryption"))
    yield "</tr></thead>\n<tbody>"
    for door in offer.doors:
        cells = (escape(door.host), str(door.port), text("implicit" if door.implicit else "starttls"))
        yield f'<tr><th scope="row">{text(door.protocol.value)}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>'
    yield f"</tbody>\n</table>\n<p>{text('choose')}</p>\n<table>\n<tbody>"
    yield f'<tr><th scope="row">{text("user")}</th><td>{escape(address) or text("user-text")}</td></tr>'
    yield f'<tr><th scope="row">{text("password")}</th><td>{text("password-text")}</td></tr>'
    yield f"</tbody>\n</table>\n<p>{text('warning')}</p>\n</body>\n</html>"
