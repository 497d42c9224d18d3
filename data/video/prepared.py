"""A prepared dataset of clips, as the rest of Wordreel reads it: frames and what is told."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from data.storage.prepared import Drawn, Stored


class _Told(NamedTuple):
    """What is told of a clip."""

    name: str
    captions: list[str]
    label: str
    group: str
    frames: int


class PreparedClips(Stored):
    """Clips: frames of each, with captions, a label, or both."""

    @property
    def encoded(self) -> str:
        """The feature that is not decoded."""
        return "frames"

    def captions(self, split: str) -> list[tuple[str, list[str]]]:
        """Return `(clip_id, captions)` of each clip that has some, without decoding one."""
        return [(told.name, told.captions) for told in self._about(split) if told.captions]

    def labels(self, split: str) -> list[tuple[str, str]]:
        """Return `(clip_id, label)` of each clip that has one of `classes`."""
        return [
            (told.name, told.label) for told in self._about(split) if told.label in self.classes
        ]

    @functools.cached_property
    def classes(self) -> tuple[str, ...]:
        """The labels that can be learned, sorted: those of training clips."""
        return tuple(sorted({told.label for told in self._about("train")} - {""}))

    def groups(self, split: str) -> list[tuple[str, str]]:
        """Return `(clip_id, group)`: to fold a split without tearing what belongs together."""
        return [(told.name, told.group) for told in self._about(split)]

    def lengths(self, split: str) -> list[tuple[str, int]]:
        """Return `(clip_id, number of frames)` of each clip."""
        return [(told.name, told.frames) for told in self._about(split)]

    def _about(self, split: str) -> list[_Told]:
        """Read once what is told of the clips of a split: their frames lie in between."""
        if split not in self._known:
            names = ("captions", "label", "group", "times")
            told = self._read(split, lambda example: tuple(map(example.__getitem__, names)))
            self._known[split] = [
                _Told(
                    clip_id.decode(),
                    [caption.decode() for caption in captions],
                    label.decode(),
                    group.decode(),
                    len(times),
                )
                for clip_id, (captions, label, group, times) in told
            ]
        return self._known[split]

    @functools.cached_property
    def _known(self) -> dict[str, list[_Told]]:
        return {}

    def frames(self, split: str) -> Iterator[tuple[str, list[bytes]]]:
        """Yield `(clip_id, encoded frames)` of each clip in the order of `lengths`.

        The bytes are JPEG; of drawn clips PNG. `tf.io.decode_image(…, channels=3)` reads both.
        """
        for clip_id, frames in self._encoded(split):
            yield clip_id, list(frames)

    @property
    def sampling(self) -> Mapping[str, Any]:
        """Which frames of a clip are stored: the fields of `data.media.sampling.Sampling`."""
        import tensorflow_datasets as tfds

        metadata = tfds.builder_from_directory(self.directory).info.metadata
        return dict(metadata["sampling"])

    def _image_id(self, example: Any) -> Any:
        return example["clip_id"]


class PreparedDrawnClips(PreparedClips, Drawn):
    """Drawn clips: what happens in each is known."""

    def is_true(self, name: str, caption: str) -> bool:
        """Check every statement of a caption against the clip itself."""
        from data.builtin.caption_checker import is_true
        from data.builtin.clips import clip_by_id

        return is_true(caption, clip_by_id(name))
