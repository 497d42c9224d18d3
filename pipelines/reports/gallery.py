"""A page of pictures with words beneath, for looking through data: it needs no other file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from pipelines.reports.templates import template_of


class Card(NamedTuple):
    """Some pictures (data URIs) side by side, a name, and lines of text."""

    title: str
    pictures: Sequence[str]
    lines: Sequence[str]


class Section(NamedTuple):
    """A heading, and cards under it."""

    title: str
    cards: Sequence[Card]


def page(title: str, text: str, sections: Sequence[Section], width: int = 220) -> str:
    """Return the page; cards are `width` pixels wide or wider."""
    template = template_of("gallery.html")
    return template.render(title=title, text=text, sections=sections, width=width)
