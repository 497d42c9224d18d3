"""Writing clips as a TFDS dataset: the chosen frames of each, stored once as pictures."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow_datasets as tfds
from PIL import Image
from tqdm import tqdm

from data.annotations.entries import Entry, Listing, Problem
from data.builtin import clips
from data.media.images import frame_jpeg
from data.media.sampling import Sampling
from data.media.video import sample
from data.storage.builders import VERSION, checked, write
from data.storage.examples import Loaded

DRAWN = Sampling(count=clips.FRAMES, placing="uniform")  # of drawn clips all are stored


class ClipExample(NamedTuple):
    """What is stored of a clip.

    Attributes:
        clip_id: its name.
        frames: encoded pictures.
        times: of the frames, in seconds from the first frame of the file.
        captions: none where it has a label only.
        label: "" where it has captions only.
        group: clips of one group belong together.
    """

    clip_id: str
    frames: Sequence[bytes]
    times: Sequence[float]
    captions: Sequence[str]
    label: str
    group: str


class StoredClips(tfds.core.GeneratorBasedBuilder, skip_registration=True):  # type: ignore[call-arg]
    """A dataset `<data_dir>/<name>/<fingerprint>/1.0.0` of clips.

    Features: `frames` (encoded, uint8 [frames, height, width, 3] when decoded), `times`,
    `clip_id`, `captions`, `label`, `group`. The metadata say which frames were taken: `sampling`,
    `sampling_fingerprint`. `tfds.builder_from_directory` reads it without this class.

    Args:
        name: of the dataset.
        fingerprint: of its content; the TFDS config.
        encoding: of the frames, "jpeg" or "png".
        sampling: which frames of a clip are stored.
        splits: the examples of each split, read once, in this order.
        data_dir: the folder of all datasets.
    """

    VERSION = tfds.core.Version(VERSION)
    url_infos: ClassVar[Mapping[str, Any]] = {}  # nothing is downloaded

    def __init__(
        self,
        name: str,
        fingerprint: str,
        *,
        encoding: str,
        sampling: Sampling,
        splits: Mapping[str, Iterable[ClipExample]],
        data_dir: Path,
    ) -> None:
        self.name = name
        self._encoding = encoding
        self._sampling = sampling
        self._splits = splits
        config = tfds.core.BuilderConfig(name=fingerprint, version=VERSION)
        super().__init__(data_dir=data_dir, config=config)

    def _info(self) -> tfds.core.DatasetInfo:
        metadata = tfds.core.MetadataDict(clip_metadata(self._sampling))
        return tfds.core.DatasetInfo(
            builder=self,
            description="Frames of clips, with captions, labels or both. Written by Wordreel.",
            features=tfds.features.FeaturesDict(clip_features(self._encoding)),
            metadata=metadata,
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator[tuple[str, Any]]]:
        return {split: self._generate_examples(self._splits[split]) for split in self._splits}

    def _generate_examples(self, examples: Iterable[ClipExample]) -> Iterator[tuple[str, Any]]:
        for example in examples:
            yield example.clip_id, example._asdict()


def clip_metadata(sampling: Sampling) -> dict[str, Any]:
    """Return what a dataset says of its clips: which frames are stored."""
    return {"sampling": asdict(sampling), "sampling_fingerprint": sampling.fingerprint}


def clip_features(encoding: str) -> dict[str, Any]:
    """Return what is stored of a clip, by name."""
    image = tfds.features.Image(shape=(None, None, 3), encoding_format=encoding)
    return {
        "frames": tfds.features.Sequence(image),
        "times": tfds.features.Sequence(np.float32),
        "clip_id": tfds.features.Text(),
        "captions": tfds.features.Sequence(tfds.features.Text()),
        "label": tfds.features.Text(),
        "group": tfds.features.Text(),
    }


def build_clips(
    name: str,
    fingerprint: str,
    *,
    encoding: str,
    sampling: Sampling,
    splits: Mapping[str, Iterable[ClipExample]],
    data_dir: Path,
) -> Path:
    """Write the dataset unless it is there; return its folder: see `data.storage.builders`."""

    def make() -> StoredClips:
        return StoredClips(
            name,
            fingerprint,
            encoding=encoding,
            sampling=sampling,
            splits=splits,
            data_dir=data_dir,
        )

    return write(make, data_dir / name / fingerprint)


def checked_clips(
    listing: Listing,
    problems: list[Problem],
    sampling: Sampling,
    *,
    bar: tqdm[Any],
    finish: Callable[[], None],
) -> dict[str, Iterator[ClipExample]]:
    """Return the frames of the clips of each split, as JPEG: see `data.storage.builders`."""

    def load(entry: Entry) -> Loaded:
        return clip_of(entry, sampling)

    return checked(listing, problems, load, kind="clip", bar=bar, finish=finish)


def clip_of(entry: Entry, sampling: Sampling) -> Loaded:
    """Read the frames of a clip: see `data.media.video.sample`."""
    clip = sample(entry.path, sampling, start=entry.start, end=entry.end)
    example = ClipExample(
        entry.image_id,
        [frame_jpeg(frame) for frame in clip.frames],
        clip.times.tolist(),
        entry.captions,
        entry.label,
        entry.group,
    )
    digest = hashlib.blake2b(b"".join(example.frames), digest_size=16).digest()
    return Loaded(example, digest, clip.remarks)


def drawn(seed: int, bar: tqdm[Any]) -> dict[str, Iterator[ClipExample]]:
    """Return the drawn clips of each split, as PNG: JPEG would blur their edges."""

    def examples(split: str) -> Iterator[ClipExample]:
        for clip_id, clip in clips.synthetic_clips(split, seed=seed):
            bar.update()
            yield drawn_clip_of(clip_id, clip)

    return {split: examples(split) for split in clips.SPLITS}


def drawn_clip_of(clip_id: str, clip: clips.SyntheticClip) -> ClipExample:
    """Draw the frames of a clip."""
    frames = [_png(frame) for frame in clips.render(clip)]
    times = [number / clips.RATE for number in range(len(frames))]
    return ClipExample(clip_id, frames, times, clips.generate_captions(clip), clip.action, clip_id)


def _png(frame: npt.NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
