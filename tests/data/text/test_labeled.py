"""Tables of labeled texts as people have them."""

from __future__ import annotations

import gzip
from collections import Counter
from pathlib import Path

import pytest

from data.annotations.entries import Annotations
from data.common.errors import UserError
from data.storage.dataset_info import find_dataset
from data.text.datasets import TEXT_DATASETS
from tests.support.source_files import fill

WORDS = ("film", "plot", "cast", "song", "book")
# Texts and labels; the first text begins as a header may.
ROWS = [
    (f"a {'good' if n % 3 else 'dull'} {WORDS[n % 5]} {n}", str(int(n % 3 > 0))) for n in range(120)
]


def load(source: Path, name: str = "texts") -> Annotations:
    datasets = {dataset.name: dataset for dataset in TEXT_DATASETS}
    return find_dataset(name, datasets).load_annotations(source, {})


def labels(found: Annotations) -> dict[str, str]:
    return {entry.captions[0]: entry.label for entry in found.entries}


def lines(delimiter: str, header: str = "", *, label_first: bool = False, quote: str = "") -> str:
    rows = [(label, text) if label_first else (text, label) for text, label in ROWS]
    cells = ([f"{quote}{cell}{quote}" for cell in row] for row in rows)
    return f"{header}\n" * bool(header) + "".join(delimiter.join(row) + "\n" for row in cells)


@pytest.mark.parametrize(
    "files",
    [
        {"texts.tsv": lines("\t", "tweet\tsentiment")},
        {"texts.tsv": lines("\t", "Sentiment\tTweet", label_first=True)},
        {"texts.tsv": lines("\t")},
        {"texts.tsv": lines("\t", label_first=True)},  # SMS spam: ham<TAB>text
        {"IMDB Dataset.csv": lines(",", "review,sentiment")},
        {"spam.csv": lines(",", "v1,v2,,,", label_first=True)},
        {"train.csv": lines(",", label_first=True, quote='"')},  # Yelp
        {"train.csv": lines(",", "Class Index,Description", label_first=True)},
        {"archive/train.csv": lines(",", "review_text,stars")},
        {"texts.csv": "sep=;\n" + lines(";", "text;label")},
        {"texts.csv": (lines(";", "text;label")).encode("utf-16-le")},
        {"texts.csv": (lines(",", "text,label")).encode("utf-16-be")},
        {"texts.csv": (lines(",", "text,label")).encode("utf-16")},
        {"texts.csv": lines(", ", "text, label", quote='"')},
        {"texts.csv": lines(",", "text,label").replace("\n", ",\n")},
        {"texts.csv": lines("|", "text|label")},
        {"texts.csv.gz": gzip.compress(lines(",", "text,label").encode())},
    ],
)  # fmt: skip
def test_tables_of_many_kinds_give_the_same_texts(tmp_path: Path, files: dict[str, object]) -> None:
    found = load(fill(tmp_path, files))
    assert labels(found) == dict(ROWS) and not found.problems
    counts = Counter(entry.split for entry in found.entries)
    assert counts == {"train": 96, "validation": 12, "test": 12}


def test_ag_news_has_label_title_and_description(tmp_path: Path) -> None:
    rows = "".join(f'"{label}","Title {n}","{text}"\n' for n, (text, label) in enumerate(ROWS))
    assert labels(load(fill(tmp_path, {"train.csv": rows}))) == dict(ROWS)


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("texts.tsv", "post\tstance"),
        ("texts.tsv", "0\tstance"),
        ("texts.csv", "post,stance"),
        ("texts.tsv", "Beitrag\tHaltung"),
        ("texts.tsv", "投稿\t立場"),
    ],
)
@pytest.mark.parametrize("count", [3, 120])
def test_an_unknown_header_is_never_data(
    tmp_path: Path, name: str, header: str, count: int
) -> None:
    delimiter = "\t" if name.endswith("tsv") else ","
    content = "\n".join(lines(delimiter, header).split("\n")[: 1 + count]) + "\n"
    with pytest.raises(UserError) as caught:
        load(fill(tmp_path, {name: content}))
    assert f"{name}, line 1: no column text (name it text, sentence" in str(caught.value)
    assert repr(header.split(delimiter)[1]) in str(caught.value)


def test_a_header_is_not_data_of_its_own_class(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no other line has the label 'stance'"):
        load(fill(tmp_path, {"texts.tsv": lines("\t", "post\tstance")}))


def test_nearly_as_many_labels_as_texts_are_refused(tmp_path: Path) -> None:
    rows = "".join(f"{n} or so\ttext number {n}\n" for n in range(50))
    with pytest.raises(UserError, match="it has 50 labels in 50 lines"):
        load(fill(tmp_path, {"texts.tsv": rows}))


def test_cola_without_header_lists_the_accepted_names(tmp_path: Path) -> None:
    rows = "".join(
        f"gj04\t{label}\t{'*' * (n % 2)}\t{text}\n" for n, (text, label) in enumerate(ROWS)
    )
    with pytest.raises(UserError, match=r"which of its columns are text and label is not clear"):
        load(fill(tmp_path, {"train.tsv": rows}))
    headed = {"train.tsv": f"source\tlabel\tmark\tsentence\n{rows}"}
    assert labels(load(fill(tmp_path, headed))) == dict(ROWS)


@pytest.mark.parametrize(
    "test",
    [
        "index\tsentence\n0\tthe end\n1\tby the end\n",
        "sentence\tlabel\nthe end\t-1\nby the end\t-1\n",
    ],
)
def test_glue_has_a_test_split_without_labels(tmp_path: Path, test: str) -> None:
    files = {
        "train.tsv": lines("\t", "sentence\tlabel"),
        "dev.tsv": "sentence\tlabel\nso good\t1\nso dull\t0\n",
        "test.tsv": test,
    }
    found = load(fill(tmp_path, files), "sst2")
    assert Counter(entry.split for entry in found.entries) == {"train": 120, "validation": 2}
    (problem,) = found.problems
    assert not problem.bad
    assert problem.reason == "test texts without labels: 2 left out, from test.tsv:2"


def test_test_rows_without_a_label_are_left_out(tmp_path: Path) -> None:
    rows = [f"text {n},{'yn'[n % 2]},{'test' if n > 15 else 'train'}" for n in range(20)]
    rows += ["secret 1,,test", "secret 2, ,Test"]
    found = load(fill(tmp_path, {"texts.csv": "text,label,split\n" + "\n".join(rows)}))
    assert Counter(entry.split for entry in found.entries)["test"] == 4
    (problem,) = found.problems
    reason = "test texts without labels: 2 left out, from texts.csv:22"
    assert (problem.reason, problem.bad) == (reason, False)
    fill(tmp_path, {"texts.csv": "text,label,split\n" + "\n".join([*rows, "open,,train"])})
    with pytest.raises(UserError, match=r"texts\.csv, line 24: no label: give one"):
        load(tmp_path)


def test_other_names_of_tables_and_columns(tmp_path: Path) -> None:
    rows = [f"text {n}\t{'yn'[n % 2]}\t{'test' if n > 15 else 'train'}" for n in range(20)]
    excel = ("text\tlabel\tset\n" + "\n".join(rows)).encode("utf-16")
    found = load(fill(tmp_path, {"texts.txt": excel}))  # Excel's "Unicode text"
    assert Counter(entry.split for entry in found.entries)["test"] == 4
    with pytest.raises(UserError, match=r"found a.xlsx; save a.xlsx as CSV \(UTF-8\)"):
        load(fill(tmp_path / "sheet", {"a.xlsx": b"PK"}))
    with pytest.raises(UserError, match=r"found a\.zip; unpack a\.zip"):
        load(fill(tmp_path / "archive", {"a.zip": b"PK"}))


def test_spellings_of_a_label_are_one_class(tmp_path: Path) -> None:
    spellings = [
        "Positive",
        "positive",
        "POSITIVE",
        " positive",
        "ｐositive",
        "negative",
        "Negative",
    ]
    weights = [1, 5, 1, 1, 1, 4, 1]
    rows = [s for s, count in zip(spellings, weights, strict=True) for _ in range(count * 4)]
    table = "text,label\n" + "".join(f"text {n},{label}\n" for n, label in enumerate(rows))
    found = load(fill(tmp_path, {"texts.csv": table}))
    assert Counter(entry.label for entry in found.entries) == {"positive": 36, "negative": 20}
    assert "one class, 'positive': also written 'POSITIVE', 'Positive', 'ｐositive'" in found.notes
    rows = ["1", "1.0", "1", "0", "0.0\u200f", "0", "\u202a0", "1"] * 4
    table = "text,label\n" + "".join(f"text {n},{label}\n" for n, label in enumerate(rows))
    found = load(fill(tmp_path, {"texts.csv": table}))
    assert Counter(entry.label for entry in found.entries) == {"1": 16, "0": 16}


def test_letters_and_numbers_are_not_spellings_of_one_class(tmp_path: Path) -> None:
    rows = [(f"text {n}", ("a", "A", "1", "-1", "C", "C++")[n % 6]) for n in range(60)]
    table = "text,label\n" + "".join(f"{text},{label}\n" for text, label in rows)
    assert labels(load(fill(tmp_path, {"texts.csv": table}))) == dict(rows)


def test_a_line_in_another_encoding_is_named(tmp_path: Path) -> None:
    content = lines(",", "text,label").encode() + "café,1\n".encode("cp1252")
    with pytest.raises(UserError, match=r"texts.csv, line 122: not UTF-8 \(byte 0xe9\)"):
        load(fill(tmp_path, {"texts.csv": content}))


def test_a_pointer_of_git_lfs_is_named(tmp_path: Path) -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
    with pytest.raises(UserError, match="a pointer of Git LFS, not the file: run `git lfs pull`"):
        load(fill(tmp_path, {"texts.csv": pointer}))


def test_texts_of_a_group_are_in_one_split(tmp_path: Path) -> None:
    rows = "".join(f"{text},{label},{n // 6}\n" for n, (text, label) in enumerate(ROWS))
    found = load(fill(tmp_path, {"texts.csv": f"text,label,group\n{rows}"}))
    splits: dict[str, set[str]] = {}
    for entry in found.entries:
        splits.setdefault(entry.group, set()).add(entry.split)
    assert len(splits) == 20 and all(len(each) == 1 for each in splits.values())
    assert Counter(entry.split for entry in found.entries) == {
        "train": 96,
        "validation": 12,
        "test": 12,
    }
