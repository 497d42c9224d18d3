"""What is stored of one example, and how it comes about: read from a file, or drawn."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from PIL import Image
from tqdm import tqdm

from data.annotations.entries import Entry
from data.builtin import scenes
from data.builtin.digits import LEVELS, digit_by_id, read_digits
from data.media.images import BadImage, load_image

# No picture that can be decoded within `limits.MAX_PIXELS` is a larger file.
MAX_BYTES = 400_000_000


class Example(NamedTuple):
    """What is stored of a picture: its id, its encoded bytes and its captions."""

    image_id: str
    image: bytes
    captions: Sequence[str]


class TextExample(NamedTuple):
    """What is stored of a labelled text."""

    text_id: str
    text: str
    label: str


class PairExample(NamedTuple):
    """What is stored of a text and its translation."""

    text_id: str
    text: str
    translation: str


class LabelledExample(NamedTuple):
    """What is stored of a picture that has a class."""

    image_id: str
    image: bytes
    label: str


class Loaded(NamedTuple):
    """What is stored of an entry, a hash of what it shows, and what was odd about its file."""

    example: Any
    digest: bytes
    remarks: Sequence[str] = ()


def picture_of(
    entry: Entry, max_side: int | None, labelled: bool = False, plain_side: int | None = None
) -> Loaded:
    """Read a picture: see `load_image`."""
    if entry.path.stat().st_size > MAX_BYTES:
        raise BadImage(f"file of more than {MAX_BYTES / 1e6:,.0f} MB")
    data = entry.path.read_bytes()
    jpeg = load_image(data, max_side=max_side, plain_side=plain_side).jpeg
    digest = hashlib.blake2b(jpeg, digest_size=16).digest()
    if labelled:
        return Loaded(LabelledExample(entry.image_id, jpeg, entry.label), digest)
    return Loaded(Example(entry.image_id, jpeg, entry.captions), digest)


def written_digits() -> dict[str, Iterator[LabelledExample]]:
    """Return the hand-written digits of each split, as PNG, white on black."""
    return {split: map(digit_of, found.ids) for split, found in read_digits().items()}


def digit_of(digit_id: str) -> LabelledExample:
    """Draw a hand-written digit."""
    pixels, label = digit_by_id(digit_id)
    shades = np.rint(pixels * (255 / LEVELS)).astype(np.uint8)
    return LabelledExample(digit_id, _png(shades), label)


def drawn_scenes(seed: int, bar: tqdm[Any]) -> dict[str, Iterator[Example]]:
    """Return the drawn scenes of each split, as PNG: JPEG would blur their edges."""

    def examples(split: str) -> Iterator[Example]:
        for scene_id, scene in scenes.synthetic_scenes(split, seed=seed):
            bar.update()
            yield scene_of(scene_id, scene)

    return {split: examples(split) for split in scenes.SPLITS}


def scene_of(scene_id: str, scene: scenes.Scene) -> Example:
    """Draw a scene."""
    return Example(
        scene_id, _png(scenes.render(scene), compress_level=1), scenes.generate_captions(scene)
    )


def _png(pixels: np.ndarray, **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).convert("RGB").save(buffer, "PNG", **options)
    return buffer.getvalue()
