"""A prepared dataset of clips as training reads it: frames and annotations."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, NamedTuple

from data.storage.prepared import Stored


class _Annotation(NamedTuple):
    """What is stored of a clip besides its frames."""

    clip_id: str
    captions: list[str]
    label: str
    frames: int


class StoredClips(Stored):
    """Clips: frames of each, with captions, a label, or both."""

    content: ClassVar[str] = "frames"
    id_feature: ClassVar[str] = "clip_id"

    def captions(self, split: str) -> list[tuple[str, list[str]]]:
        """Return `(clip_id, captions)` of each clip that has some, without decoding one."""
        return [(clip.clip_id, clip.captions) for clip in self._annotations(split) if clip.captions]

    def labels(self, split: str) -> list[tuple[str, str]]:
        """Return `(clip_id, label)` of each clip whose label is one of `classes`."""
        return [
            (clip.clip_id, clip.label)
            for clip in self._annotations(split)
            if clip.label in self.classes
        ]

    @functools.cached_property
    def classes(self) -> tuple[str, ...]:
        """The labels of training clips, sorted."""
        return tuple(sorted({clip.label for clip in self._annotations("train")} - {""}))

    def lengths(self, split: str) -> list[tuple[str, int]]:
        """Return `(clip_id, number of frames)` of each clip."""
        return [(clip.clip_id, clip.frames) for clip in self._annotations(split)]

    def _annotations(self, split: str) -> list[_Annotation]:
        """Read the annotations of a split once: they are stored between the frames."""
        if split not in self._cache:
            names = ("captions", "label", "times")
            clips = self._read(split, lambda example: tuple(map(example.__getitem__, names)))
            self._cache[split] = [
                _Annotation(
                    clip_id.decode(), [*map(bytes.decode, texts)], label.decode(), len(times)
                )
                for clip_id, (texts, label, times) in clips
            ]
        return self._cache[split]

    @functools.cached_property
    def _cache(self) -> dict[str, list[_Annotation]]:
        return {}

    def frames(self, split: str) -> Iterator[tuple[str, list[bytes]]]:
        """Yield `(clip_id, JPEG or PNG frames)` of each clip in the order of `lengths`."""
        for clip_id, frames in self._encoded(split):
            yield clip_id, list(frames)

    @property
    def sampling(self) -> Mapping[str, Any]:
        """Which frames of a clip are stored: the fields of `data.media.sampling.Sampling`."""
        import tensorflow_datasets as tfds

        metadata = tfds.builder_from_directory(self.directory).info.metadata
        return dict(metadata["sampling"])
