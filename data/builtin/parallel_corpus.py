"""A synthetic parallel corpus: English sentences of a small grammar and their German translations.

Word order and endings differ, so that a translation requires alignment: the German verb comes
second, the rest of the verb last, and after "dass" and "weil" the verb itself comes last; articles
and adjectives agree with the gender, number and case of a noun. Everything follows from (seed,
split, index), and no two splits share a sentence. The nouns in `NEVER_OBJECTS` are objects in the
split `unseen` only, and in each of its sentences.

>>> synthetic_pairs("test")[0]
('Sometimes a woman wants to paint the children.', 'Manchmal will eine Frau die Kinder malen.')
"""

from __future__ import annotations

import random
from typing import NamedTuple

from data.builtin.splits import split_of_text

SPLITS = {"train": 8000, "validation": 500, "test": 500, "unseen": 500}


class Noun(NamedTuple):
    """A noun: English and German, each (singular, plural), and its German gender: m, f or n."""

    english: tuple[str, str]
    german: tuple[str, str]
    gender: str


class Verb(NamedTuple):
    """A verb in both languages: third person, infinitive and participle, and the German prefix."""

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
ARTICLES = {  # singular, by gender: as the subject and as the object, with the adjective's ending
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
    """A noun phrase in English and in German."""

    english: str
    german: str
    plural: bool = False


class Clause(NamedTuple):
    """A clause with its German parts, not yet in order: `end` comes last, after the object."""

    english: str
    subject: str
    finite: str
    middle: str
    end: str
    prefix: str


def synthetic_pairs(split: str, *, seed: int = 0) -> list[tuple[str, str]]:
    """Return sentences of a split (a key of `SPLITS`) and their translations, all different."""
    rng = random.Random(f"{seed}/{split}")
    found: dict[str, str] = {}
    while len(found) < SPLITS[split]:
        objects: list[Noun] = []
        english, german = _sentence(rng, objects)
        unseen = any(noun.english[0] in NEVER_OBJECTS for noun in objects)
        if split == ("unseen" if unseen else split_of_text(english)):
            found[english] = german
    return list(found.items())


def _sentence(rng: random.Random, objects: list[Noun]) -> tuple[str, str]:
    clause, form = _clause(rng, objects), rng.random()
    if form < 0.35:
        english, german = clause.english, _main_clause(clause)
    elif form < 0.6:
        adverb = rng.choice(list(ADVERBS))
        english, german = f"{adverb} {clause.english}", _main_clause(clause, ADVERBS[adverb])
    elif form < 0.85:
        subject, verb = _noun_phrase(rng, PEOPLE, 0), rng.choice(SAYING)
        says = verb.english[subject.plural], verb.german[subject.plural]
        english = f"{subject.english} {says[0]} that {clause.english}"
        german = f"{subject.german} {says[1]}, dass {_subordinate_clause(clause)}"
    else:
        other = _clause(rng, objects)
        english = f"{clause.english} because {other.english}"
        german = f"{_main_clause(clause)}, weil {_subordinate_clause(other)}"
    return _as_sentence(english), _as_sentence(german)


def _clause(rng: random.Random, objects: list[Noun]) -> Clause:
    subject, verb, form = _noun_phrase(rng, PEOPLE, 0), rng.choice(VERBS), rng.random()
    thing = _noun_phrase(rng, PEOPLE + THINGS, 1, objects)
    plural = subject.plural
    if form < 0.4:
        spoken, finite, end = verb.english[plural], verb.german[plural], ""
    elif form < 0.7:
        spoken = f"{'have' if plural else 'has'} {verb.english[2]}"
        finite, end = "haben" if plural else "hat", verb.prefix + verb.german[2]
    else:
        spoken = f"{'want' if plural else 'wants'} to {verb.english[1]}"
        finite, end = "wollen" if plural else "will", verb.prefix + verb.german[1]
    start, _, tail = spoken.rpartition(" ")
    order = [start, thing.english, tail] if tail in TAILS else [spoken, thing.english]
    english = " ".join([subject.english, *order])
    return Clause(english, subject.german, finite, thing.german, end, "" if end else verb.prefix)


def _noun_phrase(
    rng: random.Random, nouns: tuple[Noun, ...], case: int, used: list[Noun] | None = None
) -> Phrase:
    """Return an article or number, an optional adjective and a noun; case 1 is the accusative."""
    noun = rng.choice(nouns)
    if used is not None:
        used.append(noun)
    adjective = rng.choice(list(ADJECTIVES)) if rng.random() < 0.5 else ""
    article = rng.choice(["the", "the", "a", "a", "", *NUMBERS])
    plural = article not in ARTICLES
    if article in NUMBERS:
        own, ending = NUMBERS[article], "e"
    elif plural:
        article, own, ending = "the", "die", "en"
    else:
        own, ending = ARTICLES[article][noun.gender][case]
        if article == "a" and (adjective or noun.english[0])[0] in "aou":
            article = "an"
    german = ADJECTIVES[adjective] + ending if adjective else ""
    return Phrase(
        " ".join(filter(None, [article, adjective, noun.english[plural]])),
        " ".join(filter(None, [own, german, noun.german[plural]])),
        plural,
    )


def _main_clause(clause: Clause, front: str = "") -> str:
    """Return the German main clause: the verb comes second."""
    order = [front, clause.finite, clause.subject] if front else [clause.subject, clause.finite]
    return " ".join(filter(None, [*order, clause.middle, clause.end or clause.prefix]))


def _subordinate_clause(clause: Clause) -> str:
    """Return the German subordinate clause: the verb comes last."""
    verb = clause.prefix + clause.finite
    return " ".join(filter(None, [clause.subject, clause.middle, clause.end, verb]))


def _as_sentence(sentence: str) -> str:
    return f"{sentence[0].upper()}{sentence[1:]}."
