"""What pictures announce, read in Python before anything is decoded."""

from __future__ import annotations

import io
import random
import struct
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipelines.serving.server.errors import RequestError
from pipelines.serving.server.image_checks import check_sizes, refuse_unreadable, size


def encoded(form: str, side: tuple[int, int] = (37, 21), **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", side, "red").save(buffer, form, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("form", ["JPEG", "PNG", "GIF", "BMP"])
def test_sizes_are_those_of_the_picture(form: str) -> None:
    assert size(encoded(form)) == (37, 21)


def test_a_jpeg_may_have_much_before_its_size() -> None:
    exif = Image.Exif()
    exif[0x010E] = "x" * 60_000
    assert size(encoded("JPEG", progressive=True, exif=exif, comment=b"\xff\xc0" * 9)) == (37, 21)


def test_a_bmp_may_stand_on_its_head() -> None:
    data = bytearray(encoded("BMP"))
    data[22:26] = struct.pack("<i", -21)
    assert size(bytes(data)) == (37, 21)


def test_nothing_makes_it_crash() -> None:
    rng = random.Random(0)
    for form in ("JPEG", "PNG", "GIF", "BMP"):
        whole = encoded(form)
        for _ in range(300):
            data = bytearray(whole[: rng.randrange(len(whole) + 1)])
            for _ in range(min(3, len(data))):
                data[rng.randrange(len(data))] = rng.randrange(256)
            size(bytes(data))
    assert size(b"") is size(b"<html>") is size(encoded("WEBP")) is None


def test_a_bomb_is_named_before_it_goes_off() -> None:
    bomb = b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + struct.pack(">II", 50_000, 50_000)
    frames = {"frame_bytes": np.array([[encoded("PNG"), bomb]], object)}
    with pytest.raises(RequestError, match="picture 1 announces 50,000 × 50,000") as caught:
        check_sizes(frames, 50_000_000)
    assert caught.value.status == 413
    check_sizes({"text": np.array([bomb], object)}, 1)  # no picture, whatever it looks like


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "empty file"),
        (b" <html>", "a web page"),
        (b"words", "not a picture"),
        (encoded("JPEG")[:200], "cut short or damaged"),
    ],
)
def test_a_request_without_any_picture_is_told_why(data: bytes, problem: str) -> None:
    inputs = {"image_bytes": np.array([data], object)}
    with pytest.raises(RequestError, match=problem):
        refuse_unreadable(inputs, {"valid": np.array([False])})
    refuse_unreadable(inputs, {"valid": np.array([False, True])})
    refuse_unreadable(inputs, {"label": np.array([b"good"])})


def test_a_request_without_any_word_is_told_so() -> None:
    with pytest.raises(RequestError, match="no word in it that could be read"):
        refuse_unreadable({"text": np.array([b"\x01 "], object)}, {"valid": np.array([False])})
