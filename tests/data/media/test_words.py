"""Words of every script: Unicode's own test files, and texts that come back as written."""

from __future__ import annotations

import bz2
import itertools
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.media import words
from data.media.words import join, mostly_unspaced, normalize, tokenize, tokenize_with_spaces

UNICODE = Path("/usr/share/unicode")  # Debian's package unicode-data
# What `data.media.words` decides differently from Annex 29, see there.
DIFFERENT = re.compile(
    "\\w['’:][^\\w\\s]*\\d|\\d['’:][^\\w\\s]*\\w|[\u2701\u3031\u30ff]|\\s[\u0300\u0308\u200d\u00ad\u2060]"
)

# Space with a mark; what Annex 29 itself divides: Arabic number signs, flags with a joiner.
DIFFERENT_CLUSTERS = re.compile(
    "\\s[\u0300\u0308\u034f\u0903\u200d]|\u0600[ \U0001f1e6\u231a\u0378]|\U0001f1e6\u200d|\u2701"
)


@pytest.mark.parametrize(
    "text",
    [
        "the bus leaves at 9:30 and costs 3.50 euros.",
        "1,000 people, 24/7.",
        'it is "red".',
        "the u.s. team won 2:1.",
        "-5 °c",
        "一个3.5米高的人骑着 new york 自行车",
        "สุนัขวิ่งบน หาดทราย",
        "หมา🐕วิ่ง 2 ตัว",
        "ශ්‍රී ලංකාව, র‍্যাব",
        "foot\u00adball it’s it's rock-'n'-roll",
        "🇩🇪🇫🇷 👍🏽 👨‍👩‍👧 ❤️",
        '"what?" (he said) -- ok... [no] {x}',
        "フリスビーを投げる犬。ｱｲｽ ガギ",
        "“citation” «oui» l'été ¿qué? ¡sí!",
        "नमस्ते दुनिया। ဘာလဲ ຫມາ ខ្មែរ",
        "#tag @me a&b $5 50% ½ x² x_y 5ft c++",
    ],
)
def test_a_text_comes_back_as_written(text: str) -> None:
    assert join(tokenize_with_spaces(text, punctuation=True)) == text


ALPHABET = [*"abz09'’-.,:;/\"_()[]!?%$#é°½", "e\u0301", "狗", "、", "。", "カ", "か", "ｶ", "ส", "นั"]
ALPHABET += ["ខ", "👍🏽", "🇩🇪", "👨‍👩‍👧", "שׁ", "क्‍ष", "\u0930", " ", " "]


@given(st.lists(st.sampled_from(ALPHABET), max_size=14))
def test_any_text_comes_back_as_written(parts: list[str]) -> None:
    text = " ".join("".join(parts).split())
    assert join(tokenize_with_spaces(text, punctuation=True)) == normalize(text)


@pytest.mark.parametrize(
    "text, count",
    [
        ("สุนัขวิ่งบนหาดทราย", 14),  # Thai
        ("ຫມາແລ່ນ", 6),  # Lao
        ("ខ្ញុំស្រលាញ់", 6),  # Khmer
        ("ｲﾇｶﾞﾊｼﾙ", 6),  # half-width kana, with a voiced mark
        ("フリスビー", 5),
        ("ශ්‍රී", 1),
        ("👨‍👩‍👧", 1),
        ("🇩🇪🇫🇷", 2),
        ("it’s", 1),
        ("9:30", 1),
    ],
)
def test_words_without_spaces_are_divided_and_sequences_are_not(text: str, count: int) -> None:
    assert len(tokenize(text)) == count


def test_marks_of_direction_are_no_part_of_a_word() -> None:
    text = "\u200fכלב רץ\u200e, \ufeffdog\u202c. foot\u00adball"
    assert tokenize(text) == ["כלב", "רץ", "dog", "foot\u00adball"]


def test_scripts_without_spaces_are_recognized() -> None:
    assert mostly_unspaced(["สุนัขวิ่ง", "一只狗 runs"])
    assert not mostly_unspaced(["개가 달린다", "नमस्ते दुनिया", "a dog"])


def unicode_segments(name: str) -> Iterator[list[str]]:
    """The segments of each line of one of Unicode's test files."""
    path = UNICODE / "auxiliary" / name
    if not path.is_file():
        pytest.skip(f"Unicode's test file is not present at {path}")
    for line in path.read_text(encoding="utf-8").splitlines():
        boundaries = line.partition("#")[0].strip().strip("÷").split("÷")
        if segments := list(filter(None, boundaries)):
            yield ["".join(chr(int(p, 16)) for p in part.split("×")) for part in segments]


def test_word_boundaries_are_those_of_unicode() -> None:
    compared = 0
    for segments in unicode_segments("WordBreakTest.txt"):
        text = "".join(segments)
        if DIFFERENT.search(text):
            continue
        compared += 1
        found = [segment[0] for segment in words._SEGMENT.finditer(text)]
        assert found == [each for each in segments if not each.isspace()], ascii(text)
    assert compared > 1400


def test_no_word_boundary_is_inside_a_grapheme_cluster() -> None:
    compared = 0
    for clusters in unicode_segments("GraphemeBreakTest.txt"):
        text = "".join(clusters)
        if DIFFERENT_CLUSTERS.search(text):
            continue
        compared += 1
        ends = set(itertools.accumulate(map(len, clusters)))
        for start, end in ((m.start(), m.end()) for m in words._SEGMENT.finditer(text)):
            assert {start, end} <= ends | {0}, ascii(text)
    assert compared > 480


def test_normalization_is_that_of_unicode() -> None:
    path = UNICODE / "NormalizationTest.txt.bz2"
    if not path.is_file():
        pytest.skip(f"Unicode's test file is not present at {path}")
    lines = bz2.decompress(path.read_bytes()).decode().splitlines()
    columns = [line.split(";")[:3] for line in lines if line[:1] not in ("", "#", "@")]
    for column in columns:
        source, nfc, nfd = ("".join(chr(int(p, 16)) for p in part.split()) for part in column)
        if all(unicodedata.category(char) != "Cn" for char in source):  # known to this Python
            assert normalize(source) == normalize(nfd) == nfc.lower()
    assert len(columns) > 18_000


def test_long_runs_of_marks_are_divided() -> None:
    text = "a" + "\u0323\u0301" * 40
    found = normalize(text)
    assert found.count("\u034f") == 2
    assert max(map(len, re.findall("[\u0300-\u034e\u0350-\u036f]+", found))) <= 31
    assert normalize("a" + "\u0301" * 30).count("\u034f") == 0
