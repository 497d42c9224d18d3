"""The stored form of images; generated images."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from data.annotations.entries import Entry
from data.builtin import digits, scenes
from data.builtin.caption_checker import is_true
from data.media.images import BadImage, encode_png, load_image
from data.storage.dataset_info import Generator

# A larger file cannot be decoded to at most `images.MAX_PIXELS`.
MAX_BYTES = 400_000_000


def image_features(encoding: str, labeled: bool) -> dict[str, Any]:
    """Return what is stored of an image. Labels are texts, so that a new class changes no shard.

    Args:
        encoding: "jpeg" or "png".
        labeled: whether it has a label, not captions.
    """
    text = tfds.features.Text()
    return {
        "image": tfds.features.Image(shape=(None, None, 3), encoding_format=encoding),
        "image_id": text,
        **({"label": text} if labeled else {"captions": tfds.features.Sequence(text)}),
    }


def image_example(entry: Entry, max_side: int, plain_side: int | None = None) -> dict[str, Any]:
    """Read an image: see `data.media.images.load_image`.

    Raises:
        UserError: with the reason why it cannot be decoded.
    """
    if entry.path.stat().st_size > MAX_BYTES:
        raise BadImage(f"file of more than {MAX_BYTES / 1e6:,.0f} MB")
    data = entry.path.read_bytes()
    jpeg = load_image(data, max_side=max_side, plain_side=plain_side).jpeg
    return {
        "image": jpeg,
        "image_id": entry.image_id,
        "captions": entry.captions,
        "label": entry.label,
    }


def _scene_entries(seed: int) -> Iterator[Entry]:
    for split in scenes.SPLITS:
        for name, scene in scenes.synthetic_scenes(split, seed=seed):
            yield Entry(name, name, "", tuple(scenes.generate_captions(scene)), split)


def _load_scene(scene_id: str) -> dict[str, Any]:
    scene = scenes.scene_by_id(scene_id)
    image = encode_png(scenes.render(scene))
    return {"image": image, "image_id": scene_id, "captions": scenes.generate_captions(scene)}


def _scene_caption_is_true(scene_id: str, caption: str) -> bool:
    return is_true(caption, scenes.scene_by_id(scene_id))


def _digit_entries(seed: int) -> Iterator[Entry]:
    del seed
    for split, found in digits.read_digits().items():
        for name, label in zip(found.ids, found.labels, strict=True):
            yield Entry(name, name, "", (), split, str(label))


def _load_digit(digit_id: str) -> dict[str, Any]:
    pixels, label = digits.digit_by_id(digit_id)
    shades = np.rint(pixels * (255 / digits.LEVELS)).astype(np.uint8)
    return {"image": encode_png(shades), "image_id": digit_id, "label": label}


def scene_generator() -> Generator:
    """Return the generator of the synthetic scenes; an id contains the scene."""
    return Generator(scenes.VERSION, _scene_entries, _load_scene, is_true=_scene_caption_is_true)


def digit_generator() -> Generator:
    """Return the generator of the handwritten digits, white on black."""
    return Generator(digits.VERSION, _digit_entries, _load_digit, seeded=False)
