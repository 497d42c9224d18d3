"""Reading English by phrases: what the judges of scenes and of clips share."""

from __future__ import annotations

import re

from data.media.vocabulary import tokenize

Phrase = tuple[str, str]  # kind and text


class NoSentenceError(Exception):
    """The phrases do not fit the grammar."""


def split_phrases(pattern: re.Pattern[str], caption: str) -> list[Phrase]:
    """Cut a caption into the phrases that a pattern's groups name; case and punctuation go.

    A group `kind` gives the kind and the words; a group `kind_name` the kind and the name.

    >>> split_phrases(re.compile("(?P<color>red|blue)|(?P<motion_up>rises)"), "Red, rises!")
    [('color', 'red'), ('motion', 'up')]

    Raises:
        NoSentenceError: if something is no phrase.
    """
    text, phrases, start = " ".join(tokenize(caption)), [], 0
    while start < len(text):
        match = pattern.match(text, start)
        if match is None or text[match.end() : match.end() + 1].strip():
            raise NoSentenceError
        group = str(match.lastgroup)
        kind, _, name = group.partition("_")
        phrases.append((kind, name or match[group]))
        start = match.end() + 1
    return phrases


class PhraseParser:
    """Recursive descent: a subclass has a method per rule of its grammar, each moving `at` on."""

    def __init__(self, phrases: list[Phrase]) -> None:
        """Begin at the first phrase."""
        self.phrases = phrases
        self.at = 0

    def kind(self, ahead: int = 0) -> str:
        """Return the kind of a phrase to come; "" past the last."""
        index = self.at + ahead
        return self.phrases[index][0] if index < len(self.phrases) else ""

    def accept(self, *kinds: str) -> str | None:
        """Step over the next phrase and return its text if it is of these kinds."""
        if self.kind() not in kinds:
            return None
        self.at += 1
        return self.phrases[self.at - 1][1]

    def expect(self, *kinds: str) -> str:
        """Step over the next phrase, which has to be of these kinds."""
        text = self.accept(*kinds)
        if text is None:
            raise NoSentenceError
        return text
