"""What `wordreel prepare` has stored is what training reads, features included."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import test_shards
from PIL import Image
from source_files import jpeg

from data.clip_datasets import prepare_clips
from data.datasets import prepare as prepared_from
from data.errors import UserError
from data.labelled_pictures import prepare_labelled_pictures
from data.manifest import check
from data.shards import Shard
from data.texts import prepare_texts
from pipelines.config import Config
from pipelines.features import table
from pipelines.image_source import ImageSource
from pipelines.preparation import prepare


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make shards in this process."""

    def run(work: Path, missing: list[Shard], unit: str, options: object) -> None:
        from pipelines import shard_worker

        for shard in missing:
            shard_worker.make(str(work), shard.key, {})

    import pipelines.jobs

    monkeypatch.setattr(pipelines.jobs, "run", run)
    monkeypatch.setattr("data.kinds.Pictures.most", 16)


@pytest.fixture
def backbone(tmp_path: Path) -> str:
    """Save a tiny frozen backbone."""
    keras.utils.set_random_seed(3)
    model = keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            keras.layers.Rescaling(1 / 64, offset=-2),
            keras.layers.Conv2D(5, 8, 8),
        ]
    )
    model.save(tmp_path / "tiny.keras")
    return str(tmp_path / "tiny.keras")


@pytest.mark.parametrize("pixels", [True, False])
def test_stored_features_are_those_that_training_would_compute(
    pixels: bool, tmp_path: Path, made: None, backbone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipelines.frozen_encoder import settings

    monkeypatch.setenv("WORDREEL_DATA_DIR", str(tmp_path / "cache"))
    folder = test_shards.picture_folder(tmp_path / "source", 40)
    out, options = tmp_path / "out", {"max_side": 512}
    encoder = settings(backbone, None, None, False)
    prepare("folder", str(folder), out, options=options, encoder=encoder, pixels=pixels)
    config = Config(data="prepared", source=str(out), backbone=backbone, units=8)
    source = ImageSource(config, ImageSource.prepare(config), tmp_path)
    assert source.prepared.has_pixels() == pixels
    stored = source.table("train", False)
    plain = prepared_from("folder", folder)
    fresh = table(
        plain,
        "train",
        tmp_path / "fresh",
        size=32,
        backbone=source.backbone,
        backbone_fingerprint="fresh",
    )
    assert sorted(stored.ids) == sorted(fresh.ids)
    rows = fresh.positions()
    for number, name in enumerate(stored.ids):
        np.testing.assert_allclose(
            stored.rows[number].astype(np.float32),
            fresh.rows[rows[name]].astype(np.float32),
            atol=2e-3,
        )
    assert [name for name, _ in source.prepared.captions("train")] == list(stored.ids)
    shown = source.shown("train", stored.ids[0])
    assert (shown.picture is not None) == pixels
    if not pixels:
        flipped = Config(data="prepared", source=str(out), backbone=backbone, units=8, flips=True)
        source = ImageSource(flipped, ImageSource.prepare(flipped), tmp_path)
        with pytest.raises(UserError, match=r"has no pictures, only features of .*--no-flips"):
            source.table("train", False)


def test_scenes_clips_and_texts_come_back_as_they_were(
    tmp_path: Path, made: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    import data.drawn_clips
    import data.opinions
    import data.scenes

    for module in (data.scenes, data.drawn_clips, data.opinions):
        monkeypatch.setattr(module, "SPLITS", dict.fromkeys(module.SPLITS, 4))
    for name in ("scenes", "drawn-clips", "opinions"):
        prepare(name, None, tmp_path / name, options={"seed": 1})
        assert list(check(tmp_path / name)) == []
    scenes = prepared_from("prepared", tmp_path / "scenes")
    for (name, captions), (same, picture) in zip(
        scenes.captions("train"), scenes.images("train"), strict=True
    ):
        assert name == same
        assert all(scenes.is_true(name, caption) for caption in captions)  # type: ignore[attr-defined]
        assert Image.open(io.BytesIO(picture)).size == (64, 64)
    clips = prepare_clips("prepared", tmp_path / "drawn-clips")
    assert {len(frames) for _, frames in clips.frames("test")} == {data.drawn_clips.FRAMES}
    assert clips.sampling["count"] == data.drawn_clips.FRAMES
    texts = prepare_texts("prepared", tmp_path / "opinions")
    made_up: Any = prepare_texts("opinions", seed=1, data_dir=tmp_path / "cache")
    assert sorted(texts.texts("train")) == sorted(made_up.texts("train"))
    assert texts.classes == made_up.classes


def test_labelled_pictures_come_back_with_their_classes(
    tmp_path: Path, made: None, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(24):
        path = tmp_path / "source" / f"class {number % 3}" / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jpeg(number))
    (tmp_path / "source" / "class 0" / "again.jpg").write_bytes(jpeg(3))
    (tmp_path / "source" / "class 1" / "other.jpg").write_bytes(jpeg(3))
    source, options = str(tmp_path / "source"), {"max_side": 512}
    text = prepare("pictures", source, tmp_path / "out", options=options, max_bad=0.1)
    assert "class 1" in text and "captions" not in text
    stored = prepare_labelled_pictures("prepared", tmp_path / "out")
    plain = prepare_labelled_pictures("pictures", source, data_dir=tmp_path / "home", max_bad=0.1)
    assert stored.classes == plain.classes == ("class 0", "class 1", "class 2")
    for split in plain.splits:
        assert dict(stored.labels(split)) == dict(plain.labels(split))
        assert dict(stored.images(split)) == dict(plain.images(split))
    left_out = [
        {
            (each["file"], each["reason"])
            for each in map(json.loads, report.read_text().splitlines())
        }
        for report in (stored.problems, plain.problems)
    ]
    assert left_out[0] == left_out[1] and len(left_out[0]) == 2


def test_translations_come_back_side_by_side(tmp_path: Path, made: None) -> None:
    texts = {"train": ["one dog", "two dogs", "three dogs"], "dev": ["no dog"]}
    german = {"one": "ein", "two": "zwei", "three": "drei", "no": "kein"}
    source = tmp_path / "source"
    source.mkdir()
    for split, lines in texts.items():
        (source / f"{split}.en").write_text("\n".join(lines))
        (source / f"{split}.de").write_text("\n".join(f"{german[t.split()[0]]} 狗" for t in lines))
    told = prepare("pairs", str(source), tmp_path / "out", options={"languages": "de-en"})
    assert "3 texts of 2 to 2 words" in told and "1 translations of 2 to 2 words" in told
    stored = prepare_texts("prepared", tmp_path / "out", pairs=True)
    plain = prepare_texts("pairs", source, languages="de-en", data_dir=tmp_path / "home")
    for split in ("train", "validation"):
        assert sorted(stored.texts(split)) == sorted(plain.texts(split))
        assert sorted(stored.captions(split)) == sorted(plain.captions(split))
    with pytest.raises(UserError, match="holds pairs, which is of no use to this task"):
        prepare_texts("prepared", tmp_path / "out", pairs=False)


def test_another_kind_or_nothing_finished_is_refused(tmp_path: Path, made: None) -> None:
    folder = test_shards.picture_folder(tmp_path / "source", 20)
    prepare("folder", str(folder), tmp_path / "out", options={"max_side": 64})
    with pytest.raises(UserError, match="holds folder, which is of no use to this task"):
        prepare_clips("prepared", tmp_path / "out")
    with pytest.raises(UserError, match="holds folder, which is of no use to this task"):
        prepare_labelled_pictures("prepared", tmp_path / "out")
    (tmp_path / "out" / "dataset_info.json").unlink()
    with pytest.raises(UserError, match="holds no finished dataset"):
        prepared_from("prepared", tmp_path / "out")
