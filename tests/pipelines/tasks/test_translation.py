"""Translation: scores, batches, the export alone, the command, the report."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import sacrebleu
import tensorflow as tf
from PIL import Image

from data.common.errors import UserError
from data.media.vocabulary import END, PAD
from data.media.words import tokenize
from pipelines.cli import main
from pipelines.evaluation.captions import Evaluation
from pipelines.evaluation.metrics.translation import (
    TRANSLATIONS,
    evaluate_translations,
    translation_signature,
)
from pipelines.preprocessing.text import decode
from pipelines.serving.client.predictors import Captioner, Translator
from pipelines.training.results import write_report
from tests.support.tiny.pairs import PAIRS, tiny

# A client with TensorFlow alone, in another folder.
CLIENT = """
import json, sys
import tensorflow as tf

loaded = tf.saved_model.load("export/1")
texts = json.load(open("texts.json"))
found = {}
scalars = dict(temperature=tf.constant([1.0]), top_p=tf.constant([1.0]), top_k=tf.constant([0]),
               seed=tf.constant([0], tf.int64))
for name, more in (("serving_default", {}), ("greedy", {}), ("sample", scalars)):
    answer = loaded.signatures[name]
    outputs = answer(text=tf.constant(texts), **more)
    assert outputs["translation"].shape == [len(texts)]
    assert answer(text=tf.constant([], tf.string), **more)["translation"].shape == [0]
    found[name] = [x.decode() for x in outputs["translation"].numpy()]
answer = loaded.signatures["serving_default"]
outputs = answer(text=tf.constant(texts))
found["all"] = [[x.decode() for x in row] for row in outputs["translations"].numpy()]
found["scores"] = outputs["scores"].numpy().tolist()
found["alone"] = [answer(text=tf.constant([t]))["translation"].numpy()[0].decode() for t in texts]
print(json.dumps(found))
assert not {"keras", "data", "models", "pipelines"} & {n.split(".")[0] for n in sys.modules}
"""


class Trained(NamedTuple):
    """A tiny translator with its export and its evaluation on validation."""

    folder: Path
    experiment: Any
    evaluation: Evaluation


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("translator")
    experiment = tiny(folder)
    experiment.model.export(folder / "export", {})
    return Trained(folder, experiment, experiment.evaluate("validation"))


def test_scores_are_sacrebleu_s_own() -> None:
    truths = {"a": ["Ein Hund schläft.", "Der Hund schläft."], "b": ["Zwei Katzen, ein Hut!"]}
    said = {"b": "zwei katzen und ein hut!", "a": "der hund schläft."}
    scores = evaluate_translations(said, truths)
    lines = [truths["b"] + [None], [truths["a"][0], truths["a"][1]]]
    streams = [list(stream) for stream in zip(*lines, strict=True)]
    bleu = sacrebleu.corpus_bleu(list(said.values()), streams, lowercase=True)
    chrf = sacrebleu.CHRF(lowercase=True).corpus_score(list(said.values()), streams)
    assert scores.corpus["BLEU"] == pytest.approx(bleu.score)
    assert scores.corpus["chrF2"] == pytest.approx(chrf.score)
    assert scores.corpus["exact"] == 50
    assert scores.item_metric == "chrF2" and scores.per_item["a"] == pytest.approx(100)
    assert scores.per_item["b"] < 100


def test_translations_without_references_are_refused() -> None:
    with pytest.raises(UserError, match="without references 1: 'b'"):
        evaluate_translations({"a": "x", "b": "y"}, {"a": ["x"]})


def test_the_signature_names_the_tokenizer() -> None:
    spaced = translation_signature({"1": ["Ein Hund."], "2": ["Zwei."]}, "beam5.lp1")
    assert "case:lc" in spaced and "tok:13a" in spaced
    assert spaced.endswith("|items:2|search:beam5.lp1")
    assert "tok:char" in translation_signature({"1": ["两只狗在草地上跑。"]}, "greedy")


def test_a_text_without_words_is_invalid(trained: Trained) -> None:
    texts = ["", "\x01\t", b"\xff\xfe", "Zwei Hunde."]
    loaded = tf.saved_model.load(str(trained.folder / "export" / "1"))
    found = loaded.signatures["serving_default"](text=tf.constant(texts))
    assert found["valid"].numpy().tolist() == [False, False, False, True]
    assert found["translation"].numpy()[:3].tolist() == [b""] * 3
    blank, answer = Translator(trained.folder).predict(["", "The old man, here?"])
    assert (blank.sentences, blank.words) == ([""], []) and answer.source_words[1:3] == [
        "the",
        "old",
    ]


def test_batches_pair_texts_with_their_translations(tmp_path: Path) -> None:
    experiment, found = tiny(tmp_path), {}
    source, head = experiment.source, experiment.head
    for inputs, (tokens, example_index) in experiment.batches(0):
        np.testing.assert_array_equal(example_index, np.arange(len(inputs)))
        for text, answer in zip(inputs.numpy(), tokens.numpy(), strict=True):
            found[source.vocabulary.decode(text)] = head.vocabulary.decode(answer)
    cut = {text: " ".join(tokenize(text, True)[:7]) for pair in PAIRS.items() for text in pair}
    assert len(found) == len(PAIRS)
    for text, answer in PAIRS.items():
        said = next(said for read, said in found.items() if cut[text].startswith(read[:4]))
        assert tokenize(said, True) == cut[answer].split()


def test_truncated_texts_are_counted(tmp_path: Path, capsys: Any) -> None:
    experiment = tiny(tmp_path, max_words=4)
    experiment.batches(0)
    (texts,), (captions,) = experiment.source.notes, experiment.head.notes
    assert texts.startswith("3 of 5 texts of train have more than 4 words, the longest 8")
    assert captions.startswith("3 of 5 training captions have more than 4 words")
    assert captions in capsys.readouterr().out


def test_attention_weights_the_source_words(trained: Trained) -> None:
    looked = 0
    for name, prediction in trained.evaluation.predictions.items():
        read = trained.experiment.source.preview("validation", name).words
        assert prediction.attention.shape == (len(prediction.words), len(read))
        np.testing.assert_allclose(prediction.attention.sum(axis=1), 1, atol=1e-5)
        looked += len(prediction.words)
    assert looked, "the test means something"


def test_the_export_runs_without_wordreel(trained: Trained) -> None:
    folder = trained.folder
    examples = dict(trained.experiment.source.prepared.texts("validation"))
    texts = [*examples.values(), "", "a " * 50]
    (folder / "texts.json").write_text(json.dumps(texts), encoding="utf-8")
    (folder / "client.py").write_text(CLIENT, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-I", "client.py"],
        cwd=folder,
        env={**os.environ, "TF_USE_LEGACY_KERAS": "1", "CUDA_VISIBLE_DEVICES": ""},
        check=True,
        capture_output=True,
        text=True,
    )
    found = json.loads(done.stdout.splitlines()[-1])
    for row, name in enumerate(examples):
        prediction = trained.evaluation.predictions[name]
        assert found["all"][row][: len(prediction.captions)] == prediction.captions
        np.testing.assert_allclose(found["scores"][row], prediction.scores, atol=1e-5)
    assert found["alone"] == found["serving_default"]
    assert len(set(found["serving_default"])) > 1, "the test means something"


def test_decoding_in_the_graph_equals_the_vocabulary(trained: Trained) -> None:
    vocabulary = trained.experiment.head.vocabulary
    assert vocabulary.punctuation
    rows = np.random.default_rng(0).integers(END, len(vocabulary), (300, 9))
    rows[:, -1] = END
    for row in rows:
        row[row.tolist().index(END) + 1 :] = PAD
    said = decode(tf.constant(rows, tf.int32), vocabulary).numpy()
    for row, text in zip(rows.tolist(), said, strict=True):
        assert text.decode() == vocabulary.decode(row)


def test_the_command_prints_translations_and_plots_attention(
    trained: Trained, capsys: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "0")  # leave pytest's own hold on stderr alone
    text, image = "The old man, here?", tmp_path / "attention.png"
    words = ["translate", str(trained.folder), text, "--n-best", "2", "--json"]
    assert main.run([*words, "--attention", str(image)]) == 0
    found = json.loads(capsys.readouterr().out)
    (answer,) = Translator(trained.folder).predict([text])
    assert found["text"] == text
    assert [each["translation"] for each in found["translations"]] == answer.sentences
    assert answer.source_words == ["<start>", "the", "old", "man", ",", "here", "?", "<end>"]
    np.testing.assert_allclose(answer.attention.sum(axis=1), 1, atol=1e-5)
    with Image.open(image) as plot:
        assert plot.width > 30 * len(answer.source_words) and plot.height > 30 * len(answer.words)
    with pytest.raises(UserError, match="one file for 2 texts: name a folder"):
        main.run(["translate", str(trained.folder), text, text, "--attention", str(image)])
    with pytest.raises(UserError, match="--n-best must be from 1 to 2"):
        main.run(["translate", str(trained.folder), text, "--n-best", "3"])


def test_evaluate_repeats_the_scores_of_the_run(
    trained: Trained, capsys: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "0")
    monkeypatch.setenv("WORDREEL_DATA_DIR", str(tmp_path))
    config = dataclasses.asdict(trained.experiment.config)
    config |= {"source": str(trained.folder / "source"), "languages": "en-de"}
    own = {"config": config}
    export = trained.experiment.model.export(tmp_path / "export", own)
    assert main.run(["evaluate", str(export), "--out", str(tmp_path / "said.tsv")]) == 0
    out = capsys.readouterr().out
    scores = trained.evaluation.lines()[0]
    assert f"pairs {scores}\n{trained.evaluation.signature}\n" in out
    rows = (tmp_path / "said.tsv").read_text(encoding="utf-8").splitlines()
    best = {name: found.captions[0] for name, found in trained.evaluation.predictions.items()}
    assert rows == [f"{name}\t{text}" for name, text in best.items()]


def test_a_translator_is_not_a_captioner(trained: Trained) -> None:
    with pytest.raises(
        UserError, match="an export of translation: its input is text, not image_bytes"
    ):
        Captioner(trained.folder)


def test_the_report_shows_scores_and_alignments(trained: Trained, tmp_path: Path) -> None:
    record = {"epoch": 1, "loss": 1.0, **trained.evaluation.summary()}
    write_report(
        trained.experiment,
        tmp_path,
        [trained.evaluation],
        [record],
        "python train.py translation",
        tmp_path / "export" / "1",
        {"Hardware": "1 core"},
    )
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    for part in ("Translations: validation", "Attention over the source words", "chrF2", "case:lc"):
        assert part in text
    assert "CIDEr" not in text and "BLEU on validation" in text
    assert text.count('<td style="--share:') > 20
    TRANSLATIONS.write(tmp_path / "said.tsv", {"a": "ein Hund"})
    assert (tmp_path / "said.tsv").read_text() == "a\tein Hund\n"
