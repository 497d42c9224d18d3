"""Labels: batches, scores against an independent count, the export alone, the report."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from data.common.errors import UserError
from data.media.vocabulary import PAD
from pipelines.config.config import Config
from pipelines.evaluation.labels import LabelEvaluation, evaluation_of
from pipelines.serving.client.predictors import Captioner
from pipelines.tasks.label_head import LabelHead
from pipelines.training.results import write_report
from tests.support.tiny.reviews import TEXTS, reviews, tiny
from tests.support.unverified_exports import unverified_exports

# A client with TensorFlow alone, in another folder.
CLIENT = """
import json, sys
import tensorflow as tf

loaded = tf.saved_model.load("export/1")
answer = loaded.signatures["serving_default"]
texts = [text.encode() for text in json.load(open("texts.json"))]
found = answer(text=tf.constant(texts + [b"\\xff\\xfe fine"]))
alone = [answer(text=tf.constant([text]))["label"].numpy()[0].decode() for text in texts]
none = answer(text=tf.constant([], tf.string))
assert none["label"].shape == [0] and none["probabilities"].shape == [0, 3]
print(json.dumps([[x.decode() for x in found["label"].numpy()],
                  found["probabilities"].numpy().tolist(), alone]))
assert not {"keras", "data", "models", "pipelines"} & {n.split(".")[0] for n in sys.modules}
"""


def scored(classes: list[str], truth: list[int], predicted: list[int]) -> LabelEvaluation:
    shares = np.full((len(truth), len(classes)), 0.01)
    shares[np.arange(len(predicted)), predicted] = 0.9
    ids = [str(number) for number in range(len(truth))]
    return LabelEvaluation("test", classes, ids, np.array(truth), shares)


def test_an_epoch_has_every_text_once_in_its_own_order(tmp_path: Path) -> None:
    experiment = tiny(tmp_path)
    vocabulary, classes = experiment.source.vocabulary, experiment.head.classes
    expected = sorted((tuple(vocabulary.encode(t, 5)), label) for t, label in TEXTS)
    orders = []
    for epoch in (0, 1):
        batches = list(experiment.batches(epoch))
        assert len(batches) == experiment.steps_per_epoch() == 3
        rows = [
            (tuple(x for x in row if x != PAD), classes[label])
            for inputs, labels in batches
            for row, label in zip(inputs.numpy().tolist(), labels.numpy(), strict=True)
        ]
        assert sorted(rows) == expected
        orders.append(rows)
        skipped = list(experiment.batches(epoch, 2))
        np.testing.assert_array_equal(skipped[0][0], batches[2][0])
    assert orders[0] != orders[1]


def test_the_evaluation_has_the_model_s_probabilities(tmp_path: Path) -> None:
    experiment = tiny(tmp_path)
    model, source, head = experiment.model, experiment.source, experiment.head
    found = experiment.evaluate("validation")
    texts = dict(source.prepared.texts("validation"))
    for name, row in zip(found.ids, found.probabilities, strict=True):
        tokens = tf.constant([source.vocabulary.encode(texts[name], 5)])
        alone = tf.nn.softmax(head.layer(model.encode(tokens)))[0]
        np.testing.assert_allclose(row, alone, atol=1e-5)
    assert [head.classes[i] for i in found.truth] == [
        label for _, label in source.prepared.labels("validation")
    ]


def test_scores_by_hand() -> None:
    found = scored(["a", "b", "c"], [0, 0, 0, 1, 1, 2], [0, 0, 1, 1, 0, 1])
    assert found.summary()["accuracy"] == pytest.approx(50)
    assert found.confusion.tolist() == [[2, 1, 0], [1, 1, 0], [0, 1, 0]]
    a, b, c = found.per_class()
    assert a[1:] == pytest.approx((200 / 3, 200 / 3, 200 / 3, 3))
    assert b[1:] == pytest.approx((100 / 3, 50, 40, 2))
    assert c == ("c", 0, 0, 0, 1)
    assert found.summary()["macro-F1"] == pytest.approx((200 / 3 + 40) / 3)
    assert "top-5" not in found.summary()
    absent = scored(["a", "b", "c"], [0, 0, 1], [0, 0, 1])  # c neither occurs nor is predicted
    assert absent.summary() == {"accuracy": 100.0, "macro-F1": 100.0}


def test_top_five_accuracy() -> None:
    rng = np.random.default_rng(0)
    shares, truth = rng.random((50, 9)), rng.integers(0, 9, 50)
    labels = [(str(i), f"c{k}") for i, k in enumerate(truth)]
    found = evaluation_of("test", [f"c{k}" for k in range(9)], labels, shares)
    expected = np.mean([t in np.argsort(-row)[:5] for t, row in zip(truth, shares, strict=True)])
    assert found.summary()["top-5"] == pytest.approx(100 * expected)


def test_one_label_for_all_and_a_class_without_examples_are_reported() -> None:
    collapsed, absent = scored(["a", "b", "c"], [0, 1] * 50, [1] * 100).warnings()
    assert "100 of 100 examples of test are predicted as b" in collapsed
    assert absent == "warning: no example of c in test"
    few, absent = scored(list("abcdefghijklmn"), [0, 1], [0, 1]).warnings()
    assert few.startswith("warning: test has only 2 examples: its scores mean little")
    assert absent == "warning: no example of c, d, e, f, g, h, i, j, k, l and 2 more in test"
    assert scored(["a", "b"], [0, 1] * 15, [0, 1] * 15).warnings() == []


def test_the_worst_mistakes_are_the_most_confident() -> None:
    shares = np.array([[0.6, 0.4], [0.9, 0.1], [0.2, 0.8], [0.7, 0.3]])
    found = LabelEvaluation("test", ["a", "b"], list("wxyz"), np.array([1, 1, 1, 0]), shares)
    assert found.worst(5) == [1, 0]


def test_predictions_are_written_as_csv(tmp_path: Path) -> None:
    scored(["a", "b"], [0, 1], [0, 0]).write(tmp_path / "labels.csv")
    with (tmp_path / "labels.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["id"], row["label"], row["predicted"]) for row in rows] == [
        ("0", "a", "a"),
        ("1", "b", "a"),
    ]
    assert float(rows[1]["a"]) == pytest.approx(0.9)


def test_a_class_without_training_examples_is_refused(tmp_path: Path) -> None:
    config = Config(task="text-classification", data="texts", train_split="train[:1]")
    with pytest.raises(UserError, match=r"'train\[:1\]' has no example of the class"):
        LabelHead(config, reviews(tmp_path), tmp_path)


def test_class_weights_balance_the_classes(tmp_path: Path) -> None:
    experiment = tiny(tmp_path, class_weights=True)
    assert experiment.head.layer.class_weights == [1.0, 1.0, 1.0]
    config = Config(
        task="text-classification", data="texts", class_weights=True, train_split="train[:5]"
    )
    weights = LabelHead(config, reviews(tmp_path), tmp_path / "run").layer.class_weights
    assert weights is not None and max(weights) == 2 * min(weights)


def test_truncated_texts_are_counted(tmp_path: Path, capsys: Any) -> None:
    source = tiny(tmp_path, max_words=3).source
    table = source.table("train", 0)
    assert max(table.lengths) == 5
    (note,) = source.notes
    assert note.startswith("4 of 6 texts of train have more than 3 words, the longest 6")
    assert note in capsys.readouterr().out


def test_the_export_runs_without_wordreel(tmp_path: Path) -> None:
    experiment = tiny(tmp_path)
    model, source, head = experiment.model, experiment.source, experiment.head
    written = experiment.model.export(tmp_path / "export", {"note": "été"})
    assert written == tmp_path / "export" / "1"
    texts = [*(text for text, _ in TEXTS), "A FINE film " * 9, "ΟΔΟΣ e\u0301te\u0301 l'été"]
    (tmp_path / "texts.json").write_text(json.dumps(texts), encoding="utf-8")
    (tmp_path / "client.py").write_text(CLIENT, encoding="utf-8")
    environment = {**os.environ, "TF_USE_LEGACY_KERAS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [sys.executable, "-I", "client.py"],
        cwd=tmp_path,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    labels, shares, alone = json.loads(done.stdout.splitlines()[-1])
    for text, label, share, by_itself in zip(texts, labels, shares, alone, strict=False):
        tokens = tf.constant([source.vocabulary.encode(text, 5)])
        expected = tf.nn.softmax(head.layer(model.encode(tokens)))[0].numpy()
        np.testing.assert_allclose(share, expected, atol=1e-5)
        assert label == by_itself == head.classes[int(expected.argmax())]
    assert len(set(labels)) > 1, "the test means something"
    info = json.loads((written / "assets.extra" / "wordreel.json").read_text(encoding="utf-8"))
    assert (info["task"], info["note"], info["input"]["max_words"]) == (
        "text-classification",
        "été",
        5,
    )
    assert info["input"]["vocabulary"]["hash"] == source.vocabulary.hash
    assert (written / "assets" / "labels.txt").read_text(encoding="utf-8").split() == info["labels"]
    assert (written / "assets" / "source-vocabulary.txt").is_file()


@pytest.mark.parametrize("pooling", ["max", "attention"])
def test_an_export_returns_attention_weights(tmp_path: Path, pooling: str) -> None:
    experiment = tiny(tmp_path, pooling=pooling)
    model, source, head = experiment.model, experiment.source, experiment.head
    with unverified_exports():
        written = experiment.model.export(tmp_path / "export", {})
    answer = tf.saved_model.load(str(written)).signatures["serving_default"]
    found = answer(text=tf.constant(["the film's hero isn't fine", "so so", ""]))["attention"]
    for row, text in zip(found.numpy(), ("the film's hero isn't fine", "so so"), strict=False):
        ids = source.vocabulary.encode(text, 5)
        expected = head.layer.attention_weights(model.encode(tf.constant([ids])))[0]
        np.testing.assert_allclose(row[: len(ids)], expected, atol=1e-5)
        assert row.sum() == pytest.approx(1) and not row[len(ids) :].any()
    assert not found[2].numpy().any()


def test_an_export_of_labels_has_no_captions(tmp_path: Path) -> None:
    with unverified_exports():
        tiny(tmp_path).model.export(tmp_path / "export", {})
    with pytest.raises(
        UserError, match="is an export of text-classification: its input is text, not image_bytes"
    ):
        Captioner(tmp_path / "export")


def test_the_report_shows_scores_confusion_and_mistakes(tmp_path: Path) -> None:
    experiment = tiny(tmp_path)
    evaluation = experiment.evaluate("validation")
    record = {"epoch": 1, "loss": 1.0, **evaluation.summary()}
    experiment.head.notes.append("a <note>")
    write_report(
        experiment,
        tmp_path,
        [evaluation],
        [record],
        "python train.py text-classification",
        tmp_path / "export" / "1",
        {"Hardware": "1 core"},
    )
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Text classification on texts" in text and "a &lt;note&gt;" in text
    assert f"{evaluation.summary()['accuracy']:.1f}" in text
    assert "--cell" in text and "--beams" not in text
    for part in ("Confusion matrix", "Scores per class", "neither fine nor poor indeed"):
        assert part in text
    assert "accuracy on validation" in text
