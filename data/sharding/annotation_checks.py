"""Counts of splits, labels, words and languages, and what is suspicious about them."""

from __future__ import annotations

import functools
import unicodedata
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeVar

import numpy as np

from data.annotations.entries import Entry, Problem
from data.media.words import normalize, tokenize_with_spaces
from data.sharding.findings import Example, Finding

T = TypeVar("T")
FEW = 30  # a score on fewer examples is unreliable
FEW_OF_A_CLASS = 5
LABELS = 30  # printed with a bar
IMBALANCE = 10  # the largest class by the smallest
MANY_UNKNOWN = 0.1  # the share of words
MANY_TRUNCATED = 0.05  # the share of texts
SHORT = 1.5  # words per text, on average
MINORITY, MINORITY_COUNT = 0.02, 3  # of the texts, from which another language is reported
_SCRIPTS = {"HIRAGANA": "Japanese", "KATAKANA": "Japanese", "CJK": "Chinese", "BOPOMOFO": "Chinese"}
# Frequent words of languages that share a script.
_LANGUAGES = {
    "English": "the is of and with are an at by to",
    "German": "der die das ein eine einen einem und ist auf mit dem den von im",
    "French": "le la les un une des et est dans avec sur du au",
    "Spanish": "el la los las un una y en con del es por",
    "Italian": "il la gli un una di che con nel della su è",
    "Portuguese": "o os um uma e em com na no da do as",
    "Dutch": "de het een en van met op is zijn die",
    "Swedish": "en ett och på med är som av den i",
    "Polish": "na z w i się jest do przez",
    "Russian": "и в на с из по у за",
    "Ukrainian": "і в на з що та у є",
}
_SCRIPT_OF = {"Latin": [*_LANGUAGES][:9], "Cyrillic": [*_LANGUAGES][9:]}
_BY_WORD: dict[str, tuple[str, ...]] = {
    word: tuple(name for name, words in _LANGUAGES.items() if word in words.split())
    for word in " ".join(_LANGUAGES.values()).split()
}
FREQUENT_WORDS = frozenset((*_BY_WORD, "a"))


class TextOptions(NamedTuple):
    """The options of a run that decide which words are known.

    Attributes:
        min_count: rarer words become `<unk>`.
        max_words: longer texts are truncated.
        punctuation: whether punctuation marks are words.
    """

    min_count: int = 5
    max_words: int = 20
    punctuation: bool = False


class _Texts:
    """The words, lengths and languages of the texts of a split."""

    def __init__(self) -> None:
        self.words, self.lengths = Counter[str](), array("I")
        self.languages = Counter[str]()

    def add(self, text: str, punctuation: bool) -> None:
        words = tokenize_with_spaces(text, punctuation)
        self.words.update(words)
        self.lengths.append(len(words))
        if language := language_of(text, words):
            self.languages[language] += 1


class Tally:
    """Counts of the entries of a dataset.

    Attributes:
        unit: the noun for several examples: "images".
        splits: the number of examples by split.
    """

    def __init__(self, unit: str, texts: Sequence[str], options: TextOptions) -> None:
        """Start from no entry.

        Args:
            unit: the noun for several examples.
            texts: the names of the captions of an entry, see `Dataset.texts`.
            options: of the run.
        """
        self.unit, self.options, self.splits = unit, options, Counter[str]()
        self._texts = {name: defaultdict[str, _Texts](_Texts) for name in texts}
        self._labels = defaultdict[str, Counter[str]](Counter)

    def add(self, entry: Entry) -> None:
        """Count an entry."""
        self.splits[entry.split] += 1
        for number, texts in enumerate(self._texts.values()):
            for text in entry.captions[number :: len(self._texts)]:
                texts[entry.split].add(text, self.options.punctuation)
        if entry.label:
            self._labels[entry.split][entry.label] += 1

    @property
    def training_texts(self) -> int:
        """The number of training captions, or of texts."""
        return max((len(texts["train"].lengths) for texts in self._texts.values()), default=0)

    def findings(self) -> Iterator[Finding]:
        """Yield the counts and the warnings."""
        yield from self._split_findings()
        if self._labels:
            yield from _label_findings(_in_order(self._labels))
        for name, texts in self._texts.items():
            if any(each.lengths for each in texts.values()):
                yield from _text_findings(f"{name}s", _in_order(texts), self.options)

    def _split_findings(self) -> Iterator[Finding]:
        counts = _in_order(self.splits)
        text = ", ".join(f"{split} {count:,}" for split, count in counts.items())
        yield Finding("Splits", "splits", f"{text} {self.unit}", values={"splits": counts})
        if "test" not in counts:
            text = "no test split: scores are of validation, which also selects the best epoch"
            yield Finding("Splits", "no_test", text, warning=True)
        few = {split: n for split, n in counts.items() if split != "train" and n < FEW}
        if few:
            text = ", ".join(f"{split} {count:,}" for split, count in few.items())
            text = f"{text} {self.unit}: a score on fewer than {FEW} examples is unreliable"
            yield Finding("Splits", "few_examples", text, warning=True, values={"few": few})


def _in_order(by_split: Mapping[str, T]) -> dict[str, T]:
    """Return the splits in the usual order, others at the end."""
    order = ("train", "validation", "test")
    names = sorted(by_split, key=lambda name: order.index(name) if name in order else len(order))
    return {name: by_split[name] for name in names}


def problem_findings(problems: Iterable[Problem]) -> Iterator[Finding]:
    """Yield a finding for each kind of problem, with its examples in the order of the source."""
    by_kind = defaultdict[tuple[str, bool], list[Problem]](list)
    for problem in problems:
        by_kind[problem.reason.partition(":")[0], problem.bad].append(problem)
    for (kind, bad), found in sorted(by_kind.items(), key=lambda each: -len(each[1])):
        examples = []
        for problem in found:
            details = problem.reason.partition(": ")[2]
            where = f" ({problem.where})" if problem.where else ""
            examples.append(Example(f"{problem.file}{where}{': ' * bool(details)}{details}"))
        values = {"reason": kind, "left_out": bad}
        yield Finding("Annotations", "problem", f"{kind} ({len(found):,})", bad, values, examples)


def _label_findings(labels: Mapping[str, Counter[str]]) -> Iterator[Finding]:
    total = sum(labels.values(), Counter[str]())
    for split, counts in labels.items():
        text, bars = f"{split}: {len(counts):,} classes", [*map(Example, _bars(counts))]
        values = {"split": split, "labels": dict(counts.most_common())}
        yield Finding("Labels", "labels", text, False, values, bars, LABELS)
    train = labels.get("train", Counter[str]())
    spelled = defaultdict[str, list[str]](list)
    for label in total:
        spelled["".join(character for character in normalize(label) if character.isalnum())] += [
            label
        ]
    alike = [names for key, names in spelled.items() if len(names) > 1 and key]
    for name, text, found in (
        ("rare_class", f"fewer than {FEW_OF_A_CLASS} training examples",
         [f"{label} {train[label]}" for label in total if train[label] < FEW_OF_A_CLASS]),
        ("similar_labels", "labels that differ in case, spaces or punctuation only",
         [" / ".join(names) for names in alike]),
        *(
            ("absent_class", f"classes without an example in {split}",
             [label for label in total if not counts[label]])
            for split, counts in labels.items() if split != "train"
        ),
    ):  # fmt: skip
        if found:
            examples = [Example(each) for each in found]
            yield Finding("Labels", name, f"{text} ({len(found):,})", True, examples=examples)
    if len(train) > 1 and (ratio := max(train.values()) / min(train.values())) >= IMBALANCE:
        text = f"the largest class has {ratio:,.0f} times the examples of the smallest: consider "
        yield Finding("Labels", "imbalance", f"{text}--class-weights", values={"ratio": ratio})


def _bars(counts: Counter[str]) -> Iterator[str]:
    """Yield a line with a bar for the share of each label."""
    total, most = counts.total(), counts.most_common()
    for label, count in most:
        bar = "█" * max(1, round(20 * count / most[0][1]))
        yield f"{label:20.40} {count:7,} {count / total:6.1%} {bar}"


def _text_findings(
    kind: str, by_split: Mapping[str, _Texts], options: TextOptions
) -> Iterator[Finding]:
    """Yield the findings about the captions (or texts, or translations) of all splits."""
    section = kind.capitalize()
    train = by_split["train"] if "train" in by_split else _Texts()
    known = {word for word, count in train.words.items() if count >= options.min_count}
    for split, texts in by_split.items():
        if not texts.lengths:
            continue
        low, middle, high, top = np.percentile(texts.lengths, [0, 50, 95, 100]).astype(int).tolist()
        total = max(1, texts.words.total())
        unknown = sum(n for word, n in texts.words.items() if word not in known) / total
        truncated = float(np.mean(np.array(texts.lengths) > options.max_words))
        mean = float(np.mean(texts.lengths))
        yield Finding(
            section,
            "words",
            f"{split}: {len(texts.lengths):,} {kind} of {low} to {top} words, median {middle}, "
            f"95th percentile {high}; {unknown:.1%} of the words become <unk>",
            values={"split": split, "texts": len(texts.lengths), "words_per_text": mean,
                    "unknown_words": unknown, "truncated_texts": truncated},
        )  # fmt: skip
        for name, found, text in (
            ("unknown_words", unknown > MANY_UNKNOWN,
             f"{unknown:.0%} of the words in {split} are <unk>: lower --min-count or add examples"),
            ("truncated_texts", truncated > MANY_TRUNCATED,
             f"{truncated:.0%} of the {kind} in {split} are longer than --max-words "
             f"{options.max_words} and are truncated"),
            ("few_words", mean < SHORT,
             f"{mean:.1f} words per text in {split}: labels, or words that are not separated"),
        ):  # fmt: skip
            if found:
                yield Finding(section, name, text, warning=True)
    often = "" if options.min_count == 1 else f" {options.min_count} times or more"
    text = f"{len(known):,} words occur{often} in train"
    values = {"vocabulary": len(known), "min_count": options.min_count}
    yield Finding(section, "vocabulary", text, not known, values)
    yield _language_finding(section, sum((each.languages for each in by_split.values()), Counter()))


def _language_finding(section: str, languages: Counter[str]) -> Finding:
    counts = Counter(languages)
    for script in ("Latin", "Cyrillic"):  # of texts with too few frequent words
        same = [name for name, _ in counts.most_common() if name in _SCRIPT_OF.get(script, ())]
        if same:
            counts[same[0]] += counts.pop(script, 0)
    total = max(1, counts.total())
    text = ", ".join(f"{name} {count / total:.1%}" for name, count in counts.most_common())
    others = [n for _, n in counts.most_common()[1:] if n >= max(MINORITY_COUNT, MINORITY * total)]
    text = f"languages or scripts, estimated: {text or 'none'}"
    if others:
        text += "; several in one dataset: check the annotations, or train a model for each"
    return Finding(section, "languages", text, bool(others), {"languages": dict(counts)})


def language_of(text: str, words: Sequence[str]) -> str:
    """Return the probable language of a text, else its script; "" for a text without letters.

    >>> language_of("Ein Hund und eine Katze", ["ein", "hund", "und", "eine", "katze"])
    'German'
    >>> language_of("สุนัขวิ่ง", []), language_of("a dog", ["a", "dog"]), language_of("犬が走る", [])
    ('Thai', 'Latin', 'Japanese')
    """
    scripts = Counter(filter(None, map(_script, text)))
    if not scripts:
        return ""
    script = "Japanese" if "Japanese" in scripts else scripts.most_common(1)[0][0]
    names = _SCRIPT_OF.get(script, ())
    votes = Counter(name for word in words for name in _BY_WORD.get(word, ()) if name in names)
    best = votes.most_common(2)
    if not best or best[0][1] < 2 or (len(best) > 1 and best[0][1] == best[1][1]):
        return script
    return best[0][0]


@functools.cache
def _script(character: str) -> str:
    """Return the script of a letter by its Unicode name; "" for other characters."""
    character = unicodedata.normalize("NFKC", character)[:1]
    if unicodedata.category(character) not in ("Ll", "Lu", "Lt", "Lo"):
        return ""
    name = unicodedata.name(character, "").partition(" ")[0]
    return _SCRIPTS.get(name, name.capitalize())
