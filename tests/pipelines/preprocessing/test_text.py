"""The graph's tokens equal Python's, for real sentences and for all of Unicode."""

from __future__ import annotations

import functools
import random
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from data.media.vocabulary import END, PAD, START, UNKNOWN, Vocabulary
from data.media.words import tokenize_with_spaces
from data.text.prepare import prepare_texts
from pipelines.preprocessing import text as text_graph
from pipelines.preprocessing.normalization import normalize

TEXTS = [tf.TensorSpec([None], tf.string)]
in_graph = {
    marks: tf.function(
        functools.partial(text_graph.tokenize_with_spaces, punctuation=marks),
        input_signature=TEXTS,
        autograph=False,
    )
    for marks in (False, True)
}
KNOWN = Vocabulary.build(["a fine film it 's not été 狗 ⚽ οδος", "wo n't"], min_count=1)


@tf.function(input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)
def encoded(texts: tf.Tensor) -> tf.Tensor:
    return text_graph.encode(texts, KNOWN, 5)


def agree(texts: Sequence[str]) -> None:
    for marks, graph in in_graph.items():
        found = graph(tf.constant(list(texts))).to_list()
        for text, words in zip(texts, found, strict=True):
            expected = tokenize_with_spaces(text, marks)
            assert [word.decode() for word in words] == expected, ascii(text)


ODD = [
    "",
    "   ",
    "A man's T-shirt -- is RED .",
    "一只狗 plays ⚽!",
    "rock-'n'-roll 'tis o’clock- -x",
    "a-e\u0301b n\u0303-o\u0303 e\u0323\u0302 e\u0302\u0323",
    "a-b\u20dd-c x_y _z",
    "ΟΔΟΣ ΟΔΟΣ. Σ ΑΣ' ΑΣ'Α Σ\u0301 A\u00adΣ A\u00adΣ\u00adB \u02b0Σ",
    "İstanbul ISPARTA ẞ ŉ ǰ",
    "\u1100\u1161\u11a8 한국어 \uac00\u11a8 \u1100\uac00",
    "\u0958 \u09c7\u09be \u212b \u2126 \u2f800 \ufb1d",
    "\u0301abc \u0301",
    "a\u0315\u0300\u05ae\u0300b \u0344 \u0f73",
    "1,000.5 x² ½ Ⅷ",
    "tab\tnew\nline\x00nul\x1besc\u2028sep\x85nel\xa0nbsp",
    "\ud7ff\ue000\U0010ffff\ufffd\ufffe",
    "नमस्ते दुनिया ไทย ລາວ മലയാളം",
    "ခွေးလေး ឆ្កែ བོད་ཡིག שָׁלוֹם كَلْب می\u200cخواهم दुनिया।",
    "👩‍👩‍👧 ❤️ 🇩🇪 ☀x",
    "\u200fכלב רץ\u200e, \u061cكلب\u2069. \ufeffdog",
]


def test_unusual_texts_in_a_batch_and_alone() -> None:
    agree(ODD)
    for text in ODD:
        agree([text])


def test_every_character_between_letters() -> None:
    points = [p for p in range(0x30000) if not 0xD800 <= p < 0xE000]
    rows = ["aΣ".join(["", *map(chr, points[i : i + 64]), "-x"]) for i in range(0, len(points), 64)]
    agree(rows)


def test_marks_in_any_order_compose_alike() -> None:
    rng = random.Random(0)
    marks = [chr(p) for p in range(0x110000) if unicodedata.combining(chr(p))]
    few = [*"aeoAEΣω", *map(chr, (0x300, 0x301, 0x308, 0x323, 0x327, 0x328, 0x345, 0x1100, 0x1161))]
    texts = ["".join(rng.choices(few + rng.sample(marks, 4), k=9)) for _ in range(1000)]
    agree(texts)
    spec = [tf.TensorSpec([None], tf.int32)]
    in_graph = tf.function(normalize, input_signature=spec, autograph=False)
    for text in texts[:300]:
        expected = [ord(char) for char in unicodedata.normalize("NFC", text)]
        assert in_graph(tf.constant(list(map(ord, text)))).numpy().tolist() == expected


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("aΣσ'’-_é\u0301 \n")),
        min_size=1,
        max_size=4,
    )
)
def test_random_texts(texts: list[str]) -> None:
    agree(texts)


def test_thousands_of_real_sentences(shared_data: Path, tmp_path: Path) -> None:
    for name, folder in (("sst2", "sst2"), ("rt-polarity", "rt_polarity")):
        prepared = prepare_texts(name, shared_data / folder, data_dir=tmp_path)
        for split in prepared.splits:
            texts = [text for _, text in prepared.texts(split)][::3]
            agree(texts)
            agree([text.upper() for text in texts[:200]])


def test_bytes_that_are_not_utf8_are_punctuation() -> None:
    for graph in in_graph.values():
        (words,) = graph(tf.constant([b"fine\xff\xfefilm \xc3"])).to_list()
        assert words == [b"fine", b"film"]


def test_ids_are_those_of_the_vocabulary() -> None:
    texts = ["It's NOT a fine film", "", "狗⚽ Été e\u0301te\u0301 unheard ΟΔΟΣ", "<pad> <unk>"]
    rows = encoded(tf.constant(texts)).numpy()
    for text, row in zip(texts, rows.tolist(), strict=True):
        expected = KNOWN.encode(text, 5)
        assert row == expected + [PAD] * (len(row) - len(expected))
    assert rows[1, :2].tolist() == [START, END]
    assert UNKNOWN in rows[3].tolist() or KNOWN.encode(texts[3], 5) == [START, END]


def test_only_stock_ops_and_no_tables() -> None:
    ops = {op.type for op in encoded.get_concrete_function().graph.get_operations()}
    assert not {op for op in ops if "PyFunc" in op or "Table" in op}
    assert ops <= set(dir(tf.raw_ops)) | {"StatelessIf", "StatelessWhile"}


@pytest.mark.parametrize(
    "texts",
    [
        ["x" * 5000],
        ["e\u0301 " * 3000, "a"],
        ["a " * 20_000 + "e" + "\u0301" * 20_000],  # once cubic: hours
        ["e" + "\u0301\u0323" * 25_000, "\u1161\u11a8" * 10_000],
        ["a\u200d" * 20_000, "'\u0301" * 20_000, "🇩🇪" * 10_000],
    ],
)
def test_long_texts(texts: list[str]) -> None:
    agree(texts)
