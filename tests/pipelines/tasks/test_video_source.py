"""Clips on their way into a model: the same frames in training, in a table and in an export."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from data.common.errors import UserError
from pipelines.cli.main import run
from pipelines.config.config import Config
from pipelines.serving.client.predictors import Captioner, LabelPredictor
from pipelines.tasks.assembly import build, prepare
from tests.support.source_files import fill
from tests.support.tiny.clips import tiny
from tests.support.video_files import frame, write_clip

# protobuf's word to TFDS 4.9.10, not to us.
pytestmark = pytest.mark.filterwarnings(r"ignore:label\(\) is deprecated:DeprecationWarning")


def test_clips_whose_captions_name_a_side_are_not_mirrored(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tiny("video-captioning", folder, flips=True).source
    names = [name for name, _ in source.prepared.lengths("train")]
    captions = dict(source.prepared.captions("train"))
    allowed = source._can_flip("train", names)
    assert allowed.tolist() == ["left" not in captions[name][0] for name in names]
    assert 0 < allowed.sum() < 6 and source.notes[0] in capsys.readouterr().out


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    base = tmp_path_factory.mktemp("clips")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORDREEL_DATA_DIR", str(base / "home"))
        patch.setenv("TF_CPP_MIN_LOG_LEVEL", "1")  # TensorFlow is there: nothing to hush
        yield base


@pytest.mark.parametrize("motion", ["none", "pixels"])
def test_a_frozen_backbone_has_features_a_fine_tuned_one_pixels(folder: Path, motion: str) -> None:
    own = {"fine_tune_from": 2, "frame_pooling": "spatial", "motion": motion}
    experiment = tiny("action-recognition", folder, **own)
    model, source = experiment.model, experiment.source
    views = source.preprocessing.views
    features, pixels = (next(iter(experiment.batches(epoch))) for epoch in (0, 1))
    (vectors, _), _ = features
    (frames, mask), labels = pixels
    assert vectors.dtype == tf.float16 and vectors.shape[2:] == (640 * views,)  # 5 × 128
    assert frames.dtype == tf.uint8 and frames.shape[2:] == (32, 32, 3 * views)
    both = [source.table("validation", epoch).read(np.arange(6)) for epoch in (0, 1)]
    one, two = (model.encode(tuple(map(tf.constant, inputs))) for inputs in both)
    np.testing.assert_allclose(one.summary, two.summary, atol=2e-3)
    with tf.GradientTape() as tape:
        loss = model.training_loss((frames, mask), labels, tune_backbone=True)
    gradients = tape.gradient(loss, model.trainable_variables)
    assert all(gradient is not None for gradient in gradients)


def test_a_split_without_examples_to_score_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "clips").mkdir()
    for name in "abc":
        write_clip(tmp_path / "clips" / f"{name}.avi", range(ord(name), 120))
    table = "file,label,split\na.avi,run,train\nb.avi,jump,train\nc.avi,seldom,dev\n"
    fill(tmp_path, {"labels.csv": table})
    config = Config("action-recognition", "clip-folder", str(tmp_path))
    with pytest.raises(UserError, match="no example of 'validation' has a label that can be"):
        build(config, prepare(config), tmp_path)


def test_an_export_predicts_the_labels_of_the_model(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = {"pooling": "attention", "bidirectional": True, "motion": "pixels"}
    experiment = tiny("action-recognition", folder, **own)
    evaluation, head = experiment.evaluate("validation"), experiment.head
    labeller = LabelPredictor(experiment.model.export(folder / "labels", {}))
    assert labeller.info["input"]["sampling"]["count"] == 6
    clips = folder / "source" / "clips"
    paths = [clips / name for name in evaluation.ids]
    (folder / "no.mp4").write_bytes(b"no clip")
    answers = labeller.predict([*paths, folder / "no.mp4"])
    assert "not a clip" in str(answers.pop().problem)
    wanted = evaluation.probabilities
    for answer, row in zip(answers, wanted, strict=True):
        assert answer.labels[0] == head.classes[int(row.argmax())]
        assert answer.probabilities[0] == pytest.approx(float(row.max()), abs=0.02)
    where = ["--data", "clip-folder", "--source", str(folder / "source")]
    export, out = str(labeller.folder), ["--out", str(folder / "said.csv")]
    assert run(["evaluate", export, *where, *out]) == 0
    printed = re.sub(r" \[[^]]*\]", "", capsys.readouterr().out)  # without confidence intervals
    assert f"clip-folder validation: {evaluation}\n" in printed
    assert run(["classify", export, str(paths[0]), "--top", "2"]) == 0
    likeliest = head.classes[int(wanted[0].argmax())]
    assert capsys.readouterr().out.startswith(f"{paths[0]}: {likeliest} ")
    frames = np.stack([frame(number) for number in range(6)])[np.newaxis]
    one = labeller._model.signatures["frames"](frames=tf.constant(frames))
    sent = tf.constant([[tf.io.encode_png(image).numpy() for image in frames[0]]])
    two = labeller._model.signatures["serving_default"](frame_bytes=sent)
    for name in ("probabilities", "attention"):
        np.testing.assert_allclose(one[name], two[name], atol=1e-5)
    assert float(tf.reduce_sum(one["attention"])) == pytest.approx(1)


@pytest.fixture(scope="module")
def captioned(folder: Path) -> tuple[Any, Any, Path]:
    """Return a source of clips with attention over cells, its evaluation and its export."""
    experiment = tiny("video-captioning", folder, frame_pooling="spatial+cells", min_words=1)
    assert experiment.source.preprocessing.cells == 4
    export = experiment.model.export(folder / "captions", {})
    return experiment.source, experiment.evaluate("validation"), export


def test_an_export_generates_the_captions_of_the_model(
    folder: Path, captioned: tuple[Any, Any, Path]
) -> None:
    source, evaluation, export = captioned
    captioner, clips = Captioner(export), folder / "source" / "clips"
    answers = captioner.predict([clips / name for name in evaluation.predictions])
    pairs = evaluation.predictions.items()
    for (name, prediction), answer in zip(pairs, answers, strict=True):
        assert answer.sentences == prediction.captions
        assert answer.scores == pytest.approx(prediction.scores, abs=0.05)
        seen = min(len(captioner.read(clips / name)), 4)
        assert answer.attention.shape == (len(answer.words), 1, seen)
        assert prediction.attention.shape == (len(answer.words), seen * 4)
        frames = prediction.attention.reshape(len(answer.words), seen, 4).sum(axis=-1)
        np.testing.assert_allclose(answer.attention[:, 0], frames, atol=0.02)
        preview = source.preview("validation", name)
        assert preview.grid == (1, seen) and preview.image
    alone = captioner.predict([clips / "validation-1.avi"])  # the shortest, without padding
    assert alone[0].sentences == evaluation.predictions["validation-1.avi"].captions


def test_the_command_line_takes_clips(
    folder: Path, captioned: tuple[Any, Any, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    _, evaluation, export = captioned
    clip = folder / "source" / "clips" / "validation-0.avi"
    drawing, subtitles = folder / "looked.png", folder / "said.vtt"
    assert run(["caption", str(export), str(clip), "--attention", str(drawing)]) == 0
    best = evaluation.predictions["validation-0.avi"].captions[0]
    assert capsys.readouterr().out == f"{clip}: {best}\n"
    with Image.open(drawing) as image:
        assert image.width > image.height
    words = ["--subtitles", str(subtitles), "--window", "0.2"]
    assert run(["caption", str(export), str(clip), *words]) == 0
    cues = subtitles.read_text(encoding="utf-8").split("\n\n")
    assert cues[0] == "WEBVTT" and cues[1].startswith("00:00:00.000 --> 00:00:00.")
    assert cues[-1].split("\n")[0].endswith("--> 00:00:00.480")  # 12 frames, 25 a second
    for wrong, part in (
        ([str(clip.parent), *words], "takes one clip, not 12"),
        ([str(clip), "--window", "3"], "requires --subtitles"),
        ([str(clip), "--subtitles", "a.txt"], ".vtt or .srt"),
    ):
        with pytest.raises(UserError, match=part):
            run(["caption", str(export), *wrong])
    with pytest.raises(UserError, match="an export of video-captioning: use wordreel caption"):
        run(["classify", str(export), str(clip)])


def test_evaluate_runs_an_export_of_clips(
    folder: Path, captioned: tuple[Any, Any, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    _, evaluation, export = captioned
    where = ["--data", "clip-folder", "--source", str(folder / "source")]
    out = ["--out", str(folder / "said.json")]
    assert run(["evaluate", str(export), *where, *out]) == 0
    said = {entry["image_id"]: entry["caption"] for entry in json.loads(Path(out[1]).read_text())}
    assert said == {name: found.captions[0] for name, found in evaluation.predictions.items()}
    assert f"clip-folder {evaluation.lines()[0]}" in capsys.readouterr().out
