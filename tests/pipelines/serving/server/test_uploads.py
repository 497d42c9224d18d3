"""Uploads: header checks before decoding, and clips sampled as in training."""

from __future__ import annotations

import base64
import io
import multiprocessing
import random
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from data.media.sampling import Sampling
from data.media.video import sample
from pipelines.serving.server.errors import RequestError
from pipelines.serving.server.uploads import (
    check_any_row_valid,
    check_image_sizes,
    image_size,
    is_clip,
    sample_clip,
)
from tests.support.tiny.captioner import png_header
from tests.support.video_files import FORMATS, encode, frame, numbers, write_clip

SAMPLING = {"count": 4, "rate": None, "placing": "centred", "max_side": 64}
INFO = {"input": {"sampling": SAMPLING}}


def encoded(form: str, side: tuple[int, int] = (37, 21), **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", side, "red").save(buffer, form, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("form", ["JPEG", "PNG", "GIF", "BMP"])
def test_the_size_is_that_of_the_image(form: str) -> None:
    assert image_size(encoded(form)) == (37, 21)


def test_a_jpeg_may_have_long_metadata_before_its_size() -> None:
    exif = Image.Exif()
    exif[0x010E] = "x" * 60_000
    data = encoded("JPEG", progressive=True, exif=exif, comment=b"\xff\xc0" * 9)
    assert image_size(data) == (37, 21)


def test_a_bmp_may_have_its_rows_from_the_top() -> None:
    data = bytearray(encoded("BMP"))
    data[22:26] = struct.pack("<i", -21)
    assert image_size(bytes(data)) == (37, 21)


def test_damaged_headers_never_raise() -> None:
    rng = random.Random(0)
    for form in ("JPEG", "PNG", "GIF", "BMP"):
        whole = encoded(form)
        for _ in range(300):
            data = bytearray(whole[: rng.randrange(len(whole) + 1)])
            for _ in range(min(3, len(data))):
                data[rng.randrange(len(data))] = rng.randrange(256)
            image_size(bytes(data))
    assert image_size(b"") is image_size(b"<html>") is image_size(encoded("WEBP")) is None


def test_a_decompression_bomb_is_refused_by_its_header() -> None:
    bomb = png_header(50_000, 50_000)
    frames = {"frame_bytes": np.array([[encoded("PNG"), bomb]], object)}
    with pytest.raises(RequestError, match="image 1 has 50,000 × 50,000 pixels") as caught:
        check_image_sizes(frames, 80_000_000)
    assert caught.value.status == 413
    check_image_sizes({"text": np.array([bomb], object)}, 1)  # not an image input


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "file is empty"),
        (b" <html>", "a web page"),
        (b"words", "not an image"),
        (encoded("JPEG")[:200], "truncated or damaged"),
    ],
)
def test_a_request_without_a_valid_image_is_refused(data: bytes, problem: str) -> None:
    inputs = {"image_bytes": np.array([data], object)}
    with pytest.raises(RequestError, match=problem):
        check_any_row_valid(inputs, {"valid": np.array([False])})
    check_any_row_valid(inputs, {"valid": np.array([False, True])})
    check_any_row_valid(inputs, {"label": np.array([b"good"])})


def test_a_request_without_a_word_is_refused() -> None:
    with pytest.raises(RequestError, match="no readable word"):
        check_any_row_valid({"text": np.array([b"\x01 "], object)}, {"valid": np.array([False])})


@pytest.mark.parametrize("name", FORMATS)
def test_every_clip_format_of_training_is_accepted(tmp_path: Path, name: str) -> None:
    assert is_clip(write_clip(tmp_path / name, range(3)).read_bytes()[:12])


@pytest.mark.parametrize(
    "name, codec", [("a.ts", "libx264"), ("a.wmv", "wmv2"), ("a.flv", "flv"), ("a.mts", "libx264")]
)
def test_the_formats_of_cameras_are_accepted(tmp_path: Path, name: str, codec: str) -> None:
    path = encode(tmp_path / name, codec, [frame(7)] * 3)
    assert is_clip(path.read_bytes()[:200])
    assert not is_clip(b"#EXTM3U\n" + b"G" * 200) and not is_clip(b"ffconcat version 1.0\n")


def test_an_interlaced_clip_is_the_same_as_in_training(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp4", "libx264", [frame(21)] * 9, {"flags": "+ilme+ildct"})
    (found,) = sample_clip(path.read_bytes(), {"input": {"sampling": SAMPLING | {"count": 1}}})[
        "frames"
    ]
    assert numbers(np.asarray(Image.open(io.BytesIO(base64.b64decode(found))))[None]) == [21]


def test_the_frames_are_those_of_training(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4", range(40))
    found = sample_clip(clip.read_bytes(), INFO)
    images = [Image.open(io.BytesIO(base64.b64decode(each))) for each in found["frames"]]
    expected = sample(clip, Sampling(count=4, max_side=64))
    assert numbers(np.stack([np.asarray(each) for each in images])) == numbers(expected.frames)
    assert found["seconds"] == expected.times.tolist()


@pytest.mark.parametrize(
    ("clip", "info", "error"),
    [
        (b"#EXTM3U\nfile:///etc/passwd\n", INFO, "not a clip"),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", INFO, "not a clip"),
        (b"", INFO, "not a clip"),
        (b"\0\0\0\x18ftypmp42" + b"\0" * 99, INFO, "cannot be read"),
        (b"GIF89a", {"input": {}}, "does not take clips"),
    ],
)
def test_a_file_that_is_not_a_clip_is_refused(
    clip: bytes, info: dict[str, object], error: str
) -> None:
    with pytest.raises(RequestError, match=error) as caught:
        sample_clip(clip, info)
    assert caught.value.status == 400


def test_a_clip_that_never_ends_or_crashes_the_decoder_affects_nothing_else(
    tmp_path: Path,
) -> None:
    clip = write_clip(tmp_path / "a.mp4", range(3)).read_bytes()
    # Ends the process, as a crash does.
    crashing = {"input": {"sampling": {**SAMPLING, "no": "such option"}}}
    for info, seconds, error in ((INFO, 0.01, "more than 0.01 s"), (crashing, 60.0, "crashed")):
        with pytest.raises(RequestError, match=error) as caught:
            sample_clip(clip, info, seconds)
        assert caught.value.status == 400
        assert not multiprocessing.active_children()
