"""Settings of reports: what can't be an address or a name is said with its remedy."""

import pytest

from poterne.config.reports import Reports, of_reports


def test_the_defaults_are_sound() -> None:
    assert not list(of_reports(Reports()))
    assert not list(
        of_reports(
            Reports(dmarc_address="", tls_address="", organisation="Mairie de Néris", contact="https://a.example")
        )
    )


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        (Reports(dmarc_address="a b"), "dmarc_address"),
        (Reports(dmarc_address="reports@example.org"), "dmarc_address"),
        (Reports(tls_address="a\r\nBcc: x"), "tls_address"),
        (Reports(tls_address="x" * 65), "tls_address"),
        (Reports(tls_address="DMARC-Reports"), "tls_address"),
        (Reports(dmarc_address="Postmaster"), "dmarc_address"),
        (Reports(tls_address="abuse"), "tls_address"),
        (Reports(organisation="a\r\nb"), "organisation"),
        (Reports(contact="x" * 201), "contact"),
    ],
)
def test_what_is_wrong_is_named(settings: Reports, key: str) -> None:
    found = list(of_reports(settings))
    assert [one[0] for one in found] == [("reports", key)]
    assert all(one[1] and one[2] for one in found)
