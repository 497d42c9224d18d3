"""A page of pictures with words beneath, for looking through data: it needs no other file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import jinja2


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
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    template = environment.get_template("sheet.html")
    return template.render(title=title, text=text, sections=sections, width=width)
