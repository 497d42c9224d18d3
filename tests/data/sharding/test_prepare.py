"""Training writes a source as a TFDS dataset once, completely or not at all."""

from __future__ import annotations

import io
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from PIL import Image

from data.annotations.problems import read_report
from data.common.errors import UserError
from data.images.datasets import ImageDataset
from data.sharding.prepare import prepare_images as prepare
from data.storage.manifest import check
from data.storage.prepared import StoredImages
from tests.support.paths import ROOT
from tests.support.source_files import fill, jpeg

# A warning of protobuf for TFDS 4.9.10.
pytestmark = pytest.mark.filterwarnings(r"ignore:label\(\) is deprecated:DeprecationWarning")


def png(seed: int) -> bytes:
    buffer = io.BytesIO()
    Image.open(io.BytesIO(jpeg(seed))).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Thirty images, one of them a PNG, with captions in three languages."""
    names = [f"{number}.jpg" for number in range(29)] + ["é/29.png"]
    files: dict[str, Any] = {f"images/{name}": jpeg(seed) for seed, name in enumerate(names)}
    files["images/é/29.png"] = png(29)
    rows = [f"{name},{text} {name}\n" for name in names for text in ("a dog", "собака", "كلب 🐕")]
    files["captions.csv"] = "image,caption\n" + "".join(rows)
    return fill(tmp_path / "source", files)


def contents(prepared: StoredImages) -> dict[str, dict[str, list[str]]]:
    return {split: dict(prepared.captions(split)) for split in prepared.splits}


def test_a_folder_becomes_a_dataset_that_tfds_reads_without_our_code(
    source: Path, tmp_path: Path
) -> None:
    prepared = prepare("folder", source, data_dir=tmp_path / "data")
    assert sum(prepared.splits.values()) == 30
    assert list(prepared.splits) == ["train", "validation", "test"]
    assert read_report(prepared.problems) == []
    script = f"""
        import json, sys
        import tensorflow_datasets as tfds
        builder = tfds.builder_from_directory({str(prepared.directory)!r})
        seen = {{}}
        for split in builder.info.splits:
            for example in tfds.as_numpy(builder.as_dataset(split=split)):
                assert example["image"].dtype == "uint8" and example["image"].shape == (16, 24, 3)
                captions = [text.decode() for text in example["captions"]]
                seen.setdefault(split, {{}})[example["image_id"].decode()] = captions
        assert "data" not in sys.modules
        print(json.dumps(seen))
    """
    command = [sys.executable, "-I", "-c", textwrap.dedent(script)]
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "2"}
    output = subprocess.run(
        command, cwd=tmp_path, env=environment, check=True, capture_output=True, text=True
    ).stdout
    assert json.loads(output.splitlines()[-1]) == contents(prepared)
    assert contents(prepared)["train"]["0.jpg"] == ["a dog 0.jpg", "собака 0.jpg", "كلب 🐕 0.jpg"]


def test_captions_and_images_have_one_stable_order(source: Path, tmp_path: Path) -> None:
    prepared = prepare("folder", source, data_dir=tmp_path / "data")
    everything = dict[str, bytes]()
    for split in prepared.splits:
        images = list(prepared.images(split))
        ids = [image_id for image_id, _ in prepared.captions(split)]
        assert [image_id for image_id, _ in images] == ids
        everything |= dict(images)
    # A plain JPEG is stored unchanged; the others become JPEGs that TensorFlow decodes.
    assert all(everything[f"{n}.jpg"] == jpeg(n) for n in range(29))
    assert tf.io.decode_jpeg(everything["é/29.png"]).shape == (16, 24, 3)
    train = prepared.captions("train")
    half = len(train) // 2
    assert prepared.captions(f"train[:{half}]") + prepared.captions(f"train[{half}:]") == train
    assert prepared.captions("train[:50%]+validation") == [
        *prepared.captions("train[:50%]"),
        *prepared.captions("validation"),
    ]
    for wrong in ("trian", "train[:5", "", "train[:200]+nothing"):
        with pytest.raises(UserError, match="unknown split"):
            prepared.captions(wrong)
    with pytest.raises(UserError, match="split 'train"):
        prepared.captions("train[:many]")
    with pytest.raises(UserError, match=r"split 'train\[:0\]' of \w+: it is empty"):
        prepared.captions("train[:0]")


def test_a_copy_is_the_same_dataset_and_an_edited_file_is_not(source: Path, tmp_path: Path) -> None:
    data_dir, copy = tmp_path / "data", tmp_path / "elsewhere"
    whole = jpeg(3) + b"a"  # decoders stop before that
    (source / "images" / "3.jpg").write_bytes(whole)
    first = prepare("folder", source, data_dir=data_dir)
    shutil.copytree(source, copy, copy_function=shutil.copyfile)  # with times of its own
    assert prepare("folder", copy, data_dir=data_dir) == first
    image = copy / "images" / "3.jpg"
    kept = image.stat()
    image.write_bytes(jpeg(3) + b"b")
    os.utime(image, ns=(kept.st_atime_ns, kept.st_mtime_ns))
    assert image.stat().st_size == kept.st_size
    assert prepare("folder", copy, data_dir=data_dir).fingerprint != first.fingerprint
    image.write_bytes(whole)
    assert prepare("folder", copy, data_dir=data_dir) == first


def test_a_dataset_is_written_once_and_again_after_a_change(source: Path, tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    first = prepare("folder", source, data_dir=data_dir)
    stamp = (first.directory / "dataset_info.json").stat().st_mtime_ns
    assert prepare("folder", source, data_dir=data_dir) == first
    assert (first.directory / "dataset_info.json").stat().st_mtime_ns == stamp
    prints = {first.fingerprint}

    def changed() -> StoredImages:
        prepared = prepare("folder", source, data_dir=data_dir)
        assert prepared.fingerprint not in prints
        prints.add(prepared.fingerprint)
        return prepared

    table = source / "captions.csv"
    table.write_text(table.read_text("utf-8").replace("a dog 0", "a cat 0"), encoding="utf-8")
    assert contents(changed())["train"]["0.jpg"][0] == "a cat 0.jpg"
    (source / "images/0.jpg").write_bytes(jpeg(99))
    assert dict(changed().images("train"))["0.jpg"] == jpeg(99)
    with table.open("a", encoding="utf-8") as file:
        file.write("30.jpg,one more\n")
    (source / "images/30.jpg").write_bytes(jpeg(30))
    assert sum(changed().splits.values()) == 31


BAD = {"images/3.jpg": b"", "images/4.jpg": jpeg(4)[:-40], "images/5.jpg": b"<html>"}


def test_bad_images_are_reported_and_limited(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(source, BAD)
    (source / "images/6.jpg").unlink()
    for _ in range(2):  # a failure is not forgotten
        with pytest.raises(UserError, match=r"4 of 30 images \(13.3%\) have problems") as error:
            prepare("folder", source, data_dir=tmp_path / "data", max_bad=0.1)
    report = str(error.value).partition("named in ")[2].partition(". ")[0]
    expected = {
        ("3.jpg", "undecodable: empty file (0 bytes)"),
        ("4.jpg", "undecodable: cut short"),
        ("5.jpg", "undecodable: not an image"),
        ("6.jpg", "missing"),
    }
    assert {(problem.file, problem.reason) for problem in read_report(Path(report))} == expected
    prepared = prepare("folder", source, data_dir=tmp_path / "data", max_bad=0.14)
    assert sum(prepared.splits.values()) == 26
    assert {(p.file, p.reason) for p in read_report(prepared.problems)} == expected
    assert "3 undecodable, 1 missing" in capsys.readouterr().err
    # A dataset that was accepted is refused with a lower limit.
    with pytest.raises(UserError, match="4 of 30 images"):
        prepare("folder", source, data_dir=tmp_path / "data", max_bad=0.1)
    assert prepare("folder", source, data_dir=tmp_path / "data", max_bad=0.2) == prepared


def test_copies_of_a_damaged_file_are_reported_as_undecodable(tmp_path: Path) -> None:
    names = ["train", "dev", "test"]
    rows = [f"{n}.jpg,{n},{names[n % 3]}" for n in range(12)]
    files: dict[str, Any] = {"captions.csv": "\n".join(["image,caption,split", *rows])}
    files |= {f"images/{n}.jpg": jpeg(n) if n < 6 else jpeg(99)[:-40] for n in range(12)}
    prepared = prepare("folder", fill(tmp_path, files), data_dir=tmp_path / "data", max_bad=0.5)
    assert {(p.file, p.reason) for p in read_report(prepared.problems)} == {
        (f"{n}.jpg", "undecodable: cut short") for n in range(6, 12)
    }  # not "in two splits"


def test_too_many_missing_images_stop_before_any_is_decoded(source: Path, tmp_path: Path) -> None:
    for number in range(10):
        (source / f"images/{number}.jpg").unlink()
    with pytest.raises(UserError, match=r"10 of 30 images .*: 10 missing\. .*--max-bad 0.334"):
        prepare("folder", source, data_dir=tmp_path / "data")


def test_an_image_in_two_splits_is_removed_from_training(tmp_path: Path) -> None:
    rows = ["a.jpg,a,train", "copy.jpg,b,train", "b.jpg,b,validation", "c.jpg,c,train"]
    files: dict[str, Any] = {"captions.csv": "\n".join(["image,caption,split", *rows])}
    files |= {f"images/{letter}.jpg": jpeg(seed) for seed, letter in enumerate("abc")}
    fill(tmp_path, files | {"images/copy.jpg": jpeg(1)})
    prepared = prepare("folder", tmp_path, data_dir=tmp_path / "data", max_bad=0.5)
    assert {split: sorted(ids) for split, ids in contents(prepared).items()} == {
        "train": ["a.jpg", "c.jpg"],
        "validation": ["b.jpg"],
    }
    (problem,) = read_report(prepared.problems)
    reason = "in two splits: b.jpg in validation (kept) is the same image"
    assert (problem.file, problem.reason) == ("copy.jpg", reason)


def test_a_split_without_a_usable_image_is_an_error(tmp_path: Path) -> None:
    rows = ["a.jpg,a,train", "b.jpg,b,train", "c.jpg,c,dev"]
    files: dict[str, Any] = {"captions.csv": "\n".join(["image,caption,split", *rows])}
    files |= {"images/a.jpg": jpeg(0), "images/b.jpg": jpeg(1), "images/c.jpg": b""}
    with pytest.raises(UserError, match="no image of the validation split can be used: undecod"):
        prepare("folder", fill(tmp_path, files), data_dir=tmp_path / "data", max_bad=1)


def test_a_killed_run_leaves_nothing_readable_and_the_next_one_resumes(
    source: Path, tmp_path: Path
) -> None:
    script = f"""
        import os, signal, sys
        sys.path.insert(0, {str(ROOT)!r})
        from data.images.datasets import ImageDataset
        from data.sharding import prepare, shard_writer
        write, made = shard_writer.write_shard, []
        def write_shard(*given):
            if len(made) == 2:
                os.kill(os.getpid(), signal.SIGKILL)
            made.append(write(*given))
        shard_writer.write_shard = write_shard
        prepare.os.cpu_count = lambda: 1
        ImageDataset.shard_size = 4
        prepare.prepare_images("folder", {str(source)!r}, data_dir={str(tmp_path / "data")!r})
    """
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "2"}
    killed = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], env=environment)
    assert killed.returncode == -signal.SIGKILL
    (home,) = (tmp_path / "data" / "folder").iterdir()
    assert not list(home.glob("*.tfrecord-*")) and not (home / "dataset_info.json").exists()
    finished = {path.name: path.stat().st_mtime_ns for path in (home / ".work").glob("*.tfrecord")}
    assert len(finished) == 2
    ImageDataset.shard_size, size = 4, ImageDataset.shard_size
    try:
        prepared = prepare("folder", source, data_dir=tmp_path / "data")
    finally:
        ImageDataset.shard_size = size
    assert prepared.directory == home and sum(prepared.splits.values()) == 30
    times = [path.stat().st_mtime_ns for path in home.glob("*.tfrecord-*")]
    assert set(finished.values()) <= set(times) and len(times) > 2
    assert list(check(home)) == []


def test_two_processes_at_once_write_one_dataset(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = f"""
        import sys
        sys.path.insert(0, {str(ROOT)!r})
        import tensorflow
        from data.sharding.prepare import prepare_images
        print("ready", flush=True)
        print(prepare_images("folder", {str(source)!r}, data_dir={str(tmp_path / "data")!r}))
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "2"}
    options: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=environment, **options) as other:
        assert other.stdout and other.stdout.readline() == "ready\n"
        own = prepare("folder", source, data_dir=tmp_path / "data")
        printed, messages = other.communicate()
    assert other.returncode == 0, messages
    assert printed == f"{own}\n"
    both = (messages, capsys.readouterr().err)
    assert sorted("(prepared before)" in each for each in both) == [False, True]
    (home,) = (tmp_path / "data" / "folder").iterdir()
    assert list(check(home)) == []


def test_any_number_of_threads_makes_the_same_bytes(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ImageDataset, "shard_size", 4)
    contents = []
    for threads in (1, 4):
        monkeypatch.setattr(os, "cpu_count", lambda threads=threads: threads)
        prepared = prepare("folder", source, data_dir=tmp_path / f"{threads}")
        files = sorted(path for path in prepared.directory.iterdir() if path.is_file())
        contents.append({path.name: path.read_bytes() for path in files})
    assert contents[0] == contents[1]


def test_a_full_disk_is_an_error_that_names_the_folder(source: Path, tmp_path: Path) -> None:
    # A limit on the size of a file stands in for the disk: the same calls fail.
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(UserError, match=r"cannot write .*data.*WORDREEL_DATA_DIR"):
            prepare("folder", source, data_dir=tmp_path / "data")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert sum(prepare("folder", source, data_dir=tmp_path / "data").splits.values()) == 30


def test_a_data_folder_that_cannot_be_written_is_an_error(source: Path, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    with pytest.raises(UserError, match=r"cannot write .*data.*variable WORDREEL_DATA_DIR"):
        prepare("folder", source, data_dir=tmp_path / "data")


def test_real_photos_end_to_end(shared_data: Path, tmp_path: Path) -> None:
    real = shared_data / "flickr8k"
    for split, count in (("train", 60), ("dev", 20)):
        name = f"Flickr_8k.{split}Images.txt"
        names = (real / name).read_text().split()[:count]
        fill(tmp_path / "part", {name: "\n".join(names)})
    (tmp_path / "part" / "Flickr8k.token.txt").symlink_to(real / "Flickr8k.token.txt")
    (tmp_path / "part" / "images").symlink_to(real / "images")
    prepared = prepare("flickr8k", tmp_path / "part", data_dir=tmp_path / "data")
    assert prepared.splits == {"train": 60, "validation": 20}
    assert read_report(prepared.problems) == []
    assert {len(captions) for _, captions in prepared.captions("train")} == {5}
    for image_id, image in prepared.images("validation"):
        assert image == (real / "images" / image_id).read_bytes()
        assert tf.io.decode_jpeg(image).shape == (224, 224, 3)
