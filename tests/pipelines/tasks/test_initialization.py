"""A model that starts from another: the same weights for the same words, classes and variables."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from data.common.errors import UserError
from data.media.vocabulary import Vocabulary
from models.encoder_head import EncoderHead
from models.encoders.image import ImageEncoder
from models.heads.classifier import Classifier
from models.heads.sequence_decoder import SequenceDecoder
from pipelines.tasks.assembly import Experiment
from pipelines.tasks.initialization import copy_weights, match_affixes
from tests.support.tiny import clips, pairs, reviews


def images(folder: Path, **options: Any) -> Any:
    """Return a model of images in the place of an `Experiment`."""
    del folder
    backbone = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(3, 4, 4)])
    encoder = ImageEncoder(5)
    encoder.build((None, 4, 3))
    head = Classifier(3, pooling="attention") if options else SequenceDecoder(9, units=5)
    return type("Images", (), {"model": EncoderHead(backbone, encoder, head)})


TASKS: dict[str, Callable[[Path], Any]] = {
    "image-captioning": images,
    "image-classification": lambda folder: images(folder, labels=True),
    "video-captioning": lambda folder: clips.tiny("video-captioning", folder, layers=2),
    "action-recognition": lambda folder: clips.tiny("action-recognition", folder),
    "translation": lambda folder: pairs.tiny(folder, decoder="updown", cell="gru"),
    "text-classification": lambda folder: reviews.tiny(folder, affix_embeddings=True),
}


@pytest.mark.parametrize("task", TASKS)
def test_all_weights_of_a_task_are_copied(task: str, tmp_path: Path) -> None:
    old, new = TASKS[task](tmp_path).model, TASKS[task](tmp_path).model
    before = [weight.numpy() for weight in old.weights]
    for weight in new.weights:
        weight.assign(weight + 1)
    copy_weights(new, old, {})
    assert len(before) > 4
    for one, two, right in zip(old.weights, new.weights, before, strict=True):
        np.testing.assert_array_equal(one, right)
        np.testing.assert_array_equal(two, right)


def start_from(old: Experiment, new: Experiment, run: Path) -> list[np.ndarray]:
    """Copy the weights of `old`, of the run directory `run`; return those that `new` had."""
    rows = {f"encoder/{path}": each for path, each in new.source.rows_from(run).items()}
    rows |= {f"head/{path}": each for path, each in new.head.rows_from(run).items()}
    before = [weight.numpy() for weight in new.model.weights]
    copy_weights(new.model, old.model, rows)
    return before


def test_words_and_classes_keep_their_weights_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = reviews.tiny(tmp_path / "old", affix_embeddings=True)
    texts = [("a fantastic filmstrip", "bad"), ("so film so", "odd"), ("film , so", "mixed")]
    monkeypatch.setattr(reviews, "TEXTS", texts)
    new: Any = reviews.tiny(
        tmp_path / "new", affix_embeddings=True, init_from=str(tmp_path / "old" / "run")
    )
    start = {word: new.model.encoder.embedding.numpy()[i] for word, i in words_of(new).items()}
    affixes = new.model.encoder.affix_numbers.numpy()
    kernel = new.head.layer.project.kernel.numpy()
    start_from(old, new, tmp_path / "old" / "run")
    assert words_of(old).keys() | {"fantastic", "filmstrip"} == words_of(new).keys()
    for word, number in words_of(new).items():
        known = words_of(old).get(word)
        right = start[word] if known is None else old.model.encoder.embedding[known]
        np.testing.assert_array_equal(new.model.encoder.embedding[number], right)
    np.testing.assert_array_equal(new.model.encoder.affix_numbers, affixes)
    assert new.head.classes == ("bad", "mixed", "odd")
    for number, name in enumerate(new.head.classes):
        classes = old.head.classes
        known_kernel = old.head.layer.project.kernel.numpy()
        right = known_kernel[:, classes.index(name)] if name in classes else kernel[:, number]
        np.testing.assert_array_equal(new.head.layer.project.kernel[:, number], right)
    # What the encoder reads of a known text is the same.
    both = ["a fine film", "neither fine nor poor"]
    one, two = (
        each.model.encode(np.array([each.source.vocabulary.encode(text)])).summary
        for each, text in ((old, both[0]), (new, both[0]))
    )
    np.testing.assert_array_equal(one, two)


def words_of(experiment: Any) -> dict[str, int]:
    ids: dict[str, int] = experiment.source.vocabulary.ids
    return ids


def test_affixes_are_matched_by_their_letters() -> None:
    old = Vocabulary([*Vocabulary.build(["boring boringly"], 1).words])
    new = Vocabulary.build(["feeling boring feeling"], 1)
    sources = match_affixes(new, old)
    numbers = dict(zip(new.words, new.affixes(), strict=True))
    others = dict(zip(old.words, old.affixes(), strict=True))
    assert [sources[n] for n in numbers["boring"]] == list(others["boring"])
    assert sources[0] == 0
    prefix, suffix = numbers["feeling"]
    assert (sources[prefix], sources[suffix]) == (-1, others["boring"][1])


def test_sentences_keep_the_words_of_both_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = pairs.tiny(tmp_path / "old")
    monkeypatch.setattr(pairs, "PAIRS", {"A cow sleeps.": "Eine Kuh schläft."})
    run = tmp_path / "old" / "run"
    new: Any = pairs.tiny(tmp_path / "new", init_from=str(run))
    start_from(old, new, run)
    kept = len(old.head.vocabulary)
    assert new.head.vocabulary.words == (*old.head.vocabulary.words, "kuh")
    layer, other = new.head.layer, old.head.layer
    np.testing.assert_array_equal(layer.embedding[:kept], other.embedding)
    np.testing.assert_array_equal(layer.bias[:kept], other.bias)
    np.testing.assert_array_equal(layer.bias[kept:], 0)


def test_weights_of_another_shape_are_named(tmp_path: Path) -> None:
    models = []
    for cells in (4, 9):
        encoder = ImageEncoder(5)
        encoder.build((None, cells, 3))
        models.append(EncoderHead(None, encoder, Classifier(2)))
    with pytest.raises(UserError, match=r"'encoder/place' .*\(9, 5\).*\(4, 5\).*--image-size"):
        copy_weights(models[1], models[0], {})
