"""The built-in pairs: English sentences of a small grammar, and what they are in German.

German says the same in another order and with other endings. Its verb comes second, so that
"today" or any other word in front sends the subject behind it; what belongs to the verb (a
participle, an infinitive, the "auf" of "hebt … auf") comes last, and after "dass" and "weil" so
does the verb itself. Articles and adjectives agree with the gender and number of a noun and with
its part in the sentence: "the old hat" is "der alte Hut" where it does something, "den alten Hut"
where something is done to it. So each word has to be looked for where it stands.

Everything follows from (seed, split, index). Two splits never share a sentence: the hash of the
English says which may hold it. The nouns in `NEVER_OBJECTS` have something done to them in the
split `unseen` only, and in each of its sentences.

>>> synthetic_pairs("test", count=1)[0]
('Sometimes a woman wants to paint the children.', 'Manchmal will eine Frau die Kinder malen.')
"""

from __future__ import annotations

import hashlib
import random
from typing import NamedTuple

SPLITS = {"train": 8000, "validation": 500, "test": 500, "unseen": 500}


class Noun(NamedTuple):
    """A noun: English and German, one and many, and its gender: m, f or n."""

    english: tuple[str, str]
    german: tuple[str, str]
    gender: str


class Verb(NamedTuple):
    """A verb: third person, infinitive and participle in both, and what of the German splits off.

    What stands behind the object in English too, as in "pick … up", stands in `TAILS`.
    """

    english: tuple[str, str, str]
    german: tuple[str, str, str]
    prefix: str = ""


PEOPLE = (
    Noun(("man", "men"), ("Mann", "Männer"), "m"),
    Noun(("woman", "women"), ("Frau", "Frauen"), "f"),
    Noun(("child", "children"), ("Kind", "Kinder"), "n"),
    Noun(("uncle", "uncles"), ("Onkel", "Onkel"), "m"),
    Noun(("aunt", "aunts"), ("Tante", "Tanten"), "f"),
    Noun(("girl", "girls"), ("Mädchen", "Mädchen"), "n"),
    Noun(("king", "kings"), ("König", "Könige"), "m"),
    Noun(("queen", "queens"), ("Königin", "Königinnen"), "f"),
    Noun(("teacher", "teachers"), ("Lehrer", "Lehrer"), "m"),
)
THINGS = (
    Noun(("dog", "dogs"), ("Hund", "Hunde"), "m"),
    Noun(("cat", "cats"), ("Katze", "Katzen"), "f"),
    Noun(("horse", "horses"), ("Pferd", "Pferde"), "n"),
    Noun(("hat", "hats"), ("Hut", "Hüte"), "m"),
    Noun(("lamp", "lamps"), ("Lampe", "Lampen"), "f"),
    Noun(("book", "books"), ("Buch", "Bücher"), "n"),
    Noun(("apple", "apples"), ("Apfel", "Äpfel"), "m"),
    Noun(("flower", "flowers"), ("Blume", "Blumen"), "f"),
    Noun(("picture", "pictures"), ("Bild", "Bilder"), "n"),
)
NEVER_OBJECTS = frozenset(("uncle", "aunt", "girl", "king"))
ADJECTIVES = {
    "old": "alt", "young": "jung", "small": "klein", "big": "groß", "new": "neu", "poor": "arm",
    "beautiful": "schön", "red": "rot",
}  # fmt: skip
VERBS = (
    Verb(("sees", "see", "seen"), ("sieht", "sehen", "gesehen")),
    Verb(("finds", "find", "found"), ("findet", "finden", "gefunden")),
    Verb(("washes", "wash", "washed"), ("wäscht", "waschen", "gewaschen")),
    Verb(("carries", "carry", "carried"), ("trägt", "tragen", "getragen")),
    Verb(("paints", "paint", "painted"), ("malt", "malen", "gemalt")),
    Verb(("looks for", "look for", "looked for"), ("sucht", "suchen", "gesucht")),
    Verb(("looks at", "look at", "looked at"), ("sieht", "sehen", "gesehen"), "an"),
    Verb(("picks up", "pick up", "picked up"), ("hebt", "heben", "gehoben"), "auf"),
    Verb(("takes along", "take along", "taken along"), ("nimmt", "nehmen", "genommen"), "mit"),
)
TAILS = ("up", "along")
SAYING = (
    Verb(("says", "say", "said"), ("sagt", "sagen", "gesagt")),
    Verb(("knows", "know", "known"), ("weiß", "wissen", "gewusst")),
    Verb(("believes", "believe", "believed"), ("glaubt", "glauben", "geglaubt")),
)
ADVERBS = {"today": "heute", "now": "jetzt", "sometimes": "manchmal", "here": "hier"}
NUMBERS = {"two": "zwei", "three": "drei"}
ARTICLES = {  # of one thing: the subject's and the object's, with the adjective's ending
    "the": {
        "m": (("der", "e"), ("den", "en")),
        "f": (("die", "e"), ("die", "e")),
        "n": (("das", "e"), ("das", "e")),
    },
    "a": {
        "m": (("ein", "er"), ("einen", "en")),
        "f": (("eine", "e"), ("eine", "e")),
        "n": (("ein", "es"), ("ein", "es")),
    },
}


class Phrase(NamedTuple):
    """The same in English and in German."""

    english: str
    german: str
    many: bool = False


class Clause(NamedTuple):
    """A clause whose German parts are not yet in order: `end` comes last, after the object."""

    english: str
    subject: str
    finite: str
    middle: str
    end: str
    prefix: str


def synthetic_pairs(
    split: str, *, seed: int = 0, count: int | None = None
) -> list[tuple[str, str]]:
    """Return pairs of an English sentence and its German, all different.

    Args:
        split: a key of `SPLITS`.
        seed: another seed, other sentences; of other splits they stay apart all the same.
        count: how many; by default `SPLITS[split]`.
    """
    chance = random.Random(f"{seed}/{split}")
    found: dict[str, str] = {}
    while len(found) < (SPLITS[split] if count is None else count):
        objects: list[Noun] = []
        english, german = _sentence(chance, objects)
        if _home(english, objects) == split:
            found[english] = german
    return list(found.items())


def _home(english: str, objects: list[Noun]) -> str:
    """Return the only split that may hold a sentence."""
    if any(noun.english[0] in NEVER_OBJECTS for noun in objects):
        return "unseen"
    share = hashlib.sha256(english.encode()).digest()[0] / 256
    return "train" if share < 0.8 else "validation" if share < 0.9 else "test"


def _sentence(chance: random.Random, objects: list[Noun]) -> tuple[str, str]:
    clause, form = _clause(chance, objects), chance.random()
    if form < 0.35:
        english, german = clause.english, _main(clause)
    elif form < 0.6:
        adverb = chance.choice(list(ADVERBS))
        english, german = f"{adverb} {clause.english}", _main(clause, ADVERBS[adverb])
    elif form < 0.85:
        subject, verb = _nouns(chance, PEOPLE, 0), chance.choice(SAYING)
        says = verb.english[subject.many], verb.german[subject.many]
        english = f"{subject.english} {says[0]} that {clause.english}"
        german = f"{subject.german} {says[1]}, dass {_last(clause)}"
    else:
        other = _clause(chance, objects)
        english = f"{clause.english} because {other.english}"
        german = f"{_main(clause)}, weil {_last(other)}"
    return _written(english), _written(german)


def _clause(chance: random.Random, objects: list[Noun]) -> Clause:
    subject, verb, form = _nouns(chance, PEOPLE, 0), chance.choice(VERBS), chance.random()
    thing = _nouns(chance, PEOPLE + THINGS, 1, objects)
    many = subject.many
    if form < 0.4:
        spoken, finite, end = verb.english[many], verb.german[many], ""
    elif form < 0.7:
        spoken = f"{'have' if many else 'has'} {verb.english[2]}"
        finite, end = "haben" if many else "hat", verb.prefix + verb.german[2]
    else:
        spoken = f"{'want' if many else 'wants'} to {verb.english[1]}"
        finite, end = "wollen" if many else "will", verb.prefix + verb.german[1]
    start, _, tail = spoken.rpartition(" ")
    order = [start, thing.english, tail] if tail in TAILS else [spoken, thing.english]
    english = " ".join([subject.english, *order])
    return Clause(english, subject.german, finite, thing.german, end, "" if end else verb.prefix)


def _nouns(
    chance: random.Random, nouns: tuple[Noun, ...], case: int, used: list[Noun] | None = None
) -> Phrase:
    """Return an article or number, perhaps an adjective, and a noun; case 1 is the object's."""
    noun = chance.choice(nouns)
    if used is not None:
        used.append(noun)
    adjective = chance.choice(list(ADJECTIVES)) if chance.random() < 0.5 else ""
    article = chance.choice(["the", "the", "a", "a", "", *NUMBERS])
    many = article not in ARTICLES
    if article in NUMBERS:
        own, ending = NUMBERS[article], "e"
    elif many:
        article, own, ending = "the", "die", "en"
    else:
        own, ending = ARTICLES[article][noun.gender][case]
        if article == "a" and (adjective or noun.english[0])[0] in "aou":
            article = "an"
    german = ADJECTIVES[adjective] + ending if adjective else ""
    return Phrase(
        " ".join(filter(None, [article, adjective, noun.english[many]])),
        " ".join(filter(None, [own, german, noun.german[many]])),
        many,
    )


def _main(clause: Clause, front: str = "") -> str:
    """Put a clause in the order of a main clause: the verb comes second."""
    order = [front, clause.finite, clause.subject] if front else [clause.subject, clause.finite]
    return " ".join(filter(None, [*order, clause.middle, clause.end or clause.prefix]))


def _last(clause: Clause) -> str:
    """Put a clause in the order of a subordinate clause: the verb comes last."""
    verb = clause.prefix + clause.finite
    return " ".join(filter(None, [clause.subject, clause.middle, clause.end, verb]))


def _written(sentence: str) -> str:
    return f"{sentence[0].upper()}{sentence[1:]}."
