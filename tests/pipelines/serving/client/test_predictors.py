"""The client: predictions for valid inputs, reasons for invalid ones."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from data.common.errors import UserError
from data.media.words import join
from pipelines.serving.client.exported_model import BATCH
from pipelines.serving.client.predictors import Captioner
from tests.support.paths import ROOT
from tests.support.tiny.captioner import (
    GRID,
    OPTIONS,
    VOCABULARY,
    encode,
    smooth_image,
)


@pytest.fixture(scope="module")
def run_dir(captioner_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    shutil.copytree(captioner_folder, folder / "export")
    return folder


@pytest.fixture(scope="module")
def captioner(run_dir: Path) -> Captioner:
    return Captioner(run_dir)


def test_a_prediction_is_complete(captioner: Captioner) -> None:
    (prediction,) = captioner.predict([encode(smooth_image(0))])
    assert prediction.problem is None
    assert len(prediction.sentences) == len(prediction.scores) == OPTIONS.n_best
    assert prediction.scores == sorted(prediction.scores, reverse=True)
    assert join(prediction.words) == prediction.sentences[0]
    assert prediction.attention.shape == (len(prediction.words), *GRID)
    np.testing.assert_allclose(prediction.attention.sum(axis=(1, 2)), 1, atol=1e-5)


def test_invalid_inputs_have_a_problem_and_do_not_affect_others(
    captioner: Captioner, tmp_path: Path
) -> None:
    whole, cut = tmp_path / "whole.jpg", tmp_path / "cut.jpg"
    whole.write_bytes(encode(smooth_image(0)))
    cut.write_bytes(encode(smooth_image(0))[:300])
    items: list[Path | str | bytes] = [tmp_path / "absent.jpg", str(whole), tmp_path, cut, b""]
    items.append(encode(smooth_image(0)))
    predictions = captioner.predict(items)
    assert [prediction.problem for prediction in predictions] == [
        "No such file or directory",
        None,
        "Is a directory",
        "cut short",
        "empty file (0 bytes)",
        None,
    ]
    assert predictions[1].sentences == predictions[5].sentences
    assert all(not prediction.sentences for prediction in predictions if prediction.problem)


def test_formats_that_only_pillow_reads_are_converted(captioner: Captioner) -> None:
    image = smooth_image(1)
    png, *others = captioner.predict(
        [encode(image, "PNG"), encode(image, "WEBP", lossless=True), encode(image, "TIFF")]
    )
    for prediction in others:  # as a JPEG, a few gray levels away: similar words may swap
        np.testing.assert_allclose(prediction.scores, png.scores, atol=0.15)


def test_predictions_are_in_the_order_of_the_inputs(captioner: Captioner) -> None:
    distinct = [encode(smooth_image(seed, 32, 32), "PNG") for seed in range(5)]
    items = [distinct[i % 5] for i in range(BATCH + 3)]
    expected = [prediction.sentences for prediction in captioner.predict(distinct)]
    assert len({tuple(captions) for captions in expected}) > 1
    found = [prediction.sentences for prediction in captioner.predict(items)]
    assert found == [expected[i % 5] for i in range(BATCH + 3)]
    assert captioner.predict([]) == []


def test_the_newest_version_of_any_of_three_folders_is_loaded(run_dir: Path) -> None:
    for version in ("2", "10"):
        shutil.copytree(run_dir / "export" / "1", run_dir / "export" / version)
    assert Captioner(run_dir).folder.name == "10"
    assert Captioner(run_dir / "export").folder.name == "10"
    assert Captioner(str(run_dir / "export" / "2")).folder.name == "2"


def test_missing_and_damaged_exports_are_reported(run_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no export at .*absent"):
        Captioner(tmp_path / "absent")
    with pytest.raises(UserError, match="is not an export: expected"):
        Captioner(tmp_path)
    copy = tmp_path / "1"
    shutil.copytree(run_dir / "export" / "1", copy)
    (copy / "assets" / "vocabulary.txt").write_text("<pad>\n<start>\n<end>\n<unk>\nother\n")
    with pytest.raises(UserError, match=f"vocabulary of .* was changed.*{VOCABULARY.hash}"):
        Captioner(copy)
    (copy / "assets.extra" / "wordreel.json").unlink()
    with pytest.raises(UserError, match=r"not an export of Wordreel: .*wordreel\.json is missing"):
        Captioner(copy)


def test_the_client_needs_neither_keras_nor_training_code(run_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encode(smooth_image(0), "PNG"))
    code = (
        "import sys; from pipelines.serving.client.predictors import Captioner; "
        "assert Captioner(sys.argv[1]).predict([sys.argv[2]])[0].problem is None; "
        "assert not {'keras', 'models'} & {name.split('.')[0] for name in sys.modules}; "
        "own = {n for n in sys.modules if n.startswith('pipelines.')}; "
        "parts = ('serving', 'export.layout', 'preprocessing.frame_selection'); "
        "allowed = tuple(f'pipelines.{part}' for part in parts); "
        "own -= {'pipelines.export', 'pipelines.preprocessing'}; "
        "assert all(name.startswith(allowed) for name in own), own"
    )
    subprocess.run(
        [sys.executable, "-c", code, str(run_dir), str(tmp_path / "a.png")],
        cwd=ROOT,
        env={**os.environ, "TF_USE_LEGACY_KERAS": "1"},
        check=True,
    )
