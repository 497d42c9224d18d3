"""Labeled texts: what is read, left out and refused."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from data.annotations.problems import read_report
from data.builtin import reviews
from data.common.errors import UserError
from data.text.prepare import prepare_texts
from data.text.prepared import Texts
from tests.support.source_files import fill

GOOD, BAD = "a fine film\tgood\n", "a poor film\tbad\n"


@pytest.fixture
def read(tmp_path: Path) -> Any:
    """Write files and prepare them."""

    def prepare(files: dict[str, str | bytes], name: str = "texts", max_bad: float = 0.5) -> Texts:
        source = fill(tmp_path / "source", files)
        return prepare_texts(name, source, data_dir=tmp_path / "home", max_bad=max_bad)

    return prepare


def labeled(prepared: Texts, split: str) -> dict[str, str]:
    pairs = zip(prepared.texts(split), prepared.labels(split), strict=True)
    return {text: label for (_, text), (_, label) in pairs}


def everything(prepared: Texts) -> dict[str, str]:
    return {text: c for split in prepared.splits for text, c in labeled(prepared, split).items()}


def test_tsv_csv_and_json_lines_give_the_same_texts(read: Any) -> None:
    rows = [('say "hi", twice', "good"), ("no tabs here", "bad"), ("été 狗 ⚽", "good")]
    csv = 'Text,Label\n"say ""hi"", twice",good\nno tabs here,bad\nété 狗 ⚽,good\n'
    jsonl = "".join(json.dumps({"sentence": t, "label": c}) + "\n" for t, c in rows)
    tsv = "".join(f"{text}\t{label}\n" for text, label in rows)
    headed = "label\tsentence\n" + "".join(f"{label}\t{text}\n" for text, label in rows)
    semicolons = 'Text;Label\n"say ""hi"", twice";good\nno tabs here;bad\nété 狗 ⚽;good\n'
    for suffix, content in (
        ("csv", csv), ("csv", semicolons), ("jsonl", jsonl), ("tsv", tsv), ("tsv", headed)
    ):  # fmt: skip
        prepared = read({f"train.{suffix}": content})
        assert everything(prepared) == dict(rows)
        assert prepared.classes == ("bad", "good")
        for file in (prepared.problems.parents[3] / "source").iterdir():
            file.unlink()


def test_the_fingerprint_is_the_hash_of_all_rows(read: Any) -> None:
    """A resumed run refuses another one."""
    prepared = read({"train.tsv": GOOD + BAD, "dev.tsv": "so gööd\tgood\n"})
    rows = {
        split: [[entry.image_id, *entry.captions, entry.label, split] for entry in entries]
        for split, entries in prepared.examples.items()
    }
    digest = hashlib.sha256(json.dumps(rows).encode()).hexdigest()
    assert len(rows) == 2 and prepared.fingerprint == digest[:16]


def test_splits_come_from_files_a_column_or_a_hash(read: Any) -> None:
    files = {"train.tsv": GOOD + BAD, "dev.tsv": "so good\tgood\n", "test.tsv": "so bad\tbad\n"}
    assert read(files).splits == {"train": 2, "validation": 1, "test": 1}
    rows = [f"text {n},{'ab'[n % 2]},{('train', 'val', 'test')[n % 3]}\n" for n in range(12)]
    column = {"texts.csv": "text,label,split\n" + "".join(rows)}
    assert read(column).splits == {"train": 4, "validation": 4, "test": 4}
    many = "".join(f"text number {n}\t{'ab'[n % 2]}\n" for n in range(200))
    (read({}).problems.parents[3] / "source" / "texts.csv").unlink()
    by_hash = read({"texts.tsv": many})
    assert sum(by_hash.splits.values()) == 200
    assert 140 < by_hash.splits["train"] < 180


def test_a_tenth_of_training_becomes_the_missing_validation_split(
    read: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    many = "".join(f"text number {n}\t{'ab'[n % 2]}\n" for n in range(400)) + "rare\tc\n"
    prepared = read({"train.tsv": many, "test.tsv": "unheard of\ta\n"})
    assert sum(prepared.splits.values()) == 402 and prepared.splits["test"] == 1
    assert 25 < prepared.splits["validation"] < 60
    assert labeled(prepared, "train")["rare"] == "c"  # a label of one text stays in training
    note = f"no validation split given: {prepared.splits['validation']} of the training texts"
    assert note in capfd.readouterr().err


def test_a_label_is_read_as_one_line(read: Any) -> None:
    rows = 'text,label\na,good\nb,"so\n so"\nc,so so\n'
    assert read({"train.csv": rows}).classes == ("good", "so so")


def test_a_label_of_one_text_stays_in_training(read: Any) -> None:
    rows = "".join(f"text number {n}\t{n // 2 if n < 40 else n}\n" for n in range(60))
    prepared = read({"texts.tsv": rows})
    assert len(prepared.classes) == 40
    held_out = [labeled(prepared, split) for split in ("validation", "test")]
    assert all(4 <= len(part) <= 7 and max(map(int, part.values())) < 20 for part in held_out)


def test_empty_texts_and_texts_in_two_splits_are_left_out_and_reported(read: Any) -> None:
    train = GOOD + "\n   \n\x01\x7f\tgood\n" + BAD + "the same\tbad\n"
    prepared = read({"train.tsv": train, "dev.tsv": "the same\tbad\n"})
    assert prepared.splits == {"train": 2, "validation": 1}
    problems = [json.loads(line) for line in prepared.problems.read_text().splitlines()]
    assert {each["file"] for each in problems} == {"train.tsv:4", "train.tsv:6"}
    reasons = sorted(each["reason"] for each in problems)
    assert reasons[0] == "empty text"
    assert "in two splits: the same text as dev.tsv:1" in reasons[1]


def test_control_characters_and_long_texts_are_data(read: Any) -> None:
    odd = "a\x00b\x1b[31m\u2028c\x85d"
    long = "word " * 10_000
    prepared = read({"train.tsv": f"{odd}\tgood\n{long}\tbad\n"})
    assert set(everything(prepared)) == {odd, long.strip()}


LONG = 30_000 * "word "  # longer than the csv module takes by itself


@pytest.mark.parametrize(
    "files",
    [
        {"train.csv": f"text,label\nodd,good\n{LONG},bad\n"},
        {
            "train.jsonl": '{"text": "odd", "label": "good", "split": ""}\n'
            f'{{"text": "{LONG}", "label": "bad", "split": ""}}\n'
        },
    ],
)
def test_long_cells_and_empty_splits_are_read(read: Any, files: Any) -> None:
    assert everything(read(files)) == {"odd": "good", LONG.strip(): "bad"}


@pytest.mark.parametrize(
    ("files", "parts"),
    [
        ({"train.tsv": b"fine\tgood\n\xff\xfe\tbad\n"}, ["train.tsv, line 2", "not UTF-8", "0xff"]),
        ({"train.tsv": GOOD + BAD, "dev.tsv": "so so\tmixed\n"}, ["dev.tsv:1", "'mixed'", "bad"]),
        ({"train.tsv": GOOD + "another\tgood\n"}, ["two classes or more", "'good' (1 texts)"]),
        ({"train.tsv": GOOD + "no label\n"}, ["train.tsv, line 2", "wrong number of fields: 1"]),
        ({"train.tsv": GOOD + "no label\t \n"}, ["train.tsv, line 2", "no label"]),
        ({"train.csv": "one,two\na,b\n"}, ["train.csv, line 1: no column text", "sentence"]),
        ({"train.csv": 'text,label\n"a,b\n'}, ["train.csv, line"]),
        ({"train.jsonl": '{"text": "a", "label": "b"}\n{"text"\n'}, ["line 2: not JSON"]),
        ({"train.jsonl": '{"text": 3, "label": "b"}\n'}, ["line 1: text is not a string: 3"]),
        (
            {"train.jsonl": r'{"text": "a", "label": "b\ud800"}'},
            ["line 1", "half a surrogate pair"],
        ),
        (
            {"train.csv": 'text,label\n"a\nb",x\n"c\nd",x,y\n'},
            ["line 4: wrong number of fields: 3"],
        ),
        ({"texts.csv": "text,label,split\na,b,trian\n"}, ["line 2", "'trian'"]),
        ({"texts.csv": "text,label,split,split\na,b,dev,\n"}, ["line 1: 2 columns split"]),
        ({"other.txt": "x"}, ["no labeled texts", "train.tsv", "found other.txt"]),
        ({"train.tsv": ""}, ["train.tsv, line 1: no column text"]),
    ],
)
def test_an_unusable_source_is_an_error_that_names_file_and_line(
    read: Any, files: Any, parts: list[str]
) -> None:
    with pytest.raises(UserError) as caught:
        read(files)
    for part in parts:
        assert part in str(caught.value)


def test_half_a_surrogate_pair_is_left_out_and_reported(read: Any) -> None:
    """JSON can contain it; UTF-8 files cannot."""
    bad = r'{"text": "half \ud83d of it", "label": "x"}'
    prepared = read(
        {"train.jsonl": '{"text": "a", "label": "x"}\n\n' + f'{bad}\n{{"text": "b", "label": "y"}}'}
    )
    assert {problem.file: problem.reason for problem in read_report(prepared.problems)} == {
        "train.jsonl:3": "text is not Unicode: half a surrogate pair"
    }


def test_too_many_bad_texts_are_an_error(read: Any) -> None:
    with pytest.raises(UserError, match=r"1 of 3 texts .* have problems.*1 empty text"):
        read({"train.tsv": GOOD + BAD + "\tbad\n"}, max_bad=0.01)


def test_polarity_is_read_as_distributed(read: Any) -> None:
    good, bad = (("".join(f"{word} {n} . \n\n" for n in range(40))) for word in ("fine", "poor"))
    prepared = read({"rt-polarity.pos": good, "rt-polarity.neg": bad}, "rt-polarity")
    assert sum(prepared.splits.values()) == 80
    assert labeled(prepared, "train")["fine 7 ."] == "positive"
    with pytest.raises(UserError, match=r"looked for rt-polarity\.neg"):
        (prepared.problems.parents[3] / "source" / "rt-polarity.neg").unlink()
        read({}, "rt-polarity")


def test_slices_are_those_of_tfds(read: Any) -> None:
    many = "".join(f"text number {n}\t{'ab'[n % 2]}\n" for n in range(200))
    prepared = read({"train.tsv": many})
    whole = prepared.texts("train")
    assert prepared.texts("train[:95%]") + prepared.texts("train[95%:]") == whole
    assert prepared.texts("train[10:20]") == whole[10:20]
    tenth = round(prepared.splits["train"] / 10)
    assert prepared.labels("train[-10%:]") == prepared.labels("train")[-tenth:]
    for wrong in ("trian", "train[", "train[a:]"):
        with pytest.raises(UserError, match="unknown split"):
            prepared.texts(wrong)
    with pytest.raises(UserError, match="is empty"):
        prepared.texts("train[200:]")


def test_real_sets_have_their_published_counts(shared_data: Path, tmp_path: Path) -> None:
    sst2 = prepare_texts("sst2", shared_data / "sst2", data_dir=tmp_path)
    assert sst2.splits["validation"] == 872
    assert 6900 <= sst2.splits["train"] <= 6920
    assert sst2.classes == ("negative", "positive")
    assert Counter(label for _, label in sst2.labels("validation"))["positive"] == 444
    polarity = prepare_texts("rt-polarity", shared_data / "rt_polarity", data_dir=tmp_path)
    assert 10_500 < sum(polarity.splits.values()) <= 10_662


def test_synthetic_reviews_have_their_labels_separate_splits_and_one_seed() -> None:
    seen: dict[str, str] = {}
    for split in reviews.SPLITS:
        for seed in (0, 1):
            found = reviews.synthetic_reviews(split, seed=seed)
            assert found == reviews.synthetic_reviews(split, seed=seed)
            assert all(reviews.review_label(text) == label for text, label in found)
            assert all(seen.setdefault(text, split) == split for text, _ in found)
            share = Counter(label for _, label in found)["positive"] / len(found)
            assert 0.4 < share < 0.6


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("the plot was good .", "positive"),
        ("the plot was hardly very good .", "negative"),
        ("the plot was good , but the hero was never dull .", "positive"),
        ("it runs for two hours . the plot was bad , but the cast was not clever .", "negative"),
    ],
)
def test_the_label_follows_the_rules(text: str, label: str) -> None:
    assert reviews.review_label(text) == label


def test_imdb_folders_are_read(tmp_path: Path) -> None:
    files = {
        f"train/{kind}/{n}_9.txt": f"a {word} film<br /><br />number {n}"
        for kind, word in (("pos", "fine"), ("neg", "poor"))
        for n in range(40)
    }
    files |= {"test/pos/1_9.txt": "quite fine", "test/neg/1_1.txt": "quite poor"}
    files |= {"train/unsup/1_0.txt": "nobody knows"}
    source = fill(tmp_path / "aclImdb", files)
    prepared = prepare_texts("imdb", source.parent, data_dir=tmp_path / "home")
    assert prepared.splits["train"] + prepared.splits["validation"] == 80
    assert 2 <= prepared.splits["validation"] <= 16 and prepared.splits["test"] == 2
    found = labeled(prepared, "train") | labeled(prepared, "validation")
    assert found["a fine film  number 7"] == "positive"
    assert labeled(prepared, "test") == {"quite fine": "positive", "quite poor": "negative"}
    (source / "train/pos/7_9.txt").write_bytes(b"one\ntw\xff")
    with pytest.raises(UserError, match=r"train/pos/7_9.txt, line 2: not UTF-8"):
        prepare_texts("imdb", source, data_dir=tmp_path / "home")
