"""Clips are written once as a TFDS dataset of frames; problems are reported."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from data.annotations.problems import read_report
from data.builtin import clips as synthetic_clips
from data.common.errors import UserError
from data.media.sampling import Sampling
from data.sharding.prepare import prepare_clips
from data.video.datasets import CLIP_DATASETS
from data.video.prepared import StoredClips
from tests.support.paths import ROOT
from tests.support.source_files import fill
from tests.support.video_files import audio, numbers, promise, write_clip, write_gif

# A warning of protobuf for TFDS 4.9.10.
pytestmark = pytest.mark.filterwarnings(r"ignore:label\(\) is deprecated:DeprecationWarning")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Twelve clips in four formats, one of them used in two parts."""
    rows = ["file,label,split,start,end,group"]
    folder = tmp_path / "source"
    (folder / "clips").mkdir(parents=True)
    for at, suffix in enumerate([".avi", ".mp4", ".webm", ".gif"] * 3):
        write_clip(folder / "clips" / f"{at}{suffix}", range(100 * at, 100 * at + 20))
        split = "dev" if at % 4 == 3 else "test" if at == 8 else "train"
        rows.append(f"{at}{suffix},{'run' if at % 2 else 'jump'},{split},,,g{at}")
    rows.append("1.mp4,jump,train,0.4,0.8,g1")
    return fill(folder, {"labels.csv": "\n".join(rows)})


def decoded(prepared: StoredClips, split: str) -> dict[str, list[int]]:
    return {
        clip_id: numbers(np.stack([tf.io.decode_jpeg(frame).numpy() for frame in frames]))
        for clip_id, frames in prepared.frames(split)
    }


def test_a_folder_of_clips_becomes_a_dataset(source: Path, tmp_path: Path) -> None:
    prepared = prepare_clips("clip-folder", source, frames=4, data_dir=tmp_path / "data")
    assert prepared.splits == {"train": 9, "validation": 3, "test": 1}
    assert not [problem for problem in read_report(prepared.problems) if problem.bad]
    train = decoded(prepared, "train")
    assert train["0.avi"] == [2, 7, 12, 17] and train["1.mp4"] == [102, 107, 112, 117]
    assert train["1.mp4#t=0.4,0.8"] == [111, 113, 116, 118]
    assert decoded(prepared, "validation")["3.gif"] == [302, 307, 312, 317]
    assert dict(prepared.labels("train"))["1.mp4#t=0.4,0.8"] == "jump"
    groups = dict(prepared._read("train", lambda example: example["group"]))
    assert groups[b"1.mp4#t=0.4,0.8"] == b"g1"
    assert [clip_id for clip_id, _ in prepared.lengths("train")] == list(train)
    assert [clip_id for clip_id, _ in prepared.labels("train")] == list(train)
    half = [clip_id for clip_id, _ in prepared.frames("train[:5]")]
    assert half == list(train)[:5]
    assert Sampling(**prepared.sampling) == Sampling(count=4, max_side=256)


def test_tfds_reads_it_without_our_code(source: Path, tmp_path: Path) -> None:
    sampling = Sampling(count=4, max_side=256)
    prepared = prepare_clips("clip-folder", source, frames=4, data_dir=tmp_path / "data")
    script = f"""
        import json, sys
        import tensorflow_datasets as tfds
        builder = tfds.builder_from_directory({str(prepared.directory)!r})
        shapes = {{}}
        for example in builder.as_dataset(split="train").as_numpy_iterator():
            assert example["frames"].dtype == "uint8"
            assert len(example["times"]) == len(example["frames"])
            shapes[example["clip_id"].decode()] = example["frames"].shape
        assert "data" not in sys.modules
        print(json.dumps([shapes, builder.info.metadata["sampling_fingerprint"]]))
    """
    output = subprocess.run(
        [sys.executable, "-I", "-c", textwrap.dedent(script)],
        cwd=tmp_path,
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "2"},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    shapes, fingerprint = json.loads(output.splitlines()[-1])
    assert set(map(tuple, shapes.values())) == {(4, 48, 64, 3)}
    assert fingerprint == sampling.fingerprint


def test_a_dataset_is_written_once_and_again_after_a_change(source: Path, tmp_path: Path) -> None:
    def prepare(count: int) -> StoredClips:
        return prepare_clips("clip-folder", source, frames=count, data_dir=tmp_path / "data")

    first = prepare(2)
    stamp = (first.directory / "dataset_info.json").stat().st_mtime_ns
    assert prepare(2) == first
    assert (first.directory / "dataset_info.json").stat().st_mtime_ns == stamp
    prints = {first.fingerprint, prepare(3).fingerprint}
    table = source / "labels.csv"
    for old, new in (("0.avi,jump", "0.avi,run"), (",g0", ",g00")):
        table.write_text(table.read_text().replace(old, new, 1))
        prints.add(prepare(2).fingerprint)
    assert len(prints) == 4


def test_bad_clips_are_reported_and_limited(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clips = source / "clips"
    (clips / "0.avi").write_bytes(b"")
    (clips / "1.mp4").write_bytes((clips / "1.mp4").read_bytes()[:700])
    (clips / "2.webm").unlink()
    (clips / "4.avi").write_bytes((clips / "3.gif").read_bytes())  # also in validation
    write_clip(clips / "6.webm", range(600, 603))
    with (source / "labels.csv").open("a") as file:
        file.write("\n5.mp4,run,train,,,g5\n8.avi,run,test,30,40,g8\n10.webm,run,train,2,1,g10")
    expected = {
        ("0.avi", "undecodable: empty file (0 bytes)", True),
        ("1.mp4", "undecodable: not a clip: cut short, or in an unknown format"),
        ("2.webm", "missing", True),
        ("4.avi", "in two splits: 3.gif in validation (kept) is the same clip", True),
        ("5.mp4", "listed twice", False),
        ("6.webm", "short clip: 3 of 4 frames", False),
        ("10.webm", "not a part of a clip, in seconds: from 2 s to 1 s", True),
    }
    data_dir = tmp_path / "data"
    with pytest.raises(UserError, match=r"of 1\d clips \(.*\) have problems, more than the 1.0%"):
        prepare_clips("clip-folder", source, frames=4, data_dir=data_dir)
    prepared = prepare_clips("clip-folder", source, frames=4, data_dir=data_dir, max_bad=0.7)
    found = read_report(prepared.problems)
    named = {(problem.file, problem.reason, problem.bad) for problem in found}
    assert named >= {(*each, True)[:3] for each in expected}
    late = next(problem for problem in found if problem.file == "8.avi#t=30,40")
    assert late.reason.startswith("undecodable: no frame in the window from 30 s")
    assert "undecodable" in capsys.readouterr().err
    assert sum(prepared.splits.values()) == 8


def test_every_kind_of_bad_clip_is_reported_and_the_rest_used(tmp_path: Path) -> None:
    clips = tmp_path / "source" / "clips"
    clips.mkdir(parents=True)
    for at, name in enumerate(["good.mp4", "größe 犬 🐕.avi", "dev.webm", "long.avi", "cut.mp4"]):
        write_clip(clips / name, range(40 * at, 40 * at + 30))
    (clips / "zero.mp4").write_bytes(b"")
    (clips / "cut.mp4").write_bytes((clips / "cut.mp4").read_bytes()[:-300])
    (clips / "sound.mp4").write_bytes(audio())
    write_clip(clips / "one.avi", [700])
    write_gif(clips / "dot.gif", [1, 2], [40, 40], size=(1, 1))
    promise(clips / "long.avi", 25 * 36_000)
    (clips / "decomposed e\u0301.avi").write_bytes(
        write_clip(tmp_path / "x.avi", range(9)).read_bytes()
    )
    rows = ["file,label,caption,split"]
    used = ["good.mp4", "größe 犬 🐕.avi", "one.avi", "dot.gif", "decomposed é.avi"]
    for name in [*used, "zero.mp4", "cut.mp4", "sound.mp4", "long.avi", "good.mp4"]:
        rows.append(f"{name},{'once' if name == 'one.avi' else 'run'},a clip,train")
    rows.append(f"good.mp4,,{'word ' * 300},train")
    rows.append("dev.webm,run,a clip,dev")
    fill(tmp_path / "source", {"labels.csv": "\n".join(rows)})
    prepared = prepare_clips(
        "clip-folder",
        tmp_path / "source",
        frames=4,
        data_dir=tmp_path / "data",
        max_bad=0.5,
    )
    assert {name for name, _ in prepared.frames("train")} == set(used)
    named = {
        (found.file, found.reason.partition(":")[0]) for found in read_report(prepared.problems)
    }
    assert named == {
        ("zero.mp4", "undecodable"),
        ("cut.mp4", "undecodable"),
        ("sound.mp4", "undecodable"),
        ("long.avi", "undecodable"),
        ("one.avi", "short clip"),
        ("one.avi", "label with one clip"),
        ("dot.gif", "short clip"),
        ("good.mp4", "caption given twice"),
        ("good.mp4", "caption too long"),
    }


def test_generated_clips_are_stored_exactly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(synthetic_clips, "SPLITS", {"train": 60, "validation": 3, "test": 3})
    prepared = prepare_clips("synthetic-clips", data_dir=tmp_path)
    assert prepared.splits == {"train": 60, "validation": 3, "test": 3}
    captions, labels = prepared.captions("test"), dict(prepared.labels("test"))
    for (clip_id, frames), (same_id, sentences) in zip(
        prepared.frames("test"), captions, strict=True
    ):
        assert clip_id == same_id and len(sentences) == 5
        clip = synthetic_clips.clip_by_id(clip_id)
        stored = np.stack([tf.io.decode_image(frame).numpy() for frame in frames])
        assert np.array_equal(stored, synthetic_clips.render(clip))
        assert labels[clip_id] == clip.action
        assert prepared.is_true and all(prepared.is_true(clip_id, text) for text in sentences)
    with pytest.raises(UserError, match="synthetic-clips takes no --source"):
        prepare_clips("synthetic-clips", tmp_path, data_dir=tmp_path)


def test_wrong_requests_raise_errors(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="did you mean 'ucf101'"):
        prepare_clips("ucf-101", tmp_path)
    with pytest.raises(UserError, match="needs --source DIR"):
        prepare_clips("clip-folder")


def test_listing_datasets_imports_nothing_heavy() -> None:
    code = (
        "import sys, data.video.datasets; print({'numpy', 'tensorflow', 'cv2'} & set(sys.modules))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == "set()"
    assert all(dataset.layout and dataset.summary for dataset in CLIP_DATASETS)


def test_real_clips_end_to_end(shared_data: Path, tmp_path: Path) -> None:
    real = shared_data / "grid_s1"
    header, *lines = (real / "sentences.csv").read_text().splitlines()
    kept = [line for line in lines if ",train," in line][:4]
    kept += [line for line in lines if ",dev," in line][:2]
    fill(tmp_path / "part", {"sentences.csv": "\n".join([header, *kept])})
    for line in kept:
        name = f"{line.split(',')[0]}.mp4"
        (tmp_path / "part/videos").mkdir(exist_ok=True)
        (tmp_path / "part/videos" / name).symlink_to(real / "videos" / name)
    prepared = prepare_clips("grid", tmp_path / "part", data_dir=tmp_path / "data")
    assert prepared.splits == {"train": 4, "validation": 2}
    assert read_report(prepared.problems) == []
    for _, frames in prepared.frames("validation"):
        assert len(frames) in (74, 75)
        assert tf.io.decode_jpeg(frames[0]).shape == (288, 360, 3)


def test_the_language_selects_captions_not_frames() -> None:
    datasets = {each.name: each for each in CLIP_DATASETS}
    chosen = datasets["vatex"].options({"language": "zh", "frames": 3})
    assert chosen["language"] == "zh" and "language" not in datasets["vatex"].options({})
    assert datasets["vatex"].metadata(chosen)["sampling"]["count"] == 3
    for name in ("ucf101", "synthetic-clips"):
        with pytest.raises(UserError, match=f"--language is for msvd and vatex, not for {name}"):
            datasets[name].options({"language": "zh"})
