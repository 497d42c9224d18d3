"""Counts of splits, labels, words and languages, and the warnings about them."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from data.annotations.entries import Entry, Problem
from data.media.vocabulary import SPECIAL, Vocabulary
from data.media.words import tokenize
from data.sharding.annotation_checks import Tally, TextOptions, language_of, problem_findings
from data.sharding.findings import Finding, as_text


def captioned(split: str, *texts: str) -> Entry:
    return Entry(texts[0], texts[0], "", texts, split)


def labeled(split: str, label: str) -> Entry:
    return Entry("x", "x", "", (), split, label)


DEFAULT = TextOptions()


def findings_of(entries: Iterable[Entry], options: TextOptions = DEFAULT) -> list[Finding]:
    tally = Tally("images", ["caption"], options)
    for entry in entries:
        tally.add(entry)
    return list(tally.findings())


def warnings_of(findings: Iterable[Finding]) -> dict[str, str]:
    return {finding.name: finding.text for finding in findings if finding.warning}


def test_known_words_are_those_of_a_runs_vocabulary() -> None:
    train = ["a red dog"] * 5 + ["a blue cat"] * 4
    held = ["a red cat", "a dog dog dog"]
    vocabulary = Vocabulary.build(train, TextOptions().min_count)
    found = findings_of([*(captioned("train", each) for each in train), captioned("test", *held)])
    words = " ".join(held).split()
    share = sum(word not in vocabulary.ids for word in words) / len(words)
    first, second = (each for each in found if each.name == "words")
    assert first.text.startswith("train: 9 captions of 3 to 3 words")
    assert second.text.startswith("test: 2 captions of 3 to 4 words, median 3")
    assert second.values["unknown_words"] == pytest.approx(share)
    (size,) = (each.values for each in found if each.name == "vocabulary")
    assert size == {"vocabulary": len(vocabulary) - len(SPECIAL), "min_count": 5}


def test_warnings_name_short_truncated_and_unknown_texts() -> None:
    usual = [captioned(split, "a red dog runs") for split in ["train"] * 5 + ["test"] * 30]
    assert warnings_of(findings_of(usual)) == {}
    short = [captioned("train", each) for each in ("a.b.c.d", "red", "dog")]
    assert {"few_words", "unknown_words", "vocabulary"} <= warnings_of(findings_of(short)).keys()
    options = TextOptions(min_count=1, max_words=3)
    assert "truncated_texts" in warnings_of(findings_of(usual, options))
    spaced = [captioned("train", "a, b. c d")] * 5
    counts = [
        each.values["words_per_text"]
        for punctuation in (False, True)
        for each in findings_of(spaced, TextOptions(punctuation=punctuation))
        if each.name == "words"
    ]
    assert counts == [4, 6]


def test_few_examples_and_a_missing_test_split_are_warnings() -> None:
    entries = [captioned("train", "a b")] * 40 + [captioned("validation", "a b")] * 29
    found = warnings_of(findings_of(entries))
    assert found["few_examples"].startswith("validation 29 images: a score on fewer than 30")
    assert found["no_test"].startswith("no test split")
    found = warnings_of(
        findings_of([*entries, captioned("validation", "a b"), captioned("test", "a")])
    )
    assert found["few_examples"].startswith("test 1 images")


def test_labels_are_counted_and_suspicious_ones_named() -> None:
    train = ["cat"] * 60 + ["dog"] * 5 + ["Dog "] * 5 + ["owl"] * 4
    entries = [labeled("train", label) for label in train] + [labeled("test", "cat")] * 30
    found = findings_of(entries)
    counts = {
        each.values["split"]: each.values["labels"] for each in found if each.name == "labels"
    }
    assert counts == {"train": {"cat": 60, "dog": 5, "Dog ": 5, "owl": 4}, "test": {"cat": 30}}
    examples = {each.name: [text for text, _ in each.examples] for each in found if each.warning}
    assert examples["rare_class"] == ["owl 4"]
    assert examples["similar_labels"] == ["dog / Dog "]
    assert examples["absent_class"] == ["dog", "Dog ", "owl"]
    assert any(each.name == "imbalance" and each.values == {"ratio": 15.0} for each in found)
    assert "cat                       60  81.1% ████████████████████\n" in as_text(found)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("the dog is on the sofa", "English"),
        ("der Hund ist auf dem Sofa", "German"),
        ("le chien est sur le canapé", "French"),
        ("el perro está en el sofá con la niña", "Spanish"),
        ("собака бежит по снегу и в лес", "Russian"),
        ("red dog", "Latin"),
        ("สุนัขวิ่งบนหาดทราย", "Thai"),
        ("कुत्ता दौड़ता है", "Devanagari"),
        ("犬が砂の上を走る", "Japanese"),
        ("ﾃﾚﾋﾞ", "Japanese"),
        ("一只狗在沙滩上跑", "Chinese"),
        ("개가 달린다", "Hangul"),
        ("ខ្ញុំស្រឡាញ់", "Khmer"),
        ("12:30 !?", ""),
    ],
)
def test_the_language_or_script_of_a_text_is_estimated(text: str, language: str) -> None:
    assert language_of(text, tokenize(text)) == language


def test_a_mixture_of_languages_is_a_warning() -> None:
    english = [captioned("train", "the dog is on the sofa"), captioned("train", "red dog")] * 50
    thai, german = (
        captioned("train", "สุนัขวิ่งบนหาดทราย"),
        captioned("train", "der Hund und die Katze"),
    )
    assert "languages" not in warnings_of(findings_of([*english, thai, thai]))
    found = findings_of([*english, *[thai] * 3, *[german] * 10])
    assert "English 88.5%, German 8.8%, Thai 2.7%" in warnings_of(found)["languages"]


def test_problems_are_grouped_with_their_first_causes() -> None:
    problems = [Problem(f"{n}.jpg", "missing", f"captions.csv:{n}") for n in range(7)]
    problems.append(Problem("b.jpg", "unknown split: 'tset' is not train", "captions.csv:9"))
    problems.append(Problem("c.jpg", "caption given twice", "captions.csv:10", bad=False))
    text = as_text(problem_findings(problems))
    assert text.startswith(
        "Annotations\n! missing (7)\n    0.jpg (captions.csv:0)\n    1.jpg (captions.csv:1)\n"
    )
    assert "    and 2 more\n! unknown split (1)\n" in text
    assert "    b.jpg (captions.csv:9): 'tset' is not train\n  caption given twice (1)\n" in text
