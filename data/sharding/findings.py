"""What a check of a dataset finds, as text and JSON: see `wordreel check`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from data.annotations.entries import Entry

PRINTED = 5  # examples of a finding in the text
STORED = 200  # in JSON and on the page


class Example(NamedTuple):
    """An example of a finding: a line, and the entries that it is about."""

    text: str
    entries: tuple[Entry, ...] = ()


@dataclass(frozen=True)
class Finding:
    """One thing that is found in a dataset.

    Attributes:
        section: the heading above it.
        name: a stable identifier, for programs that read the JSON.
        text: one line.
        warning: whether it should be fixed, or read before scores are believed.
        values: its numbers, JSON.
        examples: the most important first.
        printed: the number of examples in the text.
    """

    section: str
    name: str
    text: str
    warning: bool = False
    values: Mapping[str, Any] = field(default_factory=dict)
    examples: Sequence[Example] = ()
    printed: int = PRINTED

    def lines(self) -> Iterator[str]:
        """Yield its lines; a warning begins with an exclamation mark."""
        yield f"{'!' if self.warning else ' '} {self.text}"
        for example in self.examples[: self.printed]:
            yield f"    {example.text}"
        if len(self.examples) > self.printed:
            yield f"    and {len(self.examples) - self.printed:,} more"

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        examples = [
            {"text": text, "files": [entry.file for entry in entries]}
            for text, entries in self.examples[:STORED]
        ]
        level = "warning" if self.warning else "note"
        own = {"section": self.section, "name": self.name, "level": level, "text": self.text}
        return {**own, **self.values, "count": len(self.examples), "examples": examples}


def as_text(findings: Iterable[Finding]) -> str:
    """Return the findings below their headings."""
    sections: dict[str, list[str]] = {}
    for finding in findings:
        sections.setdefault(finding.section, []).extend(finding.lines())
    return "".join("\n".join([name, *lines]) + "\n" for name, lines in sections.items())
