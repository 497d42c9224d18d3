"""What `wordreel prepare` has stored is what training reads, features included."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from PIL import Image

from data.common.errors import UserError
from data.images.datasets import ImageDataset
from data.sharding.datasets import preparable
from data.sharding.prepare import prepare_clips, prepare_images
from data.sharding.shards import Shard
from data.storage.manifest import check
from data.text.prepare import prepare_texts
from pipelines.config.config import Config
from pipelines.inputs.frozen_encoder import settings
from pipelines.jobs.prepare import prepare
from pipelines.preprocessing.images import decode_or_flag
from pipelines.tasks.image_source import ImageSource
from tests.support import prepared_folders
from tests.support.cached_images import image_table as table
from tests.support.source_files import jpeg
from tests.support.tiny.clips import clips, tiny


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make shards in this process."""

    def run(work: Path, missing: list[Shard], unit: str, options: object) -> None:
        from pipelines.jobs import worker

        for shard in missing:
            worker.make(str(work), shard.key, {})

    import pipelines.jobs.beam

    monkeypatch.setattr(pipelines.jobs.beam, "run", run)
    monkeypatch.setattr(ImageDataset, "shard_size", 16)


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


@pytest.mark.parametrize("pixels, flips", [(True, False), (False, True)])
def test_stored_features_are_those_that_training_would_compute(
    pixels: bool,
    flips: bool,
    tmp_path: Path,
    made: None,
    backbone: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("WORDREEL_DATA_DIR", str(tmp_path / "cache"))
    folder = prepared_folders.image_folder(tmp_path / "source", 40)
    out, options = tmp_path / "out", {"max_side": 512}
    encoder = settings(backbone, flips=flips)
    prepare("folder", str(folder), out, options=options, encoder=encoder, pixels=pixels)

    def source(**options: Any) -> ImageSource:
        config = Config(data="prepared", source=str(out), backbone=backbone, units=8, **options)
        return ImageSource(config, ImageSource.prepare(config), tmp_path)

    own = source(flips=flips)
    with monkeypatch.context() as patch:
        patch.setattr("pipelines.inputs.feature_cache._decoded", None)  # nothing is computed
        stored = own.table("train", 0)
    plain = prepare_images("folder", folder)
    fresh = table(
        plain,
        tmp_path / "fresh",
        size=32,
        flips=flips,
        backbone=own.backbone,
    )
    assert sorted(stored.ids) == sorted(fresh.ids)
    assert stored.rows.shape == fresh.rows.shape == (len(fresh.ids), 1 + flips, 16, 5)
    rows = fresh.positions()
    for number, name in enumerate(stored.ids):
        np.testing.assert_allclose(
            stored.rows[number].astype(np.float32),
            fresh.rows[rows[name]].astype(np.float32),
            atol=2e-3,
        )
    assert [name for name, _ in own.prepared.captions("train")] == list(stored.ids)
    assert (own.preview("train", stored.ids[0]).image is not None) == pixels
    if pixels:  # others are computed, and that is said
        assert source(flips=True).table("train", 0).rows.shape[1] == 2
        assert "without mirrored images: the run computes features" in capfd.readouterr().err
    else:
        assert source(flips=False).table("train", 0).rows.shape[1] == 1
        with pytest.raises(UserError, match="but no images, which fine-tuning needs"):
            source(fine_tune_from=1).table("train", 0)
        with pytest.raises(UserError, match="has no images, only features of them"):
            list(own.prepared.images("train"))


@pytest.mark.parametrize(
    "pooled, grids", [(True, ["mean"]), (False, ["mean", "spatial", "spatial+cells"])]
)
def test_stored_features_of_clips_are_those_that_training_would_compute(
    pooled: bool,
    grids: list[str],
    tmp_path: Path,
    made: None,
    backbone: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WORDREEL_DATA_DIR", str(tmp_path / "cache"))
    task, out = "action-recognition", tmp_path / "out"
    options: dict[str, Any] = {"backbone": backbone, "flips": True}
    clips(tmp_path / "source")
    encoder = settings(backbone, pooled=pooled, flips=True)
    prepare(
        "clip-folder",
        str(tmp_path / "source"),
        out,
        options=preparable("clip-folder").options({"frames": 6}),
        encoder=encoder,
        pixels=False,
    )
    for grid in grids:
        options["frame_pooling"] = grid
        fresh = tiny(task, tmp_path, **options).source
        experiment = tiny(task, tmp_path, **options, data="prepared", source=str(out))
        source = experiment.source
        for split, views in (("train", 2), ("validation", 1)):
            own, other = source.table(split, 0), fresh.table(split, 0)
            assert own.rows.shape[1] == other.rows.shape[1] == views
            assert dict(zip(own.ids, own.frames, strict=True)) == dict(
                zip(other.ids, other.frames, strict=True)
            )
            for name in own.ids:
                both = [it.read(np.array([it.positions()[name]]))[0] for it in (own, other)]
                stored, computed = (each.astype(np.float32) for each in both)
                np.testing.assert_allclose(stored, computed, atol=4e-3)
    assert experiment.evaluate("validation").summary()["accuracy"] >= 0
    assert source.preview("train", own.ids[0]).text
    if pooled:
        with pytest.raises(UserError, match="without grid cells or cropped frames"):
            tiny(
                task,
                tmp_path,
                **options | {"frame_pooling": "spatial"},
                crop="0:.5,0:1",
                data="prepared",
                source=str(out),
            ).source.table("train", 0)
    else:
        with pytest.raises(UserError, match="6 frames a clip: to store others"):
            tiny(task, tmp_path, **options, sample_frames=5, data="prepared", source=str(out))


def test_without_pixels_features_are_of_photos_as_an_export_sees_them(
    tmp_path: Path, made: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORDREEL_DATA_DIR", str(tmp_path / "cache"))
    identity = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Rescaling(1.0)])
    identity.save(tmp_path / "identity.keras")  # so that features are pixels
    coarse = np.random.default_rng(0).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    whole = Image.fromarray(coarse).resize((800, 600), Image.Resampling.BICUBIC)
    noise = np.random.default_rng(1).integers(0, 256, (600, 800, 3), dtype=np.uint8)
    turned = Image.Exif()
    turned[0x0112] = 6
    clear = whole.convert("RGBA")
    clear.putalpha(Image.new("L", whole.size, 0))
    photos: dict[str, tuple[Image.Image, dict[str, Any]]] = {
        "plain.jpg": (whole, {"quality": 90}),
        "noise.jpg": (Image.fromarray(noise), {"quality": 90}),
        "progressive.jpg": (whole, {"progressive": True}),
        "turned.jpg": (whole.transpose(Image.Transpose.ROTATE_90), {"exif": turned}),
        "grey.jpg": (whole.convert("L"), {}),
        "cmyk.jpg": (whole.convert("CMYK"), {}),
        "huge.jpg": (whole.resize((2400, 1800)), {}),
        "opaque.png": (whole, {}),
        "clear.png": (clear, {}),
    }
    source, out = tmp_path / "source", tmp_path / "out"
    (source / "images").mkdir(parents=True)
    for name, (image, options) in photos.items():
        image.save(source / "images" / name, **options)
    rows = "\n".join(f"{name},a photo" for name in photos)
    (source / "captions.csv").write_text(f"image,caption\n{rows}\n")

    options = preparable("folder").options({"pixels": False})
    encoder = settings(str(tmp_path / "identity.keras"))
    prepare("folder", str(source), out, options=options, encoder=encoder, pixels=False)
    stored = prepare_images("prepared", out)
    found = {
        name: pixels.reshape(32, 32, 3).astype(np.float32)
        for split in stored.splits
        for name, pixels in zip(stored.ids(split), stored.features(split), strict=True)
    }
    assert found.keys() == photos.keys()
    for name in ("plain.jpg", "noise.jpg", "progressive.jpg"):
        served, _ = decode_or_flag([(source / "images" / name).read_bytes()], 32)
        np.testing.assert_array_equal(found[name], served[0])
    seen = np.asarray(whole.resize((32, 32), Image.Resampling.BILINEAR), np.float32)
    expected: dict[str, Any] = dict.fromkeys(
        ["turned.jpg", "cmyk.jpg", "huge.jpg", "opaque.png"], seen
    )
    expected["grey.jpg"] = seen @ [[0.299] * 3, [0.587] * 3, [0.114] * 3]
    expected["clear.png"] = np.full_like(seen, 255)
    for name, pixels in expected.items():
        assert np.abs(found[name] - pixels).mean() < 2, name


def test_scenes_clips_and_texts_come_back_as_they_were(
    tmp_path: Path, made: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    import data.builtin.clips
    import data.builtin.reviews
    import data.builtin.scenes

    for module in (data.builtin.scenes, data.builtin.clips, data.builtin.reviews):
        monkeypatch.setattr(module, "SPLITS", dict.fromkeys(module.SPLITS, 4))
    for name in ("synthetic-scenes", "synthetic-clips", "synthetic-reviews"):
        prepare(name, None, tmp_path / name, options=preparable(name).options({"seed": 1}))
        assert list(check(tmp_path / name)) == []
    scenes = prepare_images("prepared", tmp_path / "synthetic-scenes")
    assert scenes.is_true is not None
    for (name, captions), (same, image) in zip(
        scenes.captions("train"), scenes.images("train"), strict=True
    ):
        assert name == same
        assert all(scenes.is_true(name, caption) for caption in captions)
        assert Image.open(io.BytesIO(image)).size == (64, 64)
    clips = prepare_clips("prepared", tmp_path / "synthetic-clips")
    assert {len(frames) for _, frames in clips.frames("test")} == {data.builtin.clips.FRAMES}
    assert clips.sampling["count"] == data.builtin.clips.FRAMES
    texts = prepare_texts("prepared", tmp_path / "synthetic-reviews")
    made_up: Any = prepare_texts("synthetic-reviews", seed=1, data_dir=tmp_path / "cache")
    assert sorted(texts.texts("train")) == sorted(made_up.texts("train"))
    assert texts.classes == made_up.classes


def test_labeled_images_are_read_with_their_classes(
    tmp_path: Path, made: None, capfd: pytest.CaptureFixture[str]
) -> None:
    for number in range(24):
        path = tmp_path / "source" / f"class {number % 3}" / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jpeg(number))
    (tmp_path / "source" / "class 0" / "again.jpg").write_bytes(jpeg(3))
    (tmp_path / "source" / "class 1" / "other.jpg").write_bytes(jpeg(3))
    source, options = str(tmp_path / "source"), {"max_side": 512}
    text = prepare("labeled-images", source, tmp_path / "out", options=options, max_bad=0.1)
    assert "class 1" in text and "captions" not in text
    stored = prepare_images("prepared", tmp_path / "out", labels=True)
    plain = prepare_images(
        "labeled-images", source, labels=True, data_dir=tmp_path / "home", max_bad=0.1
    )
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
    summary = prepare("pairs", str(source), tmp_path / "out", options={"languages": "de-en"})
    assert "train 3, validation 1 pairs" in summary
    stored = prepare_texts("prepared", tmp_path / "out", pairs=True)
    plain = prepare_texts("pairs", source, languages="de-en", data_dir=tmp_path / "home")
    for split in ("train", "validation"):
        assert sorted(stored.texts(split)) == sorted(plain.texts(split))
        assert sorted(stored.captions(split)) == sorted(plain.captions(split))
    with pytest.raises(UserError, match="holds pairs, which this task cannot use"):
        prepare_texts("prepared", tmp_path / "out", pairs=False)


def test_another_kind_or_an_unfinished_dataset_is_refused(tmp_path: Path, made: None) -> None:
    folder = prepared_folders.image_folder(tmp_path / "source", 20)
    prepare("folder", str(folder), tmp_path / "out", options={"max_side": 64})
    with pytest.raises(UserError, match="holds folder, which this task cannot use"):
        prepare_clips("prepared", tmp_path / "out")
    with pytest.raises(UserError, match="holds folder, which this task cannot use"):
        prepare_images("prepared", tmp_path / "out", labels=True)
    (tmp_path / "out" / "dataset_info.json").unlink()
    with pytest.raises(UserError, match="holds no finished dataset"):
        prepare_images("prepared", tmp_path / "out")
