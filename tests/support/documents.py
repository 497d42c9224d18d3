"""The pages of the project and the code blocks in them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.support.paths import ROOT

DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
MARKER = r"<!-- not run: [^\n]+ -->\n"


class Block(NamedTuple):
    """A fenced block.

    Attributes:
        line: number of its first line, from 1.
        language: the text after the opening fence.
        code: its lines.
        skipped: whether it is marked as not run.
    """

    line: int
    language: str
    code: str
    skipped: bool


def all_blocks(text: str) -> Iterator[Block]:
    """Yield every fenced block of a page."""
    pattern = rf"^({MARKER})?```([^\n]*)\n(.*?)^```$"
    for match in re.finditer(pattern, text, re.MULTILINE | re.DOTALL):
        line = text.count("\n", 0, match.start(3)) + 1
        yield Block(line, match[2], match[3], match[1] is not None)


def blocks(text: str, language: str) -> Iterator[tuple[int, str]]:
    """Yield the line and the code of the blocks in a language that are not marked as not run."""
    for block in all_blocks(text):
        if block.language == language and not block.skipped:
            yield block.line, block.code


def commands(document: Path) -> Iterator[list[str]]:
    """Yield the words of every command in the `sh` blocks of a page."""
    for _, code in blocks(document.read_text(encoding="utf-8"), "sh"):
        for line in code.replace("\\\n", " ").split("\n"):
            for part in line.split("&&"):
                words = shlex.split(part, comments=True)
                while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):  # environment variables
                    del words[0]
                if words[:2] == ["taskset", "-c"]:  # the command follows the list of processors
                    del words[:3]
                if ">" in words:
                    del words[words.index(">") :]
                if words:
                    yield [words[0].removeprefix(".venv/bin/"), *words[1:]]


def inline_code(document: Path) -> Iterator[str]:
    """Yield the inline code of a page, outside its blocks."""
    for match in re.finditer(r"`([^`]+)`", _without_blocks(document)):
        yield " ".join(match[1].split())


def links(document: Path) -> Iterator[str]:
    """Yield the targets of the links and images of a page."""
    yield from re.findall(r"\]\(([^)\s]+)\)", _without_blocks(document))


def _without_blocks(document: Path) -> str:
    text = document.read_text(encoding="utf-8")
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
