"""No frame is used that was not decoded; a clip is read as a player shows it."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest
from av.stream import Disposition

from data.media.sampling import BadClip, Sampling
from data.media.video import sample
from tests.support.video_files import encode, frame, numbers, write_clip

GREEN = (32, 160, 64)
INTERLACED = {"flags": "+ilme+ildct", "x264-params": "tff=1"}


def plain(color: tuple[int, int, int], size: tuple[int, int] = (352, 288)) -> npt.NDArray[np.uint8]:
    return np.full((size[1], size[0], 3), color, np.uint8)


INTERLACED_FILES = [
    ("a.mp4", "libx264"),
    ("a.mov", "prores_ks"),
    ("a.mpg", "mpeg2video"),
    ("a.ts", "mpeg2video"),
    ("a.mts", "libx264"),
    ("a.avi", "mpeg4"),
]


def interlaced(path: Path, codec: str, images: list[npt.NDArray[np.uint8]]) -> Path:
    options = INTERLACED if codec == "libx264" else {"flags": "+ilme+ildct", "qscale": "2"}
    pixels = "yuv422p10le" if codec == "prores_ks" else "yuv420p"
    return encode(path, codec, images, options, pixels=pixels)


@pytest.mark.parametrize("name, codec", INTERLACED_FILES)
def test_an_interlaced_clip_gives_its_own_frames(tmp_path: Path, name: str, codec: str) -> None:
    path = interlaced(tmp_path / name, codec, [plain(GREEN)] * 50)
    sample(encode(tmp_path / "other.mp4", "libx264", [plain((255, 0, 0))] * 5), Sampling(count=1))
    first, again = (sample(path, Sampling(count=4)).frames for _ in range(2))
    assert first.shape == (4, 288, 352, 3)
    assert np.abs(first.astype(int) - GREEN).max() <= 6
    np.testing.assert_array_equal(first, again)


@pytest.mark.parametrize("name, codec", INTERLACED_FILES)
def test_the_two_fields_of_a_frame_are_not_mixed(tmp_path: Path, name: str, codec: str) -> None:
    # A bright field and a dark field: two times, 20 ms apart.
    combed = plain((40, 40, 40))
    combed[::2] = 200
    found = sample(interlaced(tmp_path / name, codec, [combed] * 8), Sampling(count=2)).frames
    rows = found.mean((0, 2, 3))
    assert np.abs(rows[:-1] - 200).max() < 12  # the last line has no lower neighbor


@pytest.mark.parametrize(
    "name, codec",
    [
        ("a.mp4", "libsvtav1"),
        ("a.webm", "libsvtav1"),
        ("a.mp4", "libx265"),
        ("a.webm", "libvpx-vp9"),
        ("a.wmv", "wmv2"),
        ("a.flv", "flv"),
        ("a.mov", "prores_ks"),
    ],
)
def test_the_codecs_of_cameras_and_of_the_web(tmp_path: Path, name: str, codec: str) -> None:
    pixels = "yuv422p10le" if codec == "prores_ks" else "yuv420p"
    path = encode(tmp_path / name, codec, [plain(GREEN)] * 10, pixels=pixels)
    clip = sample(path, Sampling(count=4))
    assert clip.frames.shape == (4, 288, 352, 3) and clip.remarks == ()
    assert np.abs(clip.frames.astype(int) - GREEN).max() <= 8
    assert np.allclose(clip.times, [0.04, 0.12, 0.24, 0.32], atol=2e-3) or clip.times[0] < 0.05


@pytest.mark.parametrize("also_video", [False, True])
def test_a_cover_image_is_not_a_clip(tmp_path: Path, also_video: bool) -> None:
    path = tmp_path / "song.mp4"
    with av.open(path, "w") as container:
        streams = [container.add_stream("mjpeg", rate=25)]
        streams += [container.add_stream("mpeg4", rate=25)] * also_video
        for stream, pixels in zip(streams, ("yuvj420p", "yuv420p"), strict=False):
            stream.width, stream.height, stream.pix_fmt = 64, 48, pixels
        streams[0].disposition = Disposition.attached_pic
        sound = container.add_stream("aac", rate=8000)
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        silence.sample_rate = 8000
        container.mux(sound.encode(silence))
        for number, stream in zip(
            [9, *range(20, 30)], streams[:1] + streams[1:] * 10, strict=False
        ):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame(number), format="rgb24")))
        container.mux(sound.encode())
        for stream in streams:
            container.mux(stream.encode())
    if also_video:
        assert numbers(sample(path, Sampling(count=2)).frames) == [22, 27]
    else:
        with pytest.raises(BadClip, match=r"no video stream, only a cover image"):
            sample(path, Sampling(count=2))


def test_an_unknown_codec_is_named_with_its_remedy(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.avi", range(10))
    path.write_bytes(path.read_bytes().replace(b"MJPG", b"ZZZZ"))
    with pytest.raises(BadClip, match=r"unknown codec: convert it, .*ffmpeg -i OLD .* NEW\.mp4"):
        sample(path, Sampling(count=2))


@pytest.mark.parametrize(
    "aspect, max_side, shape",
    [
        (Fraction(2, 1), None, (48, 128)),
        (Fraction(1, 2), None, (96, 64)),
        (Fraction(16, 11), None, (48, 93)),
        (Fraction(2, 1), 64, (24, 64)),
        (Fraction(143, 144), None, (48, 64)),  # what a scaler leaves by rounding
        (Fraction(1, 1), None, (48, 64)),
    ],
)
def test_pixels_become_square(
    tmp_path: Path, aspect: Fraction, max_side: int | None, shape: tuple[int, int]
) -> None:
    path = encode(tmp_path / "a.mp4", "libx264", [frame(21845)] * 5, aspect=aspect)
    assert sample(path, Sampling(count=2, max_side=max_side)).frames.shape == (2, *shape, 3)


@pytest.mark.parametrize("suffix, codec", [(".ts", "mpeg2video"), (".h264", "libx264")])
def test_frames_that_change_size_get_the_size_of_the_first(
    tmp_path: Path, suffix: str, codec: str
) -> None:
    small = encode(tmp_path / f"small{suffix}", codec, [plain(GREEN, (176, 144))] * 20)
    large = encode(tmp_path / f"large{suffix}", codec, [plain((200, 40, 40), (352, 240))] * 20)
    path = tmp_path / f"both{suffix}"
    path.write_bytes(small.read_bytes() + large.read_bytes())
    clip = sample(path, Sampling(rate=25))
    assert clip.frames.shape[1:] == (144, 176, 3)
    assert "frames of different sizes: resized to that of the first" in clip.remarks
    assert np.abs(clip.frames[0].astype(int) - GREEN).max() < 8
    assert np.abs(clip.frames[-1].astype(int) - (200, 40, 40)).max() < 8


@pytest.mark.parametrize("suffix, codec", [(".h264", "libx264"), (".webm", "libvpx")])
def test_a_clip_without_a_length_in_its_header(tmp_path: Path, suffix: str, codec: str) -> None:
    path = encode(tmp_path / f"a{suffix}", codec, [plain((at, at, at)) for at in range(40, 80)])
    data = path.read_bytes()
    if suffix == ".webm":  # as browsers record: the element Duration becomes a void one
        at = data.index(b"\x44\x89\x88")
        path.write_bytes(data[:at] + b"\xec\x89" + data[at + 2 :])
    clip = sample(path, Sampling(count=4))
    assert clip.remarks == () and np.allclose(clip.times, [0.16, 0.56, 0.96, 1.36], atol=2e-3)


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_a_recording_that_starts_between_key_frames(tmp_path: Path, codec: str) -> None:
    # Frames before the first key frame refer to frames that are not there.
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 256, (96, 128, 3), np.uint8).repeat(2, 1) for _ in range(60)]
    options = {"g": "20", "x265-params": "keyint=20:log-level=none"}
    path = encode(tmp_path / "a.ts", codec, noise, options)
    whole = sample(path, Sampling(rate=25)).frames[:, ::4, ::4].astype(int)
    data = path.read_bytes()
    path.write_bytes(data[188 * (len(data) // 188 * 3 // 20) :])
    found = sample(path, Sampling(rate=25)).frames[:, ::4, ::4].astype(int)
    assert 30 <= len(found) < 60
    np.testing.assert_array_equal(found, whole[-len(found) :])


@pytest.mark.parametrize(
    "name, codec, options",
    [
        ("a.mp4", "libx264", {"g": "1"}),
        ("a.ts", "libx264", {"g": "1"}),
        ("a.avi", "mpeg4", {"g": "1"}),
        ("a.avi", "mjpeg", {}),
        ("a.mkv", "ffv1", {"slicecrc": "1", "level": "3"}),
    ],
)
def test_a_damaged_frame_is_left_out(
    tmp_path: Path, name: str, codec: str, options: dict[str, str]
) -> None:
    # Every frame carries its number: one that stayed in memory would show another.
    pixels = {"mjpeg": "yuvj420p", "ffv1": "yuv420p"}.get(codec, "yuv420p")
    images = [np.asarray(frame(number), np.uint8).repeat(4, 0).repeat(4, 1) for number in range(40)]
    whole = encode(tmp_path / name, codec, images, options, pixels=pixels).read_bytes()
    size = len(whole) // 40
    rng = np.random.default_rng(0)
    for start in range(10, 30, 4):
        data = bytearray(whole)
        data[start * size : start * size + size // 2] = rng.bytes(size // 2)
        (tmp_path / name).write_bytes(data)
        try:
            clip = sample(tmp_path / name, Sampling(rate=25))
        except BadClip:
            continue
        shown = numbers(clip.frames[:, ::4, ::4])
        # The time of a frame shifts where the container lost the ones before it.
        assert shown == sorted(set(shown)) and set(shown) <= set(range(40)) and len(shown) > 20


@pytest.mark.parametrize(
    "matrix, expected",
    [
        ((-1, 0, 0, 1), lambda image: image[:, ::-1]),  # a selfie
        ((1, 0, 0, -1), lambda image: image[::-1]),
        ((-1, 0, 0, -1), lambda image: image[::-1, ::-1]),
        ((0, 1, -1, 0), lambda image: np.rot90(image, -1)),
        ((0, -1, 1, 0), lambda image: np.rot90(image)),
        ((0, 1, 1, 0), lambda image: image.transpose(1, 0, 2)),
    ],
)
def test_a_turned_or_mirrored_clip_becomes_upright(
    tmp_path: Path, matrix: tuple[int, int, int, int], expected: object
) -> None:
    corner = plain((20, 20, 20), (64, 48))
    corner[:24, :16] = 230
    path = encode(tmp_path / "phone.mp4", "libx264", [corner] * 3)
    untouched = sample(path, Sampling(count=1)).frames[0]
    a, b, c, d = (value << 16 for value in matrix)
    data = bytearray(path.read_bytes())
    old = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    at = data.index(old, data.index(b"tkhd"))
    data[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    assert callable(expected)
    np.testing.assert_array_equal(sample(path, Sampling(count=1)).frames[0], expected(untouched))
