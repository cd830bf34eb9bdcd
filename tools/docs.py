"""Writes the documentation that is rendered from the code."""

from pathlib import Path

from poterne.config import render

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    """docs/config.md."""
    (ROOT / "docs" / "config.md").write_text(render.reference(), encoding="utf-8")


if __name__ == "__main__":
    main()
