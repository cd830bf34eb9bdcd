import time
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poterne.message.decode import fold, header_text, part_text, searchable_header, transfer_decoded
from poterne.message.encoded import decode_parameter
from poterne.message.scan import scan
from poterne.values.mime import Part

CORPUS = Path(__file__).parents[2] / "corpus"


def leaf_texts(data: bytes, part: Part) -> list[str]:
    if part.message is not None:
        return leaf_texts(data, part.message)
    if part.children:
        return [text for child in part.children for text in leaf_texts(data, child)]
    return [part_text(data[part.body_start : part.body_end], part)]


@pytest.mark.parametrize(
    ("name", "phrase"),
    [
        ("french-8bit", "12 000 €\r\na été voté à l'unanimité"),
        ("encoded-words", "La réunion est déplacée au théâtre, même heure."),
        ("alternative", "<p>Les horaires d’été&nbsp;:</p>"),
        ("calendar", "Point budget, mardi à 14 h."),
        ("signed", "Signé."),
        ("nested-forward", "Original text"),
        ("utf8-headers", "Chère Madame"),
    ],
)
def test_text_of_the_corpus(name: str, phrase: str) -> None:
    data = (CORPUS / f"{name}.eml").read_bytes()
    assert any(phrase in text for text in leaf_texts(data, scan(data).root))


def test_headers_of_the_corpus() -> None:
    envelope = scan((CORPUS / "encoded-words.eml").read_bytes()).envelope
    assert header_text(envelope.subject or b"") == "Réunion déplacée — salle du théâtre"
    assert header_text(envelope.from_[0].name or b"") == "André Lévêque"
    assert [address.mailbox for address in envelope.to] == [
        b"eleonore",
        b"paul",
        b"secretariat",
        b"=?utf-8?q?=C3=89quipe?=",
        b"a",
        b"b",
        None,
    ]
    attachment = scan((CORPUS / "attachment.eml").read_bytes()).root.children[1]
    assert attachment.disposition is not None
    assert decode_parameter(attachment.disposition.params, b"filename") == "Devis n°12 toiture de l'école.pdf"
    assert decode_parameter(attachment.params, b"name") == "Devis n°12.pdf"


@pytest.mark.parametrize(
    ("body", "encoding", "octets"),
    [
        (b"a=C3=A9=\r\nb =3D=zz", b"quoted-printable", "aéb ==zz".encode()),
        (b"YWJj\r\nZGVm\r\n", b"base64", b"abcdef"),
        (b"YWJj!ZGV", b"base64", b"abcde"),
        (b"YWJjZ", b"base64", b"abc"),
        (b"YWJj", b"x-unknown", b"YWJj"),
        (b"=41", b"7bit", b"=41"),
    ],
)
def test_transfer_encodings(body: bytes, encoding: bytes, octets: bytes) -> None:
    assert transfer_decoded(body, encoding) == octets


def test_output_is_capped() -> None:
    for encoding in (b"base64", b"quoted-printable", b"8bit"):
        assert len(transfer_decoded(b"AAAA" * 1000, encoding, 100)) == 100


@given(st.binary(max_size=200), st.sampled_from([b"base64", b"quoted-printable", b"7bit", b"?"]), st.integers(0, 50))
def test_any_body(body: bytes, encoding: bytes, max_bytes: int) -> None:
    assert len(transfer_decoded(body, encoding, max_bytes)) <= max_bytes
    part = Part(b"text", b"plain", 0, 0, len(body), 1, ((b"charset", body[:8]),), encoding=encoding)
    assert isinstance(part_text(body, part, max_bytes), str)


@pytest.mark.parametrize(("one", "other"), [("ÉTÉ", "été"), ("E\u0301te\u0301", "été"), ("Straße", "STRASSE"), ("ﬁn", "FIN"), ("ΣΊΣΥΦΟΣ", "σίσυφος"), ("ABC", "abc")])  # fmt: skip
def test_folding_matches(one: str, other: str) -> None:
    assert fold(one) == fold(other)


def test_folding_keeps_what_differs() -> None:
    assert fold("pêche") != fold("peche")
    assert fold("réunion") in fold("la RÉUNION de demain")
    assert searchable_header(b"=?utf-8?q?R=C3=89UNION?=") == fold("réunion")


@given(st.text(max_size=40))
def test_folding_is_stable(text: str) -> None:
    once = fold(text)
    assert unicodedata.normalize("NFKD", once) == once
    assert fold(unicodedata.normalize("NFC", text)) == once


def test_folding_takes_linear_time() -> None:
    begun = time.process_time()
    fold("\u0301\u0316" * 200_000)
    assert time.process_time() - begun < 3
