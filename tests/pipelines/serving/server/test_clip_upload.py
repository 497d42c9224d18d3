"""Clips from a page: which are taken, and that the frames are those of training."""

from __future__ import annotations

import base64
import io
import multiprocessing
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data.media.sampling import Sampling
from data.media.video import sample
from pipelines.serving.server.clip_upload import frames_of, is_clip
from pipelines.serving.server.errors import RequestError
from tests.support.video_files import FORMATS, numbers, write_clip

SAMPLING = {"count": 4, "rate": None, "placing": "centred", "max_side": 64}
INFO = {"input": {"sampling": SAMPLING}}


@pytest.mark.parametrize("name", FORMATS)
def test_any_clip_that_training_reads_is_taken(tmp_path: Path, name: str) -> None:
    assert is_clip(write_clip(tmp_path / name, range(3)).read_bytes()[:12])


def test_the_frames_are_those_of_training(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4", range(40))
    found = frames_of(clip.read_bytes(), INFO)
    pictures = [Image.open(io.BytesIO(base64.b64decode(each))) for each in found["frames"]]
    expected = sample(clip, Sampling(count=4, max_side=64))
    assert numbers(np.stack([np.asarray(each) for each in pictures])) == numbers(expected.frames)
    assert found["seconds"] == expected.times.tolist()


@pytest.mark.parametrize(
    ("clip", "info", "error"),
    [
        (b"#EXTM3U\nfile:///etc/passwd\n", INFO, "not a clip"),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", INFO, "not a clip"),
        (b"", INFO, "not a clip"),
        (b"\0\0\0\x18ftypmp42" + b"\0" * 99, INFO, "cannot be read"),
        (b"GIF89a", {"input": {}}, "takes no clips"),
    ],
)
def test_what_is_no_clip_is_refused(clip: bytes, info: dict[str, object], error: str) -> None:
    with pytest.raises(RequestError, match=error) as caught:
        frames_of(clip, info)
    assert caught.value.status == 400


def test_a_clip_that_never_ends_or_crashes_what_reads_it_takes_nothing_along(
    tmp_path: Path,
) -> None:
    clip = write_clip(tmp_path / "a.mp4", range(3)).read_bytes()
    # Ends the process, as a crash does.
    deadly = {"input": {"sampling": {**SAMPLING, "no": "such thing"}}}
    for info, seconds, error in ((INFO, 0.01, "more than 0.01 s"), (deadly, 60.0, "crashes")):
        with pytest.raises(RequestError, match=error) as caught:
            frames_of(clip, info, seconds)
        assert caught.value.status == 400
        assert not multiprocessing.active_children()
