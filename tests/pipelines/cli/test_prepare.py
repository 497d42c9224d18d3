"""`wordreel prepare` on the command line: mistakes are errors before any work begins."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from data.common.errors import UserError
from data.sharding.datasets import PREPARABLE
from data.storage.manifest import check
from pipelines.cli.main import run
from pipelines.config.task import TASKS
from tests.support import prepared_folders
from tests.support.paths import ROOT


@pytest.mark.parametrize(
    "words, message",
    [
        ("", "no dataset given: name one of synthetic-scenes, flickr8k"),
        ("flickr8", "unknown dataset 'flickr8': did you mean 'flickr8k'"),
        ("coco_captions", "prepared by TFDS itself"),
        ("tfds:mnist", "tfds:mnist is prepared by TFDS itself"),
        ("digits --image-size 8", "digits has no option --image-size"),
        ("sst2 --source SOURCE --seed 3", "sst2 has no option --seed"),
        ("pairs --source SOURCE --languages en", "--languages is SOURCE-TARGET"),
        ("folder", r"folder needs --source DIR"),
        ("folder --source SOURCE --frames 3", "folder has no option --frames"),
        (
            "synthetic-reviews --features ResNet50",
            "--features is for images and clips",
        ),
        ("synthetic-scenes --pooled", "--pooled requires --features"),
        ("synthetic-scenes --weights imagenet", "--weights requires --features"),
        ("synthetic-scenes --max-bad 2", "--max-bad must be between 0 and 1, not 2"),
        (
            "synthetic-scenes --direct-num-workers=2",
            "unknown option --direct-num-workers=2: neither",
        ),
        ("folder --source SOURCE --features ResNet5", "--features ResNet5: unknown backbone"),
        ("folder --source SOURCE --features small-cnn", "--features small-cnn: random weights"),
    ],
)
def test_mistakes_are_errors_and_leave_nothing(words: str, message: str, tmp_path: Path) -> None:
    source, out = prepared_folders.image_folder(tmp_path / "source", 4), tmp_path / "out"
    given = words.replace("SOURCE", str(source)).split()
    with pytest.raises(UserError, match=message):
        run(["prepare", *given, "--out", str(out)])
    assert not out.exists() or [path.name for path in out.iterdir()] == [".work"]


def test_every_dataset_can_be_prepared_or_is_prepared_by_tfds() -> None:
    others = {"coco_captions", "tfds:NAME", "prepared"}
    known = {name for task in TASKS.values() for name in task.datasets}
    assert set(PREPARABLE) == known - others
    for dataset in PREPARABLE.values():
        dataset.options({})


@pytest.mark.parametrize(
    "words, options",
    [
        ("", {"max_side": 512, "version": 2}),
        ("--no-pixels", {"max_side": 512, "plain_side": 1024, "version": 2}),
        ("--no-pixels --image-size 100", {"max_side": 100, "plain_side": 200, "version": 2}),
    ],
)
def test_without_pixels_photos_may_stay_larger(
    words: str, options: dict[str, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {}

    def prepare(*_: object, **job: Any) -> str:
        asked.update(job)
        return ""

    monkeypatch.setattr("pipelines.jobs.prepare.prepare", prepare)
    monkeypatch.setattr("pipelines.inputs.frozen_encoder.settings", lambda *_, **__: {})
    given = ["--source", str(tmp_path), "--out", str(tmp_path / "out"), "--features", "ResNet50"]
    assert run(["prepare", "folder", *given, *words.split()]) == 0
    assert (asked["options"], asked["pixels"]) == (options, "--no-pixels" not in words)


def test_check_without_a_dataset_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no prepared dataset in .*: it has no manifest\.json"):
        run(["prepare", "--out", str(tmp_path), "--check"])
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(UserError, match=r"manifest\.json is damaged"):
        run(["prepare", "--out", str(tmp_path), "--check"])


def test_a_cycle_of_links_is_not_an_image(tmp_path: Path) -> None:
    from data.annotations.scan import scan

    source = prepared_folders.image_folder(tmp_path / "source", 3)
    (source / "images" / "one.jpg").symlink_to("two.jpg")
    (source / "images" / "two.jpg").symlink_to("one.jpg")
    (source / "images" / "above").symlink_to("..")
    (source / "images" / "nowhere.jpg").symlink_to("gone.jpg")
    found = sorted(scan(source / "images").files)
    assert found == ["0.jpg", "1.jpg", "2.jpg", "above/captions.csv"]


def test_planning_does_not_import_tensorflow(tmp_path: Path) -> None:
    code = (
        "import sys; from pipelines.cli.main import run; "
        f"run(['prepare', 'digits', '--out', {str(tmp_path / 'out')!r}]); "
        "sys.exit('tensorflow' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
    assert list(check(tmp_path / "out")) == []
