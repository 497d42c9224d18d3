"""Is a sentence about a scene true? A parser of plain English, unaware of the captions' wordings.

It judges what a model says in its own words: a sentence is true when all its statements hold for
one assignment of its mentions to things of the scene, to each mention a thing of its own. A true
sentence may say little; one that does not parse is false.

The grammar, over the phrases in `_PHRASES` (punctuation and case do not count):

    sentence = [opening] [count] {["and" | "with"] clause}
    clause   = ["there is"] mention rest | said ("is" | "there is") mention rest
             | "it" "is" said rest
    rest     = {place | relation (mention | "it") | "is" said | "and" said}
    said     = adjectives | place | relation (mention | "it")

What directly follows a mention is said of it; what follows "is" or "and" is said of the subject
of the clause. "It" is the first subject of the sentence.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass

from data.builtin.phrase_parser import NoSentenceError, Phrase, PhraseParser, split_phrases
from data.builtin.scenes import COLORS, SHAPES, Scene, SceneObject

APART = 0.14  # of the picture's side: from here on one thing is left of or above another

_NUMBERS = {"one": 1, "two": 2, "three": 3}
_NOUNS = {shape: ("shape", shape) for shape in SHAPES}
_ADJECTIVES = {color: ("color", color) for color in COLORS} | {
    "small": ("size", "small"),
    "little": ("size", "small"),
    "large": ("size", "large"),
    "big": ("size", "large"),
}
_SIDES = {
    "left": ("column", "left"),
    "right": ("column", "right"),
    "top": ("row", "top"),
    "bottom": ("row", "bottom"),
}
_CENTRE = (("column", "middle"), ("row", "middle"))
_RELATIONS = {
    "left of": "left",
    "right of": "right",
    "above": "above",
    "over": "above",
    "below": "below",
    "under": "below",
}

_ADJECTIVE, _NOUN, _NUMBER = ("|".join(words) for words in (_ADJECTIVES, _NOUNS, _NUMBERS))
_PHRASES = re.compile(
    rf"(?P<mention>(?:an?|the)(?: (?:{_ADJECTIVE}))* (?:{_NOUN}))"
    rf"|(?:(?:to|on) the )?(?P<relation>{'|'.join(_RELATIONS)})"
    r"|(?:at|in|on) the (?P<place>(?:top|bottom) (?:left|right)(?: corner)?"
    r"|(?:top|bottom|left|right)(?: side)?|centre|center|middle)"
    rf"|(?P<adjectives>(?:{_ADJECTIVE})(?:(?: and)? (?:{_ADJECTIVE}))*)"
    rf"|(?P<count>{_NUMBER}) (?:thing|shape|object)s?"
    r"|(?P<opening>(?:the|a) picture (?:shows|of))"
    r"|(?P<there>there (?:is|are))"
    r"|(?P<is>is)|(?P<it>it)|(?P<and>and)|(?P<with>with)"
)

Statement = tuple[str, str]  # an attribute of `Thing` and its value: ("color", "red")


@dataclass(frozen=True)
class Claims:
    """What a sentence states.

    Attributes:
        count: how many things there are in all, where it says so.
        mentions: for each thing mentioned, the statements about it alone.
        relations: (mention, "left" | "right" | "above" | "below", mention), by index.
    """

    count: int | None
    mentions: tuple[frozenset[Statement], ...]
    relations: tuple[tuple[int, str, int], ...]


def is_true(caption: str, scene: Scene) -> bool:
    """Return whether every statement of the caption holds in the scene."""
    claims = parse(caption)
    if claims is None or claims.count not in (None, len(scene.things)):
        return False
    return any(
        all(
            getattr(thing, attribute) == value
            for thing, mention in zip(things, claims.mentions, strict=True)
            for attribute, value in mention
        )
        and all(_related(things[one], name, things[two]) for one, name, two in claims.relations)
        for things in itertools.permutations(scene.things, len(claims.mentions))
    )


def _related(one: SceneObject, relation: str, two: SceneObject) -> bool:
    """Return whether `one` is clearly left of, right of, above or below `two`."""
    right, down = one.x - two.x, one.y - two.y
    return {"left": -right, "right": right, "above": -down, "below": down}[relation] > APART


def parse(caption: str) -> Claims | None:
    """Return what a caption states, or None if it is no sentence of the grammar.

    >>> claims = parse("Two things: a big star, and a heart above it.")
    >>> claims.count, claims.relations, [sorted(mention) for mention in claims.mentions]
    (2, ((1, 'above', 0),), [[('shape', 'star'), ('size', 'large')], [('shape', 'heart')]])
    >>> parse("a star above")
    """
    try:
        return _Parser(split_phrases(_PHRASES, caption)).sentence()
    except NoSentenceError:
        return None


class _Parser(PhraseParser):
    """A method per rule of the grammar above."""

    def __init__(self, phrases: list[Phrase]) -> None:
        super().__init__(phrases)
        self.mentions: list[set[Statement]] = []
        self.relations: list[tuple[int, str, int]] = []

    def sentence(self) -> Claims:
        self.accept("opening", "there")
        count = self.accept("count")
        if count is None or self.kind():
            self.clause()
        while self.kind():
            self.accept("and", "with")
            self.clause()
        return Claims(
            _NUMBERS[count] if count else None,
            tuple(map(frozenset, self.mentions)),
            tuple(self.relations),
        )

    def clause(self) -> None:
        if self.kind() in ("place", "relation"):  # "on the left is a star"
            subject = self.new_mention()
            self.said(subject)
            self.expect("is", "there")
            self.describe(subject, self.expect("mention"))
        elif self.accept("it"):
            subject = self.first_mention()
            self.expect("is")
            self.said(subject)
        else:
            self.accept("there")
            subject = self.new_mention()
            self.describe(subject, self.expect("mention"))
        self.rest(subject)

    def rest(self, subject: int) -> None:
        nearest = subject
        while True:
            if self.kind() in ("place", "relation"):
                nearest = self.said(nearest)
            elif self.accept("is") or (self.and_said() and self.accept("and")):
                nearest = self.said(subject)
            else:
                return

    def and_said(self) -> bool:
        """Return whether "and" goes on about the subject: not "and on the left is a star"."""
        if self.kind() != "and":
            return False
        after = {"adjectives": 2, "place": 2, "relation": 3}.get(self.kind(1))
        return after is not None and self.kind(after) not in ("is", "there")

    def said(self, about: int) -> int:
        """Read what is said of one mention; return the latest mention."""
        kind, text = self.kind(), self.expect("adjectives", "place", "relation")
        if kind != "relation":
            self.describe(about, text)
            return about
        if self.accept("it"):
            other = self.first_mention()
        else:
            other = self.new_mention()
            self.describe(other, self.expect("mention"))
        self.relations.append((about, _RELATIONS[text], other))
        return other

    def new_mention(self) -> int:
        self.mentions.append(set())
        return len(self.mentions) - 1

    def first_mention(self) -> int:
        if not self.mentions:
            raise NoSentenceError
        return 0

    def describe(self, mention: int, text: str) -> None:
        """Add the statements of a noun phrase, of adjectives or of a place."""
        for word in text.split():
            known = _NOUNS.get(word) or _ADJECTIVES.get(word) or _SIDES.get(word)
            if known:
                self.mentions[mention].add(known)
            elif word in ("centre", "center", "middle"):
                self.mentions[mention].update(_CENTRE)
