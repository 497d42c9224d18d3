"""Is a caption of a synthetic clip true? What `data.builtin.scene_checker` does, for motion.

It judges by where the things go, not by the clip's label or the wordings of its captions: of two
things that meet, the left one does move to the right. A sentence is true when all its statements
hold for one assignment of its mentions to things; one that does not parse is false.

The grammar, over the phrases in `_PHRASES` (punctuation and case do not count):

    sentence  = [opening] [count] {["and"] clause}
    clause    = [place] ["there is"] mention [place] ["and" mention [place] ["are"] pair] said
              | "it" said | "they" ["are"] pair
    said      = {["and"] ["that"] ["is"] (motion | place | adjective | relation (mention | "it"))}

"It" is the first thing mentioned, "they" the first two. A place that directly follows a mention is
said of it, the rest of the subject of the clause.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from data.builtin.clips import Actor, SyntheticClip
from data.builtin.phrase_parser import NoSentenceError, Phrase, PhraseParser, split_phrases
from data.builtin.scenes import COLORS, SHAPES

MOVED = 0.15  # of the picture's side: from here on a thing has moved
RESIZED = 1.3  # times as large
TURNED = 0.5  # radians
TOUCHING = 0.05  # of the picture's side, between two things: from here on they are apart

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
_RELATIONS = {
    "meet": r"meets|meeting(?= (?:an?|the|it)\b)",
    "towards": rf"{_GOES} towards?",
    "part": r"parts from|parting from|leaves|leaving",
    "away": rf"{_GOES} away from",
}


def _either(kind: str, phrases: Mapping[str, str]) -> str:
    return "|".join(f"(?P<{kind}_{name}>{phrase})" for name, phrase in phrases.items())


_ADJECTIVE, _NOUN = "|".join(COLORS), "|".join(SHAPES)
_PHRASES = re.compile(
    rf"(?P<mention>(?:an?|the)(?: (?:{_ADJECTIVE}))? (?:{_NOUN}))"
    rf"|{_either('relation', _RELATIONS)}|{_either('motion', _MOTIONS)}|{_either('pair', _PAIRS)}"
    r"|(?:at|in|on) the (?P<place>(?:top|bottom) (?:left|right)(?: corner)?"
    r"|(?:top|bottom|left|right)(?: side)?|centre|center|middle)"
    rf"|(?P<adjectives>{_ADJECTIVE})"
    r"|(?P<count>one|two) (?:thing|shape|object)s?"
    r"|(?P<opening>(?:the|a) (?:clip|video) (?:shows|of))"
    r"|(?P<there>there (?:is|are))"
    r"|(?P<is>is|are)|(?P<it>it)|(?P<they>they)|(?P<and>and)|(?P<that>that|which)"
)
_WORDS = (
    {shape: ("shape", shape) for shape in SHAPES}
    | {color: ("color", color) for color in COLORS}
    | {side: ("column", side) for side in ("left", "right")}
    | {side: ("row", side) for side in ("top", "bottom")}
)


@dataclass
class Claims:
    """What a sentence states.

    Attributes:
        count: how many things there are in all, where it says so.
        mentions: for each thing mentioned, what it is and where: ("color", "red").
        motions: (mention, "left" | "right" | "up" | "down" | "turn" | "grow" | "shrink").
        relations: (mention, "meet" | "towards" | "part" | "away", mention).
    """

    count: int | None = None
    mentions: list[set[tuple[str, str]]] = field(default_factory=list)
    motions: list[tuple[int, str]] = field(default_factory=list)
    relations: list[tuple[int, str, int]] = field(default_factory=list)


def is_true(caption: str, clip: SyntheticClip) -> bool:
    """Return whether every statement of the caption holds in the clip."""
    claims = parse(caption)
    if claims is None or claims.count not in (None, len(clip.actors)):
        return False
    return any(
        all(_is(actors[at], *claim) for at, each in enumerate(claims.mentions) for claim in each)
        and all(_DOES[motion](actors[at]) for at, motion in claims.motions)
        and all(_related(actors[one], name, actors[two]) for one, name, two in claims.relations)
        for actors in itertools.permutations(clip.actors, len(claims.mentions))
    )


def _is(actor: Actor, attribute: str, value: str) -> bool:
    """Return whether a thing looks so, or lies there from first to last."""
    if attribute in ("row", "column"):
        return all(getattr(pose, attribute) == value for pose in (actor.start, actor.end))
    return bool(getattr(actor, attribute) == value)


_DOES: Mapping[str, Callable[[Actor], bool]] = {
    "left": lambda actor: actor.start.x - actor.end.x > MOVED,
    "right": lambda actor: actor.end.x - actor.start.x > MOVED,
    "up": lambda actor: actor.start.y - actor.end.y > MOVED,
    "down": lambda actor: actor.end.y - actor.start.y > MOVED,
    "turn": lambda actor: abs(actor.end.tilt - actor.start.tilt) > TURNED,
    "grow": lambda actor: actor.end.radius > RESIZED * actor.start.radius,
    "shrink": lambda actor: actor.start.radius > RESIZED * actor.end.radius,
}


def _related(one: Actor, relation: str, two: Actor) -> bool:
    before, after = (
        math.hypot(a.x - b.x, a.y - b.y) - a.radius - b.radius
        for a, b in ((one.start, two.start), (one.end, two.end))
    )
    return {
        "meet": before > TOUCHING > after,
        "part": after > TOUCHING > before,
        "towards": before - after > MOVED,
        "away": after - before > MOVED,
    }[relation]


def parse(caption: str) -> Claims | None:
    """Return what a caption states, or None if it is no sentence of the grammar.

    >>> claims = parse("A red star moves up, and it meets the heart.")
    >>> claims.motions, claims.relations, [sorted(mention) for mention in claims.mentions]
    ([(0, 'up')], [(0, 'meet', 1)], [[('color', 'red'), ('shape', 'star')], [('shape', 'heart')]])
    >>> parse("a star moves")
    """
    try:
        return _Parser(split_phrases(_PHRASES, caption)).sentence()
    except NoSentenceError:
        return None


class _Parser(PhraseParser):
    """A method per rule of the grammar above."""

    def __init__(self, phrases: list[Phrase]) -> None:
        super().__init__(phrases)
        self.claims = Claims()

    def sentence(self) -> Claims:
        self.accept("opening")
        if count := self.accept("count"):
            self.claims.count = {"one": 1, "two": 2}[count]
        while self.kind() or not (self.claims.mentions or count):
            if self.claims.mentions:
                self.accept("and")
            self.clause()
        return self.claims

    def clause(self) -> None:
        if self.accept("they") is not None:
            if len(self.claims.mentions) < 2:
                raise NoSentenceError
            self.pair(0, 1)
            return
        if self.accept("it") is not None:
            subject = self.first()
            if self.kind() not in ("is", "motion", "relation"):
                raise NoSentenceError
        else:
            place = self.accept("place")
            self.accept("there")
            subject = self.mention()
            self.describe(subject, place or "")
            self.describe(subject, self.accept("place") or "")
            if self.two_subjects():
                self.accept("and")
                other = self.mention()
                self.describe(other, self.accept("place") or "")
                self.pair(subject, other)
                return
        self.said(subject)

    def two_subjects(self) -> bool:
        """Return whether "and" joins two things that do something together."""
        ahead = [self.kind(number) for number in range(5)]
        after = [kind for kind in ahead[2:] if kind not in ("place", "is")]
        return ahead[:2] == ["and", "mention"] and after[:1] == ["pair"]

    def pair(self, one: int, two: int) -> None:
        self.accept("is")
        self.claims.relations.append((one, self.expect("pair"), two))

    def said(self, subject: int) -> None:
        nearest = subject
        while True:
            linked = self.goes_on() and self.accept("and") is not None
            linked = self.accept("that") is not None or linked
            linked = self.accept("is") is not None or linked
            about = subject if linked else nearest
            if motion := self.accept("motion"):
                self.claims.motions.append((subject, motion))
            elif relation := self.accept("relation"):
                nearest = self.first() if self.accept("it") is not None else self.mention()
                self.claims.relations.append((subject, relation, nearest))
            elif text := self.accept("place") or (linked and self.accept("adjectives")):
                self.describe(about, text)
            elif linked:
                raise NoSentenceError
            else:
                return

    def goes_on(self) -> bool:
        """Return whether "and" goes on about the subject: not "and on the left is a star"."""
        told = self.kind(1) in ("motion", "relation", "adjectives", "that")
        return told or (self.kind(1) == "place" and self.kind(2) not in ("there", "mention"))

    def mention(self) -> int:
        self.claims.mentions.append(set())
        self.describe(len(self.claims.mentions) - 1, self.expect("mention"))
        return len(self.claims.mentions) - 1

    def first(self) -> int:
        if not self.claims.mentions:
            raise NoSentenceError
        return 0

    def describe(self, mention: int, text: str) -> None:
        """Add the statements of a noun phrase, of an adjective or of a place."""
        for word in text.split():
            if word in ("centre", "center", "middle"):
                self.claims.mentions[mention] |= {("row", "middle"), ("column", "middle")}
            elif word in _WORDS:
                self.claims.mentions[mention].add(_WORDS[word])
