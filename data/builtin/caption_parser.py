"""Parse a caption of a synthetic scene or clip: what does the sentence state?

The parser knows English phrases, not the wordings of the generated captions, so it also reads what
a model writes. Punctuation and case are ignored. The grammar, over the phrases below:

    sentence  = [opening] [count] {["and" | "with"] clause}
    clause    = mentioned predicates | "it" predicates | "they" ["are"] pair
    mentioned = [place] ["there is"] mention [place] ["and" mention [place] ["are"] pair]
              | (place | relation other) ("is" | "there is") mention         (scenes only)
    predicates = {["and"] ["that"] ["is"] (motion | place | adjectives | relation other)}
    other     = mention | "it"

"It" is the first object of the sentence, "they" the first two. A place that directly follows an
object describes that object; after "is", "that" or "and" it describes the subject of the clause.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from data.builtin.scenes import COLORS, SHAPES
from data.media.words import tokenize

_NUMBERS = {"one": 1, "two": 2, "three": 3}
_SIZES = {"small": "small", "little": "small", "large": "large", "big": "large"}
# What a word states: an attribute of `SceneObject` and its value.
_STATEMENTS: Mapping[str, tuple[tuple[str, str], ...]] = {
    **{shape: (("shape", shape),) for shape in SHAPES},
    **{color: (("color", color),) for color in COLORS},
    **{word: (("size", size),) for word, size in _SIZES.items()},
    **{side: (("column", side),) for side in ("left", "right")},
    **{side: (("row", side),) for side in ("top", "bottom")},
    **{word: (("row", "middle"), ("column", "middle")) for word in ("centre", "center", "middle")},
}

_GOES = "(?:moves|moving|goes|going|slides|sliding|travels|travelling)"
_GETS = "(?:gets|getting|becomes|becoming)"
_MOTIONS = {
    "left": rf"{_GOES} (?:(?:to the )?left|from (?:the )?right to (?:the )?left)",
    "right": rf"{_GOES} (?:(?:to the )?right|from (?:the )?left to (?:the )?right)",
    "up": rf"{_GOES} (?:up(?:wards)?|from (?:the )?bottom to (?:the )?top)",
    "down": rf"{_GOES} (?:down(?:wards)?|from (?:the )?top to (?:the )?bottom)",
    "turn": r"(?:turn|rotat|spinn?)(?:e?s|ing)(?: a?round)?",
    "grow": rf"(?:grows|growing)(?: (?:larger|bigger))?|{_GETS} (?:larger|bigger)",
    "shrink": rf"shrinks|shrinking|{_GETS} smaller",
}
_PAIRS = {
    "meet": r"meet(?:ing)?|(?:come|coming|move|moving) (?:together|towards each other)",
    "part": r"part(?:ing)?|separate|separating|(?:move|moving) (?:apart|away from each other)",
}
_CLIP_RELATIONS = {
    "meet": r"meets|meeting(?= (?:an?|the|it)\b)",
    "towards": rf"{_GOES} towards?",
    "part": r"parts from|parting from|leaves|leaving",
    "away": rf"{_GOES} away from",
}
_SCENE_RELATIONS = {
    "left": "left of",
    "right": "right of",
    "above": "above|over",
    "below": "below|under",
}


def _named_groups(kind: str, phrases: Mapping[str, str]) -> str:
    return "|".join(f"(?P<{kind}_{name}>{phrase})" for name, phrase in phrases.items())


_NOUN, _COLOR, _ADJECTIVE = "|".join(SHAPES), "|".join(COLORS), "|".join((*COLORS, *_SIZES))
_PLACE = (
    r"(?:at|in|on) the (?P<place>(?:top|bottom) (?:left|right)(?: corner)?"
    r"|(?:top|bottom|left|right)(?: side)?|centre|center|middle)"
)
_COMMON = (
    rf"(?P<count>{'|'.join(_NUMBERS)}) (?:thing|shape|object)s?"
    r"|(?P<there>there (?:is|are))|(?P<it>it)|(?P<and>and)"
)
_SCENE_PHRASES = re.compile(
    rf"(?P<mention>(?:an?|the)(?: (?:{_ADJECTIVE}))* (?:{_NOUN}))"
    rf"|(?:(?:to|on) the )?(?:{_named_groups('relation', _SCENE_RELATIONS)})|{_PLACE}"
    rf"|(?P<adjectives>(?:{_ADJECTIVE})(?:(?: and)? (?:{_ADJECTIVE}))*)"
    rf"|(?P<opening>(?:the|a) picture (?:shows|of))|(?P<is>is)|(?P<with>with)|{_COMMON}"
)
_CLIP_PHRASES = re.compile(
    rf"(?P<mention>(?:an?|the)(?: (?:{_COLOR}))? (?:{_NOUN}))"
    rf"|{_named_groups('relation', _CLIP_RELATIONS)}|{_named_groups('motion', _MOTIONS)}"
    rf"|{_named_groups('pair', _PAIRS)}|{_PLACE}|(?P<adjectives>{_COLOR})"
    r"|(?P<opening>(?:the|a) (?:clip|video) (?:shows|of))"
    rf"|(?P<is>is|are)|(?P<they>they)|(?P<that>that|which)|{_COMMON}"
)


@dataclass
class Claims:
    """What a sentence states.

    Attributes:
        count: the number of objects, where the sentence gives it.
        mentions: for each object mentioned, its attributes: ("color", "red").
        motions: (mention, "left" | "right" | "up" | "down" | "turn" | "grow" | "shrink").
        relations: (mention, name, mention) with the names "left", "right", "above" and "below" in
            scenes and "meet", "towards", "part" and "away" in clips.
    """

    count: int | None = None
    mentions: list[set[tuple[str, str]]] = field(default_factory=list)
    motions: list[tuple[int, str]] = field(default_factory=list)
    relations: list[tuple[int, str, int]] = field(default_factory=list)


def parse(caption: str, *, moving: bool) -> Claims | None:
    """Return what a caption states, or None if the grammar does not contain it.

    >>> claims = parse("Two things: a big star, and a heart above it.", moving=False)
    >>> claims.count, claims.relations, [sorted(mention) for mention in claims.mentions]
    (2, [(1, 'above', 0)], [[('shape', 'star'), ('size', 'large')], [('shape', 'heart')]])
    >>> parse("a star above", moving=False)

    Args:
        caption: any text.
        moving: True for a clip, False for a scene.
    """
    try:
        return _Parser(caption, moving).sentence()
    except _ParseError:
        return None


class _ParseError(Exception):
    """The text is not a sentence of the grammar."""


def _split_phrases(pattern: re.Pattern[str], caption: str) -> deque[tuple[str, str]]:
    """Return (kind, text), or (kind, name) for a group `kind_name`, of each phrase of a caption."""
    text, start = " ".join(tokenize(caption)), 0
    phrases = deque[tuple[str, str]]()
    while start < len(text):
        match = pattern.match(text, start)
        if match is None or text[match.end() : match.end() + 1].strip():
            raise _ParseError
        group = str(match.lastgroup)
        kind, _, name = group.partition("_")
        phrases.append((kind, name or match[group]))
        start = match.end() + 1
    return phrases


class _Parser:
    """Recursive descent with a method per rule of the grammar."""

    def __init__(self, caption: str, moving: bool) -> None:
        self.phrases = _split_phrases(_CLIP_PHRASES if moving else _SCENE_PHRASES, caption)
        self.moving = moving
        self.claims = Claims()

    def kind(self, ahead: int = 0) -> str:
        """Return the kind of a phrase to come; "" past the last."""
        return self.phrases[ahead][0] if ahead < len(self.phrases) else ""

    def accept(self, *kinds: str) -> str:
        """Remove the next phrase and return its text, if it is of these kinds; else ""."""
        return self.phrases.popleft()[1] if self.kind() in kinds else ""

    def expect(self, *kinds: str) -> str:
        """Remove the next phrase, which must be of these kinds, and return its text."""
        if self.kind() not in kinds:
            raise _ParseError
        return self.accept(*kinds)

    def sentence(self) -> Claims:
        self.accept("opening", *([] if self.moving else ["there"]))
        if count := self.accept("count"):
            self.claims.count = _NUMBERS[count]
        while self.kind() or not (self.claims.mentions or count):
            if self.claims.mentions:
                self.accept("and", "with")
            self.clause()
        return self.claims

    def clause(self) -> None:
        if self.accept("they"):
            if len(self.claims.mentions) < 2:
                raise _ParseError
            self.pair(0, 1)
        elif self.accept("it"):
            subject = self.first()
            if self.kind() not in (("is", "motion", "relation") if self.moving else ("is",)):
                raise _ParseError
            self.predicates(subject)
        elif self.kind() in ("place", "relation") and not self.moving:
            subject = self.new_mention()  # "on the left is a star"
            if place := self.accept("place"):
                self.describe(subject, place)
            else:
                self.relate(subject, self.expect("relation"))
            self.expect("is", "there")
            self.describe(subject, self.expect("mention"))
            self.predicates(subject)
        else:
            place = self.accept("place")
            self.accept("there")
            subject = self.mention()
            self.describe(subject, f"{place} {self.accept('place')}")
            if self.two_subjects():
                self.accept("and")
                other = self.mention()
                self.describe(other, self.accept("place"))
                self.pair(subject, other)
            else:
                self.predicates(subject)

    def two_subjects(self) -> bool:
        """Return whether "and" joins two objects that do something together."""
        ahead = [self.kind(number) for number in range(5)]
        after = [kind for kind in ahead[2:] if kind not in ("place", "is")]
        return ahead[:2] == ["and", "mention"] and after[:1] == ["pair"]

    def pair(self, one: int, two: int) -> None:
        self.accept("is")
        self.claims.relations.append((one, self.expect("pair"), two))

    def predicates(self, subject: int) -> None:
        nearest = subject
        while True:
            linked = self.continues() and bool(self.accept("and"))
            linked = bool(self.accept("that")) or linked
            linked = bool(self.accept("is")) or linked
            about = subject if linked else nearest
            if motion := self.accept("motion"):
                self.claims.motions.append((subject, motion))
            elif relation := self.accept("relation"):
                # "a circle above a square left of a star": in a scene, the square is left.
                nearest = self.relate(subject if self.moving else about, relation)
            elif text := self.accept("place", *(["adjectives"] if linked else [])):
                self.describe(about, text)
                if not self.moving:
                    nearest = about
            elif linked:
                raise _ParseError
            else:
                return

    def continues(self) -> bool:
        """Return whether "and" adds to the subject: not in "and on the left is a star"."""
        following = self.kind(1)
        if self.kind() != "and":
            return False
        if self.moving:
            return following in ("motion", "relation", "adjectives", "that") or (
                following == "place" and self.kind(2) not in ("there", "mention")
            )
        after = {"adjectives": 2, "place": 2, "relation": 3}.get(following)
        return after is not None and self.kind(after) not in ("is", "there")

    def relate(self, one: int, relation: str) -> int:
        """Add a relation to the object that follows; return that object."""
        two = self.first() if self.accept("it") else self.mention()
        self.claims.relations.append((one, relation, two))
        return two

    def mention(self) -> int:
        mention = self.new_mention()
        self.describe(mention, self.expect("mention"))
        return mention

    def new_mention(self) -> int:
        self.claims.mentions.append(set())
        return len(self.claims.mentions) - 1

    def first(self) -> int:
        if not self.claims.mentions:
            raise _ParseError
        return 0

    def describe(self, mention: int, text: str) -> None:
        """Add what a noun phrase, adjectives or a place state."""
        for word in text.split():
            self.claims.mentions[mention].update(_STATEMENTS.get(word, ()))
