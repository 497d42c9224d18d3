"""The project's pages and the code blocks in them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tests.support.paths import ROOT

DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def blocks(text: str, language: str) -> Iterator[tuple[int, str]]:
    """Yield the fenced blocks in a language, each with the number of its first line."""
    for match in re.finditer(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        yield text.count("\n", 0, match.start(1)) + 1, match[1]
