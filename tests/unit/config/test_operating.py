"""The settings that docs/operating.md shows are settings that can be loaded."""

import re
from pathlib import Path

from poterne.config.load import parse

GUIDE = Path(__file__).parents[3] / "docs" / "operating.md"


def whole_settings() -> list[str]:
    """The indented blocks that begin with [server] and name a host."""
    blocks = re.findall(r"(?:^(?:    .*)?\n)+", GUIDE.read_text(encoding="utf-8"), re.MULTILINE)
    texts = ["\n".join(line[4:] for line in block.split("\n")) for block in blocks]
    return [text for text in texts if text.lstrip().startswith("[server]\nhostname")]


def test_an_edge_and_the_server_behind_it() -> None:
    edge, inner = (parse(text, GUIDE) for text in whole_settings())
    assert (edge.server.role, inner.server.role) == ("edge", "mailbox")
    (inside,) = edge.route.values()
    assert (inside.host, inside.inbound, inside.verify, inside.tls) == (
        inner.server.hostname,
        True,
        "call-forward",
        "verified",
    )
    assert edge.relay["inside"].hosts == inner.listener["mx"].addresses
    assert inner.route["out"].host == edge.server.hostname
    assert inner.listener["mx"].allow
