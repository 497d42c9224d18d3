"""A clip gives the requested frames, or an error with the reason."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from data.media.sampling import MAX_FRAMES, BadClip, Sampling
from data.media.video import sample
from tests.support.paths import ROOT
from tests.support.video_files import FORMATS, audio, frame, numbers, promise, write_clip, write_gif

settings.register_profile("video", deadline=None)  # a busy machine is no failure
settings.load_profile("video")


def chosen(sampling: Sampling, count: int, interval: float) -> list[int]:
    """Return the frames that `Sampling` takes of a clip with a constant frame rate."""
    times = sampling.times(0.0, count * interval, interval)
    begins = np.arange(count) * interval
    late = np.unique(np.searchsorted(begins, times - interval / 2 - 1e-6))
    return [int(number) for number in late if number < count]


clips = st.tuples(st.integers(1, 2000), st.sampled_from([1 / 60, 1 / 29.97, 0.04, 0.1, 1.0]))


@given(clips, st.integers(1, 64), st.sampled_from(["centred", "uniform"]))
def test_the_requested_number_of_frames_or_all(
    clip: tuple[int, float], count: int, placing: str
) -> None:
    length, interval = clip
    indices = chosen(Sampling(count=count, placing=placing), length, interval)
    assert len(indices) == min(count, length)
    assert indices[0] >= 0 and indices[-1] < length


@given(clips, st.integers(2, 64))
def test_uniform_goes_from_the_first_to_the_last(clip: tuple[int, float], count: int) -> None:
    length, interval = clip
    indices = chosen(Sampling(count=count, placing="uniform"), length, interval)
    assert (indices[0], indices[-1]) == (0, length - 1)
    gaps = np.diff(indices)
    assert length == 1 or gaps.max() - gaps.min() <= 1


@given(clips, st.integers(1, 64))
def test_each_segment_gives_the_frame_in_its_middle(clip: tuple[int, float], count: int) -> None:
    length, interval = clip
    if count > length:
        return
    for segment, index in enumerate(chosen(Sampling(count=count), length, interval)):
        low, high = segment * length / count, (segment + 1) * length / count
        assert abs(index + 0.5 - (low + high) / 2) <= 0.5 + 1e-4
        assert low - 0.5 < index < high


@given(clips, st.floats(0.1, 100))
def test_a_rate_gives_frames_at_its_interval(clip: tuple[int, float], rate: float) -> None:
    length, interval = clip
    if length * interval * min(rate, 1 / interval) > MAX_FRAMES - 1:
        return
    indices = chosen(Sampling(rate=rate), length, interval)
    assert indices[0] == 0
    apart = max(1.0, 1 / (rate * interval))
    assert all(abs(index - k * apart) <= 0.5 + 1e-3 for k, index in enumerate(indices))
    assert indices[-1] + apart > length - 1.01


@pytest.mark.parametrize("name", FORMATS)
def test_the_right_frames_of_every_format(tmp_path: Path, name: str) -> None:
    path = write_clip(tmp_path / name, range(40))
    centred = sample(path, Sampling(count=4))
    assert numbers(centred.frames) == [4, 14, 24, 34]
    assert centred.frames.dtype == np.uint8 and centred.frames.shape == (4, 48, 64, 3)
    # WebM counts in milliseconds; the rest is exact.
    assert np.allclose(centred.times, [0.16, 0.56, 0.96, 1.36], atol=1e-3)
    assert numbers(sample(path, Sampling(count=3, placing="uniform")).frames) == [0, 19, 39]
    assert numbers(sample(path, Sampling(rate=5)).frames) == list(range(0, 40, 5))
    assert numbers(sample(path, Sampling(rate=1000)).frames) == list(range(40))
    window = sample(path, Sampling(count=2), start=0.4, end=0.8)
    assert numbers(window.frames) == [12, 17]
    assert numbers(sample(path, Sampling(rate=5), start=1.2).frames) == [30, 35]
    # A wrong frame count in the header (MPEG program streams) is reported and corrected.
    wrong = bool(name.endswith(".mpg"))
    assert [remark.startswith("wrong header") for remark in centred.remarks] == [True] * wrong


def test_colors_are_rgb(tmp_path: Path) -> None:
    path = tmp_path / "red.avi"
    writer = cv2.VideoWriter(os.fspath(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, (64, 48))
    writer.write(np.full((48, 64, 3), (0, 0, 255), np.uint8))  # OpenCV's order: blue, green, red
    writer.release()
    red, green, blue = sample(path, Sampling(count=1)).frames.mean((0, 1, 2))
    assert red > 240 and green < 15 and blue < 15


def test_a_clip_of_uneven_rate_is_sampled_by_time(tmp_path: Path) -> None:
    # Ten frames at once, a second of rest, ten more.
    durations = [20] * 10 + [1000] + [20] * 9
    path = write_gif(tmp_path / "uneven.gif", range(20), durations)
    clip = sample(path, Sampling(rate=2))
    begins = np.cumsum([0, *durations[:-1]]) / 1000
    taken = numbers(clip.frames)
    assert np.allclose(clip.times, begins[taken])
    assert taken[0] == 0 and 11 in taken and len(taken) < 5
    assert numbers(sample(path, Sampling(count=2), start=1.2).frames)[0] >= 11


def test_a_long_last_frame_is_not_an_error(tmp_path: Path) -> None:
    path = write_gif(tmp_path / "slides.gif", range(10), [40] * 9 + [5000])
    assert sample(path, Sampling(rate=25)).remarks == ()
    # A mean of two frames a second does not hide the ten in the first 0.4 s.
    assert numbers(sample(path, Sampling(rate=25), end=0.4).frames) == list(range(10))


def test_a_clip_with_too_few_frames_gives_all_and_a_remark(tmp_path: Path) -> None:
    clip = sample(write_clip(tmp_path / "short.avi", range(5)), Sampling(count=16))
    assert numbers(clip.frames) == [0, 1, 2, 3, 4]
    assert clip.remarks == ("short clip: 5 of 16 frames",)
    one = sample(write_clip(tmp_path / "one.avi", [7]), Sampling(count=4, placing="uniform"))
    assert numbers(one.frames) == [7] and one.remarks == ("short clip: 1 of 4 frames",)


def test_a_window_beyond_the_end(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.avi", range(40))
    clip = sample(path, Sampling(rate=25), start=1.4, end=9.0)
    assert numbers(clip.frames) == [35, 36, 37, 38, 39]
    assert clip.remarks == ("window truncated: it ends at 9 s, the clip at 1.60 s",)
    with pytest.raises(BadClip, match=r"no frame in the window from 2 s: the clip ends at 1\.60 s"):
        sample(path, Sampling(count=4), start=2.0, end=3.0)
    for start, end in ((2.0, 1.0), (1.0, 1.0), (-1.0, None), (float("nan"), None)):
        with pytest.raises(BadClip, match="empty window"):
            sample(path, Sampling(count=4), start=start, end=end)


@pytest.mark.parametrize("share, remark", [(0.75, True), (0.3, False)])
def test_a_truncated_clip(tmp_path: Path, share: float, remark: bool) -> None:
    path = write_clip(tmp_path / "a.avi", range(100))
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    if remark:
        clip = sample(path, Sampling(count=4, placing="uniform"))
        assert clip.remarks[0].startswith("wrong header: 4.00 s announced, ")
        taken = numbers(clip.frames)
        assert len(taken) == 4 and taken[0] == 0 and 65 < taken[-1] < 80
        assert np.ptp(np.diff(taken)) <= 1
    else:
        with pytest.raises(BadClip, match=r"ends after \d.\d\d of 4.00 s"):
            sample(path, Sampling(count=4))
        # What lies before the break is there.
        assert numbers(sample(path, Sampling(count=2), end=0.4).frames) == [2, 7]


def test_a_header_with_too_short_a_length(tmp_path: Path) -> None:
    path = promise(write_clip(tmp_path / "a.avi", range(40)), 10)
    clip = sample(path, Sampling(count=4))
    assert numbers(clip.frames) == [4, 14, 24, 34]
    assert clip.remarks == ("wrong header: 0.40 s announced, 1.60 s found",)
    assert numbers(sample(path, Sampling(count=1), start=1.2, end=1.4).frames) == [32]


@pytest.mark.parametrize("sampling", [Sampling(count=4), Sampling(rate=1)])
def test_a_header_of_ten_hours(tmp_path: Path, sampling: Sampling) -> None:
    path = promise(write_clip(tmp_path / "a.avi", range(40)), 25 * 36_000)
    with pytest.raises(BadClip, match=r"ends after 1.60 of 36,000.00 s|too long"):
        sample(path, sampling)


@pytest.mark.parametrize("name", ["key.avi", "predicted.mp4"])
def test_seeking_over_long_gaps_is_exact(tmp_path: Path, name: str) -> None:
    path = write_clip(tmp_path / name, range(3000))
    clip = sample(path, Sampling(count=3))
    assert numbers(clip.frames) == [499, 1499, 2499]
    assert np.allclose(clip.times, [19.96, 59.96, 99.96])
    assert numbers(sample(path, Sampling(rate=25), start=100, end=100.16).frames) == [
        *range(2500, 2504)
    ]
    assert clip.remarks == ()


def test_a_file_without_seeking_is_read_completely(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mpg", range(1500))
    assert numbers(sample(path, Sampling(count=1), start=50, end=52).frames) == [1274]


def turn(path: Path) -> None:
    """Set the matrix in the track header of an MP4 to a quarter turn clockwise."""
    data = bytearray(path.read_bytes())
    plain = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    at = data.index(plain, data.index(b"tkhd"))
    data[at : at + 36] = struct.pack(">9i", 0, 1 << 16, 0, -1 << 16, 0, 0, 0, 0, 1 << 30)
    path.write_bytes(data)


def test_a_rotated_clip_becomes_upright(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "phone.mp4", [0b1000000000000000] * 3)
    plain = sample(path, Sampling(count=1)).frames[0]
    turn(path)
    turned = sample(path, Sampling(count=1)).frames[0]
    assert turned.shape == (64, 48, 3)
    assert np.abs(np.rot90(plain, -1).astype(int) - turned).max() < 8


@pytest.mark.parametrize(
    "content, reason",
    [
        (b"", r"empty file \(0 bytes\)"),
        (b"\0", "not a clip"),
        (b"<html>not found</html>", "not a clip"),
        (audio(), "not a clip: no video stream$"),
    ],
)
@pytest.mark.parametrize("name", ["a.mp4", "größe 犬 🐕.avi", "with:colon%03d.webm"])
def test_a_file_that_is_not_a_clip_is_reported(
    tmp_path: Path, name: str, content: bytes, reason: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadClip, match=reason):
        sample(tmp_path / name, Sampling(count=4))


def test_an_mp4_without_its_index_is_reported(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", range(40))
    path.write_bytes(path.read_bytes()[:1500])
    with pytest.raises(BadClip, match="not a clip: cut short"):
        sample(path, Sampling(count=4))


def test_a_damaged_clip_gives_frames_or_a_reason(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in FORMATS:
        whole = write_clip(tmp_path / name, range(30)).read_bytes()
        for _ in range(12):
            data = bytearray(whole[: rng.integers(len(whole))] if rng.random() < 0.5 else whole)
            for at in rng.integers(len(data) or 1, size=rng.integers(30)):
                data[at : at + 1] = rng.bytes(1)
            (tmp_path / name).write_bytes(data)
            try:
                clip = sample(tmp_path / name, Sampling(count=4))
            except BadClip:
                continue
            assert 1 <= len(clip.frames) == len(clip.times) <= 4
            assert (np.diff(clip.times) > 0).all()


def test_a_missing_file_raises_file_not_found(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        sample(tmp_path / "missing.mp4", Sampling(count=4))


@pytest.mark.parametrize("name", ["größe 犬 🐕.avi", "with:colon %03d.mp4", "-.webm"])
def test_any_file_name_works(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_clip(tmp_path / "plain", range(10), FORMATS[f"a{Path(name).suffix}"]).rename(name)
    assert numbers(sample(name, Sampling(count=1)).frames) == [4]


def test_a_file_name_that_is_not_unicode_works(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.avi"))
    path.write_bytes(write_clip(tmp_path / "a.avi", range(4)).read_bytes())
    assert numbers(sample(path, Sampling(count=1)).frames) == [1]


def test_a_single_pixel(tmp_path: Path) -> None:
    path = tmp_path / "dot.gif"
    dots = [Image.new("RGB", (1, 1), color) for color in ("red", "blue")]
    dots[0].save(path, save_all=True, append_images=dots[1:], duration=100)
    assert sample(path, Sampling(count=2)).frames.tolist() == [[[[255, 0, 0]]], [[[0, 0, 255]]]]


def test_8k_frames_are_resized_and_larger_frames_are_rejected(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "8k.avi", [0b1000000000000000], size=(7680, 4320))
    assert sample(path, Sampling(count=4, max_side=256)).frames.shape == (1, 144, 256, 3)
    path = write_clip(tmp_path / "a.gif", range(3))
    data = bytearray(path.read_bytes())
    struct.pack_into("<HH", data, 6, 12_000, 12_000)
    path.write_bytes(data)
    with pytest.raises(BadClip, match="too large: 144 million pixels per frame, at most 80"):
        sample(path, Sampling(count=1))


def test_frames_are_resized_by_their_longer_side(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.avi", range(10))
    assert sample(path, Sampling(count=2, max_side=32)).frames.shape == (2, 24, 32, 3)
    assert sample(path, Sampling(count=2, max_side=500)).frames.shape == (2, 48, 64, 3)


def test_threads_are_independent(tmp_path: Path) -> None:
    paths = [write_clip(tmp_path / f"{at}.mp4", range(at, at + 40)) for at in range(6)]

    def work(path: Path) -> list[int]:
        return numbers(sample(path, Sampling(count=4)).frames)

    with ThreadPoolExecutor(6) as pool:
        assert (
            list(pool.map(work, paths * 4))
            == [[at + each for each in (4, 14, 24, 34)] for at in range(6)] * 4
        )
    assert cv2.getNumThreads() == 1


def test_importing_the_sampler_does_not_import_opencv() -> None:
    code = "import sys, data.media.video; print({'cv2', 'tensorflow'} & set(sys.modules))"
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == "set()"


def test_real_clips(shared_data: Path) -> None:
    clip = sample(shared_data / "grid_s1/videos/bbaf2n.mp4", Sampling(count=16))
    assert clip.frames.shape == (16, 288, 360, 3) and clip.remarks == ()
    assert np.ptp(np.diff(clip.times)) < 0.041  # a frame


def test_frames_carry_their_numbers() -> None:
    assert numbers(np.stack([frame(each) for each in (0, 1, 777, 2**16 - 1)])) == [
        0,
        1,
        777,
        2**16 - 1,
    ]
