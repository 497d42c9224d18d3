"""Files into an export, whatever it takes, and its outputs back, row by row."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from data.common.errors import UserError
from data.media.images import BadImage, frame_jpeg, load_image
from data.media.sampling import Sampling
from data.media.video import sample
from pipelines.export.layout import find_version, read_info
from pipelines.preprocessing.frame_selection import select_frames

BATCH = 32


class Export:
    """A SavedModel that answers.

    Attributes:
        folder: the version that answers.
        info: its `assets.extra/wordreel.json`.
        takes: the name of what it takes: image_bytes, frame_bytes or text.
    """

    def __init__(
        self, export: Path | str, signature: str = "serving_default", **inputs: float
    ) -> None:
        """Load an export; see `pipelines.serving.client.predictors.Captioner`."""
        self.folder = find_version(Path(export))
        self.info = read_info(self.folder)
        try:
            # Held, because signatures do not keep alive what they were loaded with.
            self._model = tf.saved_model.load(str(self.folder))
        except (OSError, ValueError, tf.errors.OpError) as error:
            raise UserError(f"cannot load the export {self.folder}: {error}") from error
        self._signature = self._model.signatures[signature]
        specs = self._signature.structured_input_signature[1]
        (self.takes,) = (name for name in specs if name in _READERS)
        self._inputs = {  # one for all rows
            name: tf.constant(value, specs[name].dtype, [1] * specs[name].shape.rank)
            for name, value in inputs.items()
        }

    def ask(self, items: Iterable[Any]) -> list[dict[str, Any] | str]:
        """Ask for answers, in batches.

        Args:
            items: pictures (paths, or encoded), clips (paths, or a sequence of encoded frames) or
                texts. What the export itself does not decode (WebP, TIFF, AVIF, …) is converted
                first, if Pillow can.

        Returns:
            Of each item the outputs, and under "items" how much of it the model saw; or why there
            are none, in a few words: one that cannot be read hurts no other.
        """
        items, answers = iter(items), list[dict[str, Any] | str]()
        while batch := list(itertools.islice(items, BATCH)):
            answers += self._batch(batch)
        return answers

    def read(self, item: Any) -> Any:
        """Return what the export takes of an item.

        Raises:
            UserError: if it cannot be read.
            OSError: if its file cannot.
        """
        return _READERS[self.takes](item, self.info["input"])

    def seen(self, frames: Sequence[bytes]) -> list[bytes]:
        """Return those of a clip's encoded frames that the model sees."""
        chosen, _ = select_frames(np.array([len(frames)]), self.info["input"]["clip_frames"])
        return [frames[number] for number in chosen[0]]

    def _batch(self, items: Sequence[Any]) -> list[dict[str, Any] | str]:
        answers, encoded, converted = {}, {}, {}
        for row, item in enumerate(items):
            try:
                encoded[row] = self.read(item)
            except OSError as error:
                answers[row] = error.strerror or str(error)
            except UserError as error:
                answers[row] = str(error)
        answers |= self._answers(encoded)
        for row, value in encoded.items():
            if isinstance(answers[row], str) and self.takes == "image_bytes":
                try:
                    converted[row] = load_image(value).jpeg
                except BadImage as error:
                    answers[row] = str(error)
        answers |= self._answers(converted)
        return [answers[row] for row in range(len(items))]

    def _answers(self, encoded: Mapping[int, Any]) -> dict[int, Any]:
        """Return the outputs by row."""
        if not encoded:
            return {}
        given = tf.constant(_array(list(encoded.values())))
        outputs = self._signature(**{self.takes: given}, **self._inputs)
        outputs = {name: output.numpy() for name, output in outputs.items()}
        most = self.info["input"].get("clip_frames")
        return {
            row: {name: output[at] for name, output in outputs.items()}
            | {"items": min(len(value), most or len(value))}
            if outputs["valid"][at]
            else _UNUSABLE[self.takes]
            for at, (row, value) in enumerate(encoded.items())
        }


def _array(rows: Sequence[Any]) -> np.ndarray:
    """Return strings as `[batch]`, sequences of strings as `[batch, time]`, "" behind them."""
    if isinstance(rows[0], (bytes, str)):
        return np.array(rows, object)
    array = np.full((len(rows), max(map(len, rows))), b"", object)
    for row, frames in zip(array, rows, strict=True):
        row[: len(frames)] = frames
    return array


def _picture(item: Any, about: Mapping[str, Any]) -> bytes:
    del about
    return item if isinstance(item, bytes) else Path(item).read_bytes()


def _clip(item: Any, about: Mapping[str, Any]) -> list[bytes]:
    """Sample a clip as those that were learned from, and encode its frames as they were."""
    if not isinstance(item, (str, Path)):
        return list(item)
    frames = sample(item, Sampling(**about["sampling"])).frames
    return [frame_jpeg(frame) for frame in frames]


def _text(item: Any, about: Mapping[str, Any]) -> str:
    del about
    return str(item)


_READERS: Mapping[str, Callable[[Any, Mapping[str, Any]], Any]] = {
    "image_bytes": _picture,
    "frame_bytes": _clip,
    "text": _text,
}
_UNUSABLE = {
    "image_bytes": "not a picture that can be decoded",
    "frame_bytes": "not a clip that can be decoded",
    "text": "no word in it that could be read",
}
