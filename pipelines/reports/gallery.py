"""A page of images with text, to browse a dataset: one file that loads nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pipelines.reports.templates import template_of


class Card(NamedTuple):
    """Images (data URIs) side by side, a title and lines of text."""

    title: str
    images: Sequence[str]
    lines: Sequence[str]


def page(title: str, text: str, sections: Mapping[str, Sequence[Card]], width: int = 220) -> str:
    """Return the page of cards by heading; they are at least `width` pixels wide."""
    template = template_of("gallery.html")
    return template.render(title=title, text=text, sections=sections, width=width)
