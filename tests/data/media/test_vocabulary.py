"""Vocabularies: tokens, ids, round trips and their files."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.common.errors import UserError
from data.media.vocabulary import END, PAD, SPECIAL, START, UNKNOWN, Vocabulary
from data.media.words import is_blank, tokenize

WORDS = st.lists(st.text("abcdeéß'-", min_size=1, max_size=6), min_size=1, max_size=12)


@given(st.text())
def test_tokens_are_unchanged_by_tokenizing_them_again(text: str) -> None:
    tokens = tokenize(text)
    assert tokenize(" ".join(tokens)) == tokens
    for token in tokens:
        assert token.split() == [token] and token.strip(".,;:!?")  # "0.0" is one word


@given(st.text())
def test_punctuation_adds_tokens_and_keeps_the_words(text: str) -> None:
    words = set(tokenize(text))
    tokens = tokenize(text, punctuation=True)
    assert [token for token in tokens if token in words] == tokenize(text)


@given(st.text())
def test_a_text_is_blank_if_it_has_no_token(text: str) -> None:
    assert is_blank(text) == (not tokenize(text, punctuation=True))


def test_words_are_ordered_by_count_then_alphabetically() -> None:
    vocabulary = Vocabulary.build(["b c a", "c b", "c d <pad>"], min_count=1)
    assert vocabulary.words == (*SPECIAL, "c", "b", "a", "d", "pad")
    assert Vocabulary.build(["b c a", "c b"], min_count=2).words == (*SPECIAL, "b", "c")
    assert [vocabulary.ids[word] for word in vocabulary.words] == list(range(len(vocabulary)))


@pytest.mark.parametrize("punctuation", [False, True])
@given(texts=st.lists(st.text("abc !?.", min_size=1, max_size=9), min_size=1))
def test_encoded_training_texts_have_no_unknown_word(texts: list[str], punctuation: bool) -> None:
    known = Vocabulary.build(["a", "!", *texts], min_count=1, punctuation=punctuation)
    for text in texts:
        ids = known.encode(text)
        assert (ids[0], ids[-1]) == (START, END) and UNKNOWN not in ids
        decoded = known.decode(ids)
        assert tokenize(decoded, punctuation) == tokenize(text, punctuation)


def test_unknown_words_padding_and_truncation() -> None:
    vocabulary = Vocabulary.build(["a red circle"], min_count=1)
    assert vocabulary.encode("a green circle a red one", max_words=3) == [
        START,
        vocabulary.ids["a"],
        UNKNOWN,
        vocabulary.ids["circle"],
        END,
    ]
    assert vocabulary.decode([START, 4, END, 5, PAD]) == vocabulary.words[4]
    assert vocabulary.decode([]) == ""


def test_words_of_unspaced_scripts_are_joined_without_spaces() -> None:
    texts = ["一只狗在草地上", "一个人骑着 new york 自行车", "สุนัขวิ่งบน หาดทราย"]
    vocabulary = Vocabulary.build(texts, min_count=1)
    assert [vocabulary.decode(vocabulary.encode(text)) for text in texts] == texts


@settings(max_examples=25)
@given(WORDS)
def test_a_saved_vocabulary_is_loaded_unchanged(
    tmp_path_factory: pytest.TempPathFactory, words: list[str]
) -> None:
    vocabulary = Vocabulary([*SPECIAL, *dict.fromkeys(words)])
    path = tmp_path_factory.mktemp("vocabulary") / "words.txt"
    vocabulary.save(path)
    loaded = Vocabulary.load(path)
    assert (loaded.words, loaded.hash) == (vocabulary.words, vocabulary.hash)


def test_the_hash_depends_on_the_words_and_their_order() -> None:
    hashes = {Vocabulary([*SPECIAL, *words]).hash for words in itertools.permutations("abc")}
    assert len(hashes) == 6
    assert Vocabulary([*SPECIAL, "ab"]).hash != Vocabulary([*SPECIAL, "a", "b"]).hash
    assert Vocabulary([*SPECIAL, "a", "dog"]).hash == "7bca9aec20515280"  # stored in exports


def test_words_share_an_affix_id_exactly_if_they_share_the_affix() -> None:
    words = ["walking", "walked", "talking", "walk", "running"]
    affixes = Vocabulary([*SPECIAL, *words]).affixes()
    assert affixes[: len(SPECIAL)] == [(0, 0)] * len(SPECIAL)
    by_word = dict(zip(words, affixes[len(SPECIAL) :], strict=True))
    assert by_word["walk"] == (0, 0)
    assert by_word["walking"][0] == by_word["walked"][0] != by_word["talking"][0]
    assert by_word["walking"][1] == by_word["talking"][1] == by_word["running"][1]
    assert by_word["walked"][1] != by_word["walking"][1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a", "b"], "must begin with"),
        ([*SPECIAL, "a", "b", "a"], r"duplicate words in the vocabulary: \['a'\]"),
    ],
)
def test_an_invalid_word_list_is_refused(words: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Vocabulary(words)


def test_a_vocabulary_without_frequent_words_is_refused() -> None:
    with pytest.raises(UserError, match=r"no word occurs 2 times .*lower --min-count"):
        Vocabulary.build(["a dog", "the cat"], min_count=2)
