"""Splits of generated data, by a hash of the content: no two share an example."""

from __future__ import annotations

import hashlib


def split_of_scene(content: str) -> str:
    """Return the only split that may hold a scene or clip with this content."""
    bucket = hashlib.sha256(content.encode()).digest()[0]
    return "validation" if bucket < 26 else "test" if bucket < 64 else "train"


def split_of_text(text: str) -> str:
    """Return the only split that may hold this text."""
    share = hashlib.sha256(text.encode()).digest()[0] / 256
    return "train" if share < 0.8 else "validation" if share < 0.9 else "test"
