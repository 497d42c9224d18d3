"""Texts with translations: what is read, left out and refused."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from data.builtin.parallel_corpus import NEVER_OBJECTS, PEOPLE, SPLITS, THINGS, synthetic_pairs
from data.common.errors import UserError
from data.text.prepare import prepare_texts
from data.text.prepared import Texts
from tests.support.source_files import fill

Read = Callable[..., Texts]
ENGLISH, GERMAN = "A dog.\nTwo cats.\nA man\n", "Ein Hund.\nZwei Katzen.\nEin Mann\n"


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Write files and prepare them."""

    def prepare(
        files: dict[str, str | bytes], languages: str | None = "en-de", max_bad: float = 0.5
    ) -> Texts:
        source = fill(tmp_path / "source", files)
        home = tmp_path / "home"
        prepared = prepare_texts(
            "pairs", source, languages=languages, data_dir=home, max_bad=max_bad
        )
        assert isinstance(prepared, Texts)
        return prepared

    return prepare


def pairs(prepared: Texts, split: str = "train") -> dict[str, str]:
    texts, answers = prepared.texts(split), prepared.captions(split)
    assert [name for name, _ in texts] == [name for name, _ in answers]
    return {text: answer for (_, text), (_, (answer,)) in zip(texts, answers, strict=True)}


def test_parallel_files_compressed_or_not_in_both_directions(read: Read) -> None:
    files = {
        "train.en": ENGLISH,
        "train.de.gz": gzip.compress(GERMAN.encode()),
        "val.en": "A hat.",
        "val.de": "Ein Hut.\n",
    }
    prepared = read(files)
    assert prepared.splits == {"train": 3, "validation": 1}
    assert pairs(prepared) == {
        "A dog.": "Ein Hund.",
        "Two cats.": "Zwei Katzen.",
        "A man": "Ein Mann",
    }
    assert pairs(prepared, "validation") == {"A hat.": "Ein Hut."}
    back = read({}, "de-en")
    assert pairs(back, "validation") == {"Ein Hut.": "A hat."}
    assert back.fingerprint != prepared.fingerprint


@pytest.mark.parametrize(
    "files",
    [
        {"Europarl.de-en.en": ENGLISH, "Europarl.de-en.de": GERMAN},
        {"corpus.csv": "German;English\nEin Hund.;A dog.\nZwei Katzen.;Two cats.\n"
                       "Ein Mann;A man\n"},
        {"deu.txt": "".join(f"{e}\t{d}\tCC-BY 2.0 (France) Attribution: tatoeba.org #1\n"
                            for e, d in zip(ENGLISH.split("\n")[:3], GERMAN.split("\n")[:3],
                                            strict=True)),
         "_about.txt": "Tab-delimited Bilingual Sentence Pairs"},
    ],
)  # fmt: skip
def test_a_corpus_of_another_name_is_read(read: Read, files: dict[str, str | bytes]) -> None:
    prepared = read(files)
    found = {
        text: answer for split in prepared.splits for text, answer in pairs(prepared, split).items()
    }
    assert found == {"A dog.": "Ein Hund.", "Two cats.": "Zwei Katzen.", "A man": "Ein Mann"}


def test_all_tables_give_the_same_pairs(read: Read) -> None:
    expected = {'say "hi"': "sag „hallo“", "no, two": "nein, zwei"}
    plain = "".join(f"{text}\t{answer}\n" for text, answer in expected.items())
    headed = "de\tsplit\ten\n" + "".join(f"{d}\ttrain\t{e}\n" for e, d in expected.items())
    lines = "".join(json.dumps({"text": e, "translation": d}) + "\n" for e, d in expected.items())
    quoted = 'text,translation\n"say ""hi""",sag „hallo“\n"no, two","nein, zwei"\n'
    for name, content, languages in (
        ("train.tsv", plain, None),
        ("train.tsv.gz", gzip.compress(plain.encode()), None),
        ("pairs.tsv", headed, "en-de"),
        ("train.csv", quoted, None),
        ("train.jsonl", lines, None),
        ("train.jsonl.gz", gzip.compress(lines.encode()), None),
    ):
        prepared = read({name: content}, languages)
        assert {**pairs(prepared), **sum_of_others(prepared)} == expected, name
        (prepared.problems.parents[3] / "source" / name).unlink()


def sum_of_others(prepared: Texts) -> dict[str, str]:
    others = [split for split in prepared.splits if split != "train"]
    return {text: answer for split in others for text, answer in pairs(prepared, split).items()}


def test_empty_texts_and_texts_in_two_splits_are_left_out_and_reported(read: Read) -> None:
    files = {
        "train.en": "A dog.\n\nTwo cats.\n \x01\nA hat.\n",
        "train.de": "Ein Hund.\nNichts.\n\x00\n\nEin Hut.\n",
        "dev.en": "A hat.\n",
        "dev.de": "Ein Hut.\n",
    }
    prepared = read(files, max_bad=0.6)
    assert pairs(prepared) == {"A dog.": "Ein Hund."}
    found = [json.loads(line) for line in prepared.problems.read_text().splitlines()]
    assert {(each["file"], each["reason"].partition(":")[0]) for each in found} == {
        ("train.en:2", "empty text"),
        ("train.en:3", "empty translation"),
        ("train.en:4", "empty text"),
        ("train.en:5", "in two splits"),
    }
    with pytest.raises(UserError, match=r"3 of 6 texts .*2 empty text, 1 empty translation"):
        read({}, max_bad=0.1)
    empty = dict.fromkeys(("train.en", "train.de", "dev.en", "dev.de"), "")
    with pytest.raises(UserError, match=r"no text can be used: 2 empty text; see .*jsonl"):
        read(empty, max_bad=1.0)


def test_control_characters_and_line_ends_do_not_shift_lines(read: Read) -> None:
    odd = "a\x00b\x1b[31m\u2028c\x85d\x0ce"
    prepared = read({"train.en": f"{odd}\r\ntwo\r\n", "train.de": f"eins\n{odd}\n"})
    assert {**pairs(prepared), **sum_of_others(prepared)} == {odd: "eins", "two": odd}


@pytest.mark.parametrize(
    ("files", "languages", "message"),
    [
        (
            {"train.en": ENGLISH, "train.de": GERMAN + "Noch einer.\n"},
            "en-de",
            r"train.en has 3 lines, train.de has 4: they must correspond",
        ),
        (
            {"train.en": ENGLISH},
            "en-de",
            r"no parallel file: no train.de or train.de.gz",
        ),
        ({"train.en": ENGLISH, "train.de": GERMAN}, None, r"--languages en-de"),
        ({"train.en": ENGLISH, "train.de": GERMAN}, "en-fr", r"no train.fr or train.fr.gz"),
        ({"train.en": ENGLISH, "train.de": GERMAN}, "en", r"SOURCE-TARGET.*not 'en'"),
        (
            {"train.en": ENGLISH, "train.de": b"Ein Hund.\nZwei \xe4ffchen.\nEin Mann\n"},
            "en-de",
            r"train.de, line 2: not UTF-8 \(byte 0xe4\)",
        ),
        ({"train.en": ENGLISH, "train.de.gz": b"no gzip"}, "en-de", r"de.gz cannot be unpacked"),
        (
            {"train.en": ENGLISH, "train.de.gz": gzip.compress(GERMAN.encode())[:20]},
            "en-de",
            r"train.de.gz cannot be unpacked",
        ),
        (
            {"train.tsv": "one\teins\ntwo\n"},
            None,
            r"line 2: wrong number of fields: 1",
        ),
        (
            {"train.tsv": "one\teins\tuno\n"},
            None,
            r"line 1: no column text .*; no column translation",
        ),
        ({"dev.tsv": "one\teins\n"}, None, r"no pairs of texts in .*found dev.tsv"),
        ({"train.en": "", "train.de": ""}, "en-de", r"1 of 1 texts .* have problems.* Fix them$"),
    ],
)
def test_an_unreadable_source_is_an_error_that_names_the_file(
    read: Read, files: dict[str, str | bytes], languages: str | None, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        read(files, languages)


def test_real_captions_in_three_languages(shared_data: Path, tmp_path: Path) -> None:
    source = shared_data / "multi30k"
    prepared = prepare_texts("multi30k", source, data_dir=tmp_path)
    assert prepared.splits == {"train": 28_999, "validation": 1_014}
    german = dict(prepared.captions("validation"))["val.en.gz:1"]
    french = prepare_texts("multi30k", source, languages="fr-de", data_dir=tmp_path)
    assert dict(french.captions("validation"))["val.fr.gz:1"] == german


def test_synthetic_pairs_have_separate_splits_word_order_and_agreement() -> None:
    splits = {split: synthetic_pairs(split) for split in SPLITS}
    texts = [{text for text, _ in each} for each in splits.values()]
    assert sum(map(len, texts)) == len(set.union(*texts)) == 9500
    words = {split: " ".join(f"{e} {g}" for e, g in each) for split, each in splits.items()}
    nouns = {noun.english[0]: noun for noun in (*PEOPLE, *THINGS)}
    for name in NEVER_OBJECTS:  # their accusative differs from the nominative
        if nouns[name].gender == "m":
            german = nouns[name].german[0]
            assert f"den {german}" not in words["train"], german
            assert f"der {german}" in words["train"]
    translations = dict(pair for each in splits.values() for pair in each)
    assert any(g.endswith(("will.", "wollen.")) for g in translations.values())  # the verb last
    assert any(e.startswith("Today") and g.split()[1] == "hat" for e, g in translations.items())


def test_the_grammar_gives_correct_german() -> None:
    translations = dict(synthetic_pairs("train"))
    for text, translation in CHECKED_BY_HAND.items():
        assert translations[text] == translation


CHECKED_BY_HAND = {
    "Two poor men have carried the poor picture.": "Zwei arme Männer haben das arme Bild getragen.",
    "Today the poor women see a dog.": "Heute sehen die armen Frauen einen Hund.",
    "A poor girl takes two pictures along.": "Ein armes Mädchen nimmt zwei Bilder mit.",
    "An aunt wants to look at a hat.": "Eine Tante will einen Hut ansehen.",
    "Sometimes two beautiful queens look for the child.": (
        "Manchmal suchen zwei schöne Königinnen das Kind."
    ),
    "Two aunts have looked for the red hat.": "Zwei Tanten haben den roten Hut gesucht.",
    "Two women pick the beautiful child up.": "Zwei Frauen heben das schöne Kind auf.",
}


def table(header: str, delimiter: str = "\t") -> str:
    rows = [f"Der Hund läuft {n} mal .{delimiter}The dog runs {n} times ." for n in range(40)]
    return "\n".join([*filter(None, [header]), *rows]) + "\n"


@pytest.mark.parametrize("header", ["de\ten", "german\tenglish", "German\tEnglish", ""])
def test_the_header_decides_the_direction_and_all_parts_are_there(read: Read, header: str) -> None:
    languages = "en-de" if header else "de-en"
    prepared = read({"train.tsv": table(header)}, languages)
    found = {**pairs(prepared), **pairs(prepared, "validation"), **pairs(prepared, "test")}
    german, english = "Der Hund läuft 3 mal .", "The dog runs 3 times ."
    assert (english if header else german, german if header else english) in found.items()
    assert len(found) == 40
    assert prepared.splits == {"train": 32, "validation": 4, "test": 4}


@pytest.mark.parametrize("languages", ["en-de", None])
@pytest.mark.parametrize(
    "header",
    ["deutsch\tenglisch", "Quelle\tZiel", "de_text\ten_text", "German sentence\tEnglish sentence"],
)
def test_an_unknown_header_is_never_a_pair(read: Read, header: str, languages: str | None) -> None:
    with pytest.raises(UserError) as caught:
        read({"train.tsv": table(header)}, languages)
    assert "train.tsv, line 1: no column text (name it " in str(caught.value)
    assert str(header.split("\t")) in str(caught.value)


def test_pairs_of_the_datasets_library_are_read(read: Read) -> None:
    lines = [{"id": n, "translation": {"en": f"dog {n}", "de": f"Hund {n}"}} for n in range(10)]
    prepared = read({"train.jsonl": "\n".join(map(json.dumps, lines))})
    assert sum(prepared.splits.values()) == 10
