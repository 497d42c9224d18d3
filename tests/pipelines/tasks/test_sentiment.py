"""A whole sentiment run, from texts to export and report."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import tensorflow as tf

from data.builtin.reviews import review_label, synthetic_reviews
from pipelines.cli.main import run
from pipelines.config.config import Config
from tests.support.paths import ROOT
from tests.support.tiny.reviews import reviews


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return what the command leaves; in a process of its own, for a run sets TensorFlow's mode."""
    base = tmp_path_factory.mktemp("text-classification")
    reviews(base)
    options = "--min-count 1 --units 4 --embedding-dim 4 --epochs 2 --batch-size 4 --cell gru"
    words = [
        "text-classification",
        "--data",
        "texts",
        "--source",
        str(base / "source"),
        *options.split(),
    ]
    subprocess.run(
        [sys.executable, "train.py", *words, "--run-dir", str(base / "run")],
        cwd=ROOT,
        env={**os.environ, "WORDREEL_DATA_DIR": str(base / "home")},
        check=True,
    )
    return base / "run"


def test_a_run_directory_holds_everything(folder: Path) -> None:
    config = Config.from_json((folder / "config.json").read_text())
    assert (config.task, config.cell) == ("text-classification", "gru")
    metrics = json.loads((folder / "metrics.json").read_text())
    assert len(metrics["history"]) == 2
    assert metrics["splits"]["validation"]["signature"] == "items:6|classes:3"
    assert (folder / "labels.txt").read_text().split() == ["bad", "good", "mixed"]
    assert (folder / "source-vocabulary.txt").read_text().startswith("<pad>\n")
    assert "Scores per class" in (folder / "report.html").read_text(encoding="utf-8")
    assert "accuracy" in (folder / "summary.txt").read_text()


def test_the_export_repeats_the_predictions(folder: Path) -> None:
    loaded = tf.saved_model.load(str(folder / "export" / "1"))
    texts = (folder.parent / "source" / "dev.tsv").read_text(encoding="utf-8").splitlines()
    with (folder / "predictions-validation.csv").open(encoding="utf-8") as file:
        said = {row["id"]: row["predicted"] for row in csv.DictReader(file)}
    for number, line in enumerate(texts, 1):
        text = line.partition("\t")[0]
        answer = loaded.signatures["serving_default"](text=tf.constant([text]))
        assert answer["label"].numpy()[0].decode() == said[f"dev.tsv:{number}"]


def test_the_command_line_classifies_texts(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "0")  # leave pytest's own hold on stderr alone
    loaded = tf.saved_model.load(str(folder / "export" / "1"))
    answer = loaded.signatures["serving_default"](text=tf.constant(["a fine film"]))
    shares = answer["probabilities"].numpy()[0]
    likeliest = answer["label"].numpy()[0].decode()
    assert run(["classify", str(folder), "a fine film", "  ", "--top", "3", "--json"]) == 1
    out, said = capsys.readouterr()
    found, none = map(json.loads, out.splitlines())
    assert found["input"] == "a fine film" and found["labels"][0]["label"] == likeliest
    predicted = [each["probability"] for each in found["labels"]]
    assert predicted == pytest.approx(sorted(shares.tolist(), reverse=True), abs=1e-4)
    assert (none["labels"], none["problem"]) == ([], "the text has no words")
    assert "wordreel:   : the text has no words\n" in said
    report = (folder / "report.html").read_text(encoding="utf-8")
    assert "wordreel classify" in report and "tf.saved_model" not in report


def test_the_made_up_reviews_ask_for_the_order_of_words() -> None:
    """Swap the clauses before and after "but": the same words, often another label."""
    turned = 0
    for text, label in synthetic_reviews("train")[:500]:
        first, _, second = text.removesuffix(" .").partition(" , but ")
        turned += bool(second) and review_label(f"{second} , but {first} .") != label
    assert turned > 100
