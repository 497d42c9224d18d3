"""The stored form of clips, the sampled frames as images; generated clips."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from data.annotations.entries import Entry
from data.builtin import clips
from data.builtin.caption_checker import is_true
from data.media.images import encode_jpeg, encode_png
from data.media.sampling import Sampling
from data.media.video import sample
from data.storage.dataset_info import Generator, Loaded

GENERATED = Sampling(count=clips.FRAMES, placing="uniform")  # all frames of generated clips


def clip_features(encoding: str) -> dict[str, Any]:
    """Return what is stored of a clip.

    `frames` are encoded images, `times` seconds from the first frame of the file. A clip without
    captions has none, one without a label "". Clips of one `group` must stay in one split.

    Args:
        encoding: of frames, "jpeg" or "png".
    """
    image = tfds.features.Image(shape=(None, None, 3), encoding_format=encoding)
    return {
        "frames": tfds.features.Sequence(image),
        "times": tfds.features.Sequence(np.float32),
        "clip_id": tfds.features.Text(),
        "captions": tfds.features.Sequence(tfds.features.Text()),
        "label": tfds.features.Text(),
        "group": tfds.features.Text(),
    }


def clip_example(entry: Entry, sampling: Sampling) -> Loaded:
    """Read the frames of a clip: see `data.media.video.sample`.

    Raises:
        UserError: with the reason why it cannot be decoded.
    """
    clip = sample(entry.path, sampling, start=entry.start, end=entry.end)
    example = {
        "frames": [encode_jpeg(frame) for frame in clip.frames],
        "times": clip.times.tolist(),
        "clip_id": entry.image_id,
        "captions": entry.captions,
        "label": entry.label,
        "group": entry.group,
    }
    return Loaded(example, clip.remarks)


def _clip_entries(seed: int) -> Iterator[Entry]:
    for split in clips.SPLITS:
        for name, clip in clips.synthetic_clips(split, seed=seed):
            yield Entry(name, name, "", tuple(clips.generate_captions(clip)), split, clip.action)


def _load_clip(clip_id: str) -> dict[str, Any]:
    clip = clips.clip_by_id(clip_id)
    frames = [encode_png(frame) for frame in clips.render(clip)]
    return {
        "frames": frames,
        "times": [number / clips.RATE for number in range(len(frames))],
        "clip_id": clip_id,
        "captions": clips.generate_captions(clip),
        "label": clip.action,
        "group": clip_id,
    }


def _clip_caption_is_true(clip_id: str, caption: str) -> bool:
    return is_true(caption, clips.clip_by_id(clip_id))


def clip_generator() -> Generator:
    """Return the generator of the synthetic clips; an id contains the clip."""
    return Generator(clips.VERSION, _clip_entries, _load_clip, is_true=_clip_caption_is_true)
