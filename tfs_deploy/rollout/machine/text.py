"""Text for reasons."""

from __future__ import annotations


def one_line(text: str) -> str:
    """Return a text without line breaks; servers explain themselves in several lines."""
    return " ".join(text.split())
