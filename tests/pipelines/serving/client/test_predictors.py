"""The client: answers for what can be read, reasons for what cannot."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from data.common.errors import UserError
from pipelines.export.captions import export
from pipelines.serving.client.exported_model import BATCH
from pipelines.serving.client.predictors import Captioner
from tests.support.paths import ROOT
from tests.support.tiny_captioner import (
    GRID,
    OPTIONS,
    SOURCE,
    VOCABULARY,
    encode,
    picture,
    tiny_captioner,
)


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    export(tiny_captioner(), SOURCE, VOCABULARY, OPTIONS, folder / "export", {})
    return folder


@pytest.fixture(scope="module")
def captioner(run_dir: Path) -> Captioner:
    return Captioner(run_dir)


def test_an_answer_is_whole(captioner: Captioner) -> None:
    (answer,) = captioner.caption([encode(picture(0))])
    assert answer.valid
    assert len(answer.captions) == len(answer.scores) == OPTIONS.n_best
    assert answer.scores == sorted(answer.scores, reverse=True)
    assert VOCABULARY.separator.join(answer.words) == answer.captions[0]
    assert answer.attention.shape == (len(answer.words), *GRID)
    np.testing.assert_allclose(answer.attention.sum(axis=(1, 2)), 1, atol=1e-5)


def test_what_cannot_be_read_says_why_and_the_others_are_answered(
    captioner: Captioner, tmp_path: Path
) -> None:
    whole, cut = tmp_path / "whole.jpg", tmp_path / "cut.jpg"
    whole.write_bytes(encode(picture(0)))
    cut.write_bytes(encode(picture(0))[:300])
    asked: list[Path | str | bytes] = [tmp_path / "absent.jpg", str(whole), tmp_path, cut, b""]
    asked.append(encode(picture(0)))
    answers = captioner.caption(asked)
    assert [answer.problem for answer in answers] == [
        "No such file or directory",
        None,
        "Is a directory",
        "cut short",
        "empty file (0 bytes)",
        None,
    ]
    assert answers[1].captions == answers[5].captions
    assert all(not answer.captions for answer in answers if not answer.valid)


def test_formats_that_only_pillow_reads_are_converted(captioner: Captioner) -> None:
    image = picture(1)
    png, *others = captioner.caption(
        [encode(image, "PNG"), encode(image, "WEBP", lossless=True), encode(image, "TIFF")]
    )
    for answer in others:  # as a JPEG, a few grey levels away: words of equal worth change places
        np.testing.assert_allclose(answer.scores, png.scores, atol=0.15)


def test_many_pictures_keep_their_order(captioner: Captioner) -> None:
    distinct = [encode(picture(seed, 32, 32), "PNG") for seed in range(5)]
    asked = [distinct[i % 5] for i in range(BATCH + 3)]
    expected = [answer.captions for answer in captioner.caption(distinct)]
    assert len({tuple(captions) for captions in expected}) > 1
    found = [answer.captions for answer in captioner.caption(asked)]
    assert found == [expected[i % 5] for i in range(BATCH + 3)]
    assert captioner.caption([]) == []


def test_any_of_three_folders_will_do_and_the_newest_version_answers(run_dir: Path) -> None:
    for version in ("2", "10"):
        shutil.copytree(run_dir / "export" / "1", run_dir / "export" / version)
    assert Captioner(run_dir).folder.name == "10"
    assert Captioner(run_dir / "export").folder.name == "10"
    assert Captioner(str(run_dir / "export" / "2")).folder.name == "2"


def test_no_export_is_said_so(run_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no export at .*absent"):
        Captioner(tmp_path / "absent")
    with pytest.raises(UserError, match="is no export: expected"):
        Captioner(tmp_path)
    copy = tmp_path / "1"
    shutil.copytree(run_dir / "export" / "1", copy)
    (copy / "assets" / "vocabulary.txt").write_text("<pad>\n<start>\n<end>\n<unk>\nother\n")
    with pytest.raises(UserError, match=f"vocabulary of .* was changed.*{VOCABULARY.hash}"):
        Captioner(copy)
    (copy / "assets.extra" / "wordreel.json").unlink()
    with pytest.raises(UserError, match=r"no export of Wordreel: .*wordreel\.json is missing"):
        Captioner(copy)


def test_the_client_needs_neither_keras_nor_training_code(run_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encode(picture(0), "PNG"))
    code = (
        "import sys; from pipelines.serving.client.predictors import Captioner; "
        "assert Captioner(sys.argv[1]).caption([sys.argv[2]])[0].valid; "
        "assert not {'keras', 'models'} & {name.split('.')[0] for name in sys.modules}; "
        "own = {n.split('.')[1] for n in sys.modules if n.startswith('pipelines.')}; "
        "assert own <= {'serving', 'preprocessing', 'export'}, own"
    )
    subprocess.run(
        [sys.executable, "-c", code, str(run_dir), str(tmp_path / "a.png")],
        cwd=ROOT,
        env={**os.environ, "TF_USE_LEGACY_KERAS": "1"},
        check=True,
    )
