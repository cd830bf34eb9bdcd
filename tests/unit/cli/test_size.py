"""Sizes as people write them."""

import pytest

from poterne.cli.size import MOST, octets_of


@pytest.mark.parametrize(
    ("text", "octets"),
    [
        ("0", 0),
        ("4096", 4096),
        ("1k", 1024),
        ("10G", 10 * 2**30),
        ("10 GiB", 10 * 2**30),
        ("500 Mo", 500 * 2**20),
        ("1.5g", 3 * 2**29),
        ("1,5G", 3 * 2**29),
        ("2T", 2**41),
        (str(MOST), MOST),
    ],
)
def test_sizes(text: str, octets: int) -> None:
    assert octets_of(text) == octets


@pytest.mark.parametrize(
    "text", ["", "-1", "G", "1.5", "10P", "10 G B", "1e9", "١٠", str(MOST + 1), "9" * 19 + "T", "1..5G"]
)
def test_no_sizes(text: str) -> None:
    assert octets_of(text) is None
