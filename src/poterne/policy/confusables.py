"""The shape of a name: what people take for the same has the same shape.

A small table of our own: the letters of other scripts, and the digits, that look like ASCII letters in the faces that mail
programs use. It is for domain names and for names of people, all in lower case.
"""
# ruff: noqa: RUF001

import unicodedata
from typing import Final

_LOOKS_LIKE: Final = {
    "a": "аɑαạḁ", "b": "ЬƄьвƅḅ6", "c": "сϲᴄⅽ", "d": "ԁɗđⅾ", "e": "еҽєɛ3", "f": "ƒſẝ", "g": "ɡցԍ9", "h": "һհƕ",
    "j": "јʝϳ", "k": "кκҝƙ", "l": "ⅼӏו|ɭł", "m": "мⅿṃɱ", "n": "ոռņηп", "o": "оοօσøо0", "p": "рρƿþ", "q": "ԛզգ", "r": "гᴦɾʀ",
    "s": "ѕꜱʂ5", "t": "тτŧƭ", "u": "υսʋᴜџ", "v": "ѵνᴠⅴ", "w": "ԝѡաɯω", "x": "хχⅹ", "y": "уүγʏƴ", "z": "ʐᴢƶ2",
}  # fmt: skip
_LINE: Final = "i1іıɩιǃ"
"""What looks like an l."""
_TABLE: Final = {
    **{ord(char): ascii_ for ascii_, chars in _LOOKS_LIKE.items() for char in chars},
    **dict.fromkeys(map(ord, _LINE), "l"),
    ord("ß"): "ss",
    ord("æ"): "ae",
    ord("œ"): "oe",
}
_ASCII: Final = {code: ascii_ for code, ascii_ in _TABLE.items() if code < 128}
_PAIRS: Final = (("rn", "m"), ("vv", "w"), ("cl", "d"))


def shape(text: str) -> str:
    """The same for texts that look alike. Lower case is expected. Takes time linear in the text."""
    if text.isascii():
        shown = text.translate(_ASCII)
    else:
        decomposed = unicodedata.normalize("NFKD", text.translate(_TABLE))
        shown = "".join(char for char in decomposed if not unicodedata.combining(char)).translate(_TABLE)
    for two, one in _PAIRS:
        if two in shown:
            shown = shown.replace(two, one)
    return shown
